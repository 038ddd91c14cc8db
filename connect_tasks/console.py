"""What people see while a verb runs: one live line per stage on a terminal, plain lines elsewhere. All of it passes the redactor."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from .connect_failures import plain
from .errors import Problem, Problems
from .outcome import Report, Result, Stage, recorded
from .secret import Redactor

if TYPE_CHECKING:
    from rich.status import Status

#: Seconds between two signs of life where no line can be redrawn.
HEARTBEAT = 30.0
_MARKS = {Result.OK: "✓", Result.NOOP: "·", Result.CHANGED: "✓", Result.FAILED: "✗"}
_ASCII_MARKS = {Result.OK: "ok", Result.NOOP: "--", Result.CHANGED: "ok", Result.FAILED: "XX"}
_STYLES = {Result.OK: "green", Result.NOOP: "dim", Result.CHANGED: "green", Result.FAILED: "red"}


class Console:
    """Writes to one stream. `environ` decides colours as everywhere: NO_COLOR, TERM=dumb and CI mean plain lines."""

    def __init__(self, stream: TextIO, redact: Redactor, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._redact = redact
        plain_wanted = environ.get("TERM") == "dumb" or bool(environ.get("CI"))
        self._live = bool(getattr(stream, "isatty", lambda: False)()) and not plain_wanted
        self._colour = self._live and not environ.get("NO_COLOR")
        self._marks = _MARKS if _can_say("✓✗·", stream) else _ASCII_MARKS
        self._status: Status | None = None

    # while it runs --------------------------------------------------------------------------------------------------

    @contextmanager
    def stage(self, report: Report, name: str) -> Iterator[Stage]:
        """Time a stage into the report, and show it: live while it runs, one line when it is over."""
        with self._alive(name):
            try:
                with recorded(report, name) as stage:
                    yield stage
            finally:
                self._stop_live()
                done = report.stages[-1]
                mark = self._style(f"{self._marks[done.result]:>2}", _STYLES[done.result])
                self.line(f"{mark} {done.name:<9} {done.seconds:7.2f} s  {done.detail}".rstrip())

    def log(self, text: str) -> None:
        """A line of somebody else's: the server's task, a test runner, git."""
        if not self.progress(text) and text.strip():
            self.line(f"   | {plain(text).rstrip()}")

    def progress(self, text: str) -> bool:
        """Show a passing line where it can be redrawn; False where it can't."""
        if self._status is None:
            return False
        self._status.update(self._redact(f"{self._current}  {plain(text).strip()[:100]}").replace("[", "\\["))
        return True

    def line(self, text: str = "") -> None:
        """A line that stays."""
        shown = self._redact(text)
        if self._status is not None:
            self._status.console.print(shown, markup=False, highlight=False)
            return
        try:
            self._stream.write(shown.encode(self._encoding, "replace").decode(self._encoding) + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):  # `| head` has gone, or the stream is closed: the result still counts
            self._stream = _Nowhere()

    def note(self, text: str) -> None:
        self.line(f"   {text}")

    # at the end -----------------------------------------------------------------------------------------------------

    def problem(self, problem: Problem) -> None:
        """One line of what, where and why, and one with the next command, for each."""
        members = problem.problems if isinstance(problem, Problems) else (problem,)
        for member in members:
            what, *more = str(member).splitlines() or [""]
            self.line(self._style(f"{self._marks[Result.FAILED]} ", "red") + what)
            for text in more:
                self.line(f"     {text}")
            if member.hint:
                self.line(f"     next: {member.hint}")

    # inside ---------------------------------------------------------------------------------------------------------

    @property
    def _encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _style(self, text: str, style: str) -> str:
        codes = {"green": "32", "red": "31", "dim": "2"}
        return f"\x1b[{codes[style]}m{text}\x1b[0m" if self._colour and self._status is None else text

    @contextmanager
    def _alive(self, name: str) -> Iterator[None]:
        self._current = name
        if self._live:
            from rich.console import Console as RichConsole

            self._status = RichConsole(file=self._stream, no_color=not self._colour).status(name, spinner="dots")
            self._status.start()
            yield
            return
        over = threading.Event()
        started = monotonic()
        beat = threading.Thread(target=self._beat, args=(name, started, over), daemon=True)
        beat.start()
        try:
            yield
        finally:
            over.set()
            beat.join()

    def _stop_live(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _beat(self, name: str, started: float, over: threading.Event) -> None:
        while not over.wait(HEARTBEAT):
            self.line(f"   {name} is still at work, {monotonic() - started:.0f} s so far")


class _Nowhere:
    """A stream for those who hung up."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return


def _can_say(text: str, stream: TextIO) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
