"""What people see while a verb runs: one live line per stage on a terminal, plain lines elsewhere, and a recap.

All of it passes the redactor.
"""

from __future__ import annotations

import os
import shutil
import textwrap
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, TextIO

from .errors import Problem, Problems
from .foreign_text import plain
from .log_folding import folding_of
from .outcome import Report, Result, Stage, StageOutcome, recorded
from .secret import Redactor

if TYPE_CHECKING:
    from .live_line import LiveLine

#: Seconds between two signs of life where no line can be redrawn.
HEARTBEAT = 30.0
#: Columns of a terminal below which `doctor` gives up its own.
NARROW = 60
#: Lines of somebody else's that were only flashed on the live line, and are shown after all when their stage fails.
TAIL = 20
#: Seconds of the server's share that are worth a line.
NOTEWORTHY = 0.05
#: Apps of a run that are all listed in the recap.
LISTED = 30
_MARKS = {Result.OK: "✓", Result.NOOP: "·", Result.CHANGED: "✓", Result.FAILED: "✗"}
_ASCII_MARKS = {Result.OK: "ok", Result.NOOP: "--", Result.CHANGED: "ok", Result.FAILED: "XX"}
_STYLES = {Result.OK: "32", Result.NOOP: "2", Result.CHANGED: "32", Result.FAILED: "31"}  # green, dim, red


class Console:
    """Writes to one stream, which may be closed.

    `environ` decides as everywhere: NO_COLOR means no colours, TERM=dumb and CI mean plain lines.
    """

    def __init__(
        self,
        stream: TextIO | None,
        redact: Redactor,
        environ: Mapping[str, str],
        *,
        outer: Callable[[str], None] | None = None,
        events: Callable[..., None] | None = None,
    ) -> None:
        self._stream = stream
        self._outer = outer
        self._redact = redact
        self._events = events or _nobody
        fancy = _can_say("✓✗·⠋", stream)
        in_ci = environ.get("CI", "").lower() not in {"", "0", "false"}
        self._redrawn = _is_terminal(stream) and fancy and not in_ci and environ.get("TERM") not in {"dumb", "unknown"}
        self._colour = self._redrawn and not environ.get("NO_COLOR")
        self._marks = _MARKS if fancy else _ASCII_MARKS
        self._folding = None if self._redrawn else folding_of(environ)
        self._folded = ""  # the section that is open in a CI system's log
        self._sections = 0
        self._lock = threading.RLock()  # the heartbeat writes from a thread of its own
        self._live: LiveLine | None = None
        self._flashed: deque[str] = deque(maxlen=TAIL)
        self._report: Report | None = None
        self._stage = ""

    def of(self, app: str) -> Console:
        """For one of several apps that are at work at the same time: plain lines, with its name in front of each."""
        told = partial(Console, self._stream, self._redact, {"CI": "true"}, events=self._events)
        return told(outer=lambda text: self._write(f"{app}: {text}"))

    # while it runs --------------------------------------------------------------------------------------------------

    @contextmanager
    def stage(self, report: Report, name: str) -> Iterator[Stage]:
        """Time a stage into the report, and show it: live while it runs, one line when it is over."""
        explained = False
        self._flashed.clear()
        self._report, self._stage = report, name
        where = {"app": report.app, "target": report.target, "stage": name}
        self._events("stage-begin", **where)
        try:
            with recorded(report, name) as stage, self._alive(name):
                yield stage
        except BaseException:
            explained = True  # whoever catches it shows it, once
            raise
        finally:
            ended = report.stages[-1]
            self._events("stage-end", **where, **{k: v for k, v in ended.as_json().items() if k != "name"})
            self._over(report, ended, explained=explained)

    def log(self, text: str) -> None:
        """Lines of somebody else's: the server's task, a test runner, git."""
        for line in text.split("\n"):
            shown = self.clean(_last_drawn(line)).rstrip()
            if not shown:
                continue
            if self._report is not None:
                self._report.log.append(shown)
            if self.progress(shown):
                self._flashed.append(shown)
            else:
                self._write(f"   | {shown}", folded=True)

    def progress(self, text: str) -> bool:
        """Show a passing line where it can be redrawn; False where it can't."""
        if self._live is None:
            return False
        self._live.said = " ".join(self.clean(_last_drawn(text)).split())
        return True

    def command(self, text: str) -> None:
        """Say something to the CI system, which reads our output: as it is, since it may be about a secret."""
        if text and not write(self._stream, text):
            self._stream = None

    def line(self, text: str = "") -> None:
        """A line that stays."""
        self._write(self.clean(text))

    def note(self, text: str) -> None:
        for line in text.splitlines():
            self._write(f"   {self.clean(line)}")

    def verdict(self, verdict: str, name: str, text: str, hint: str | None = None) -> None:
        """A line of `doctor`, the next command below it; folded to the terminal's width, as columns must be."""
        width = shutil.get_terminal_size().columns if self._redrawn else 0
        narrow = 0 < width < NARROW
        indent = " " * (6 if narrow else 20)
        head = f"{name} " if narrow else f"{name:<13} "
        self._columns(f"   {self._verdict_mark(verdict)} ", head + self.clean(text), indent=indent, width=width)
        if hint:
            self._columns(indent, f"next: {self.clean(hint)}", indent=f"{indent}      ", width=width)

    def _columns(self, head: str, text: str, *, indent: str, width: int) -> None:
        """Folded: the first line behind `head`, which may hold colours, the others behind `indent`."""
        taken = len(plain(head))
        if width - len(indent) <= 20:
            self._write(head + text)
            return
        lines = textwrap.wrap(text, width, initial_indent=" " * taken, subsequent_indent=indent, break_on_hyphens=False)
        for number, line in enumerate(lines):
            self._write(line if number else head + line[taken:])

    def _verdict_mark(self, verdict: str) -> str:
        like = {"pass": Result.OK, "fail": Result.FAILED, "skip": Result.NOOP}.get(verdict)
        if like is not None:
            return self._mark(like)
        return "\x1b[33m !\x1b[0m" if self._colour else " !"

    # at the end -----------------------------------------------------------------------------------------------------

    def problem(self, problem: Problem, *, of: str = "") -> None:
        """One line of what, where and why, and one with the next command, for each.

        `of`: the apps that it stopped, where there are others.
        """
        members = problem.problems if isinstance(problem, Problems) else (problem,)
        for member in members:
            what, *more = self.clean(str(member)).splitlines() or [""]
            what = f"{self.clean(of)}: {what}" if of else what
            self._write(f"{self._mark(Result.FAILED)} {what}")
            for text in more:
                self._write(f"     {text}")
            if member.hint:
                self._write(f"     next: {self.clean(member.hint)}")

    def recap(self, reports: Sequence[Report]) -> None:
        """What it came to: for one app two lines at most, the URL last; for several a line each (of very many only
        those that changed or failed), and the count."""
        if len(reports) > 1:
            shown = [report for report in reports if report.result not in {Result.NOOP, Result.OK}]
            for report in reports if len(reports) <= LISTED else shown:
                self._write(f"{self._mark(report.result)} {self.clean(_summary(report))}")
            self._write(f"   {_counted(reports)}")
            return
        for report in reports:
            if report.server.seconds >= NOTEWORTHY and report.stages:
                self._timed(report, "  ", report.servers_share, "of that: waiting for Connect")
            if report.error is None and report.live_commit and report.url:
                self._write(f"   {self.clean(_summary(report, url=False))}")
                self._write(f"   {self.clean(report.url)}")

    # inside ---------------------------------------------------------------------------------------------------------

    def _over(self, report: Report, stage: StageOutcome, *, explained: bool) -> None:
        if stage.result is Result.FAILED:
            for line in self._flashed:
                self._write(f"   | {line}")
        detail = "" if explained else self.clean(stage.detail)
        self._timed(report, self._mark(stage.result), stage, detail)

    def _timed(self, report: Report, mark: str, stage: StageOutcome, text: str) -> None:
        """A line with a time and, in a column of its own, the last run's."""
        was = "" if stage.before is None else f"(last {stage.before:.2f} s)"
        was = f"{was:<15}  " if report.before and text else was
        was = f"\x1b[2m{was}\x1b[0m" if self._colour and was else was
        self._write(f"{mark} {stage.name:<9} {stage.seconds:7.2f} s  {was}{text}".rstrip())

    @contextmanager
    def _alive(self, name: str) -> Iterator[None]:
        if self._live is not None:  # a stage within a stage shares the line: two would overwrite each other
            outer, self._live.name = self._live.name, name
            try:
                yield
            finally:
                self._live.name = outer
        elif self._redrawn and self._stream is not None:
            from .live_line import LiveLine

            with LiveLine(self._stream, name, colour=self._colour) as live:
                self._live = live
                try:
                    yield
                finally:
                    self._live = None
        else:
            with self._heartbeat(name):
                yield

    @contextmanager
    def _heartbeat(self, name: str) -> Iterator[None]:
        over = threading.Event()
        started = monotonic()

        def beat() -> None:
            while not over.wait(HEARTBEAT):
                self._write(f"   {name} is still at work, {monotonic() - started:.0f} s so far")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def clean(self, text: str) -> str:
        """Text as it may be shown: without escapes, then without secrets, since an escape may stand inside one."""
        return self._redact(plain(text))

    def _mark(self, result: Result) -> str:
        mark = f"{self._marks[result]:>2}"
        return f"\x1b[{_STYLES[result]}m{mark}\x1b[0m" if self._colour else mark

    def _write(self, text: str, *, folded: bool = False) -> None:
        """A line; `folded`: where a log can fold, under its stage."""
        if self._outer is not None:
            self._outer(text)
            return
        with self._lock:
            text = self._fold(folded) + text
            if self._live is not None:
                self._live.above(text)
            elif not write(self._stream, text + "\n"):
                self._stream = None

    def _fold(self, folded: bool) -> str:
        """What opens or closes a section before a line, as the line is to stand in one or not."""
        if self._folding is None or folded == bool(self._folded):
            return ""
        if not folded:
            end, self._folded = self._folding.end(self._folded, time()), ""
            return end + "\n"
        self._sections += 1
        self._folded = f"connect_tasks_{self._sections}"
        return self._folding.start(self._folded, f"   {self._stage or 'log'}: what was said", time()) + "\n"


def _nobody(_event: str, **_told: object) -> None:
    """Listens to no events."""


def write(stream: TextIO | None, text: str) -> bool:
    """Write and flush; False where nobody reads (any more): what was done counts, not whether it could be told.

    After a failure the stream leads nowhere: else Python, when it exits, fails again with what is still buffered, and
    ends with status 120.
    """
    if stream is None:  # Python was started with the descriptor closed
        return False
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return False
    return True


def _summary(report: Report, *, url: bool = True) -> str:
    seconds = sum(stage.seconds for stage in report.stages)
    parts = [f"{report.verb} {report.app or ''}".strip() + f": {report.result} in {seconds:.1f} s"]
    if url and report.server.seconds >= NOTEWORTHY:  # of several apps; one has a line of its own for it
        parts[0] += f" ({report.server.seconds:.1f} s of it waiting for Connect)"
    if report.live_commit:
        parts.append(f"{report.live_commit[:10]} is live" + (f" as bundle {report.bundle}" if report.bundle else ""))
    if report.error is not None:
        parts.append(report.error.code)
    if url and report.url:
        parts.append(report.url)
    return ", ".join(parts)


def _counted(reports: Sequence[Report]) -> str:
    """`ok 7 changed 2 failed 1`, without the zeros: to find that nothing was to be done is as good as anything."""
    results = [Result.OK if report.result is Result.NOOP else report.result for report in reports]
    return " ".join(f"{result} {results.count(result)}" for result in Result if result in results)


def _last_drawn(line: str) -> str:
    """What a progress bar that draws over itself ended with."""
    return line.rstrip("\r").rsplit("\r", 1)[-1]


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _can_say(text: str, stream: TextIO | None) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
