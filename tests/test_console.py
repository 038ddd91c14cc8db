"""What people see: on a terminal (a real pty), in a pipe, with hostile text, and with secrets in every spelling."""

from __future__ import annotations

import base64
import io
import os
import re
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import pytest

from connect_tasks import console as console_module
from connect_tasks.console import Console
from connect_tasks.errors import Problem, Problems, TestsFailed
from connect_tasks.outcome import Report, Result
from connect_tasks.secret import Redactor, Secret

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a pty")
if os.name != "nt":
    from .terminal import Session, run_in_terminal

#: Begins every program that runs in a terminal.
SETTING = """
import os, sys
from connect_tasks.console import Console
from connect_tasks.errors import TestsFailed
from connect_tasks.outcome import Report, Result
from connect_tasks.secret import Redactor
console, report = Console(sys.stdout, Redactor(), os.environ), Report(verb="release", app="shop")


def draw():
    if console._live is not None:
        console._live._live.refresh()
"""
SECONDS = re.compile(r" +\d+\.\d+ s")


def show(program: str, directory: Path, *, columns: int = 80, **changes: str) -> Session:
    return run_in_terminal(SETTING + program, directory, columns=columns, **changes)


def told(session: Session) -> list[str]:
    """The screen with its seconds left out."""
    return [SECONDS.sub(" N s", line) for line in session.screen]


# in a terminal --------------------------------------------------------------------------------------------------------

TWO_STAGES = """
with console.stage(report, "test") as stage:
    console.progress("collected 3 items")
    draw()
    console.progress("tests/test_app.py ...")
    draw()
    stage.detail = "3 passed"
with console.stage(report, "deploy") as stage:
    console.log("Building Python API...")
    draw()
    stage.result, stage.detail = Result.NOOP, "nothing to do"
"""


def test_a_stage_is_one_live_line_and_then_one_that_stays(tmp_path: Path) -> None:
    session = show(TWO_STAGES, tmp_path)

    assert told(session) == [" ✓ test N s  3 passed", " · deploy N s  nothing to do"]
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", session.raw)
    assert re.search(r" [⠋-⠿] test +\d s  collected 3 items", shown)
    assert re.search(r" [⠋-⠿] test +\d s  tests/test_app.py \.\.\.", shown)
    assert re.search(r" [⠋-⠿] deploy +\d s  Building Python API\.\.\.", shown)
    assert "\x1b[32m ✓\x1b[0m" in session.raw


def test_no_color_takes_the_colours_only(tmp_path: Path) -> None:
    session = show(TWO_STAGES, tmp_path, NO_COLOR="1")

    assert "\x1b[?25l" in session.raw
    assert re.findall(r"\x1b\[[0-9;]*m", session.raw) == []


@pytest.mark.parametrize("changes", [{"TERM": "dumb"}, {"CI": "true"}])
def test_dumb_terminals_and_ci_get_plain_lines(tmp_path: Path, changes: dict[str, str]) -> None:
    session = show(TWO_STAGES, tmp_path, **changes)

    assert "\x1b" not in session.raw
    assert told(session) == [
        " ✓ test N s  3 passed",
        "   | Building Python API...",
        " · deploy N s  nothing to do",
    ]


def test_a_terminal_without_the_letters_gets_plain_lines(tmp_path: Path) -> None:
    session = show(TWO_STAGES, tmp_path, PYTHONIOENCODING="ascii")

    assert "\x1b" not in session.raw
    assert told(session)[0] == "ok test N s  3 passed"


HOSTILE = r"""
with console.stage(report, "deploy") as stage:
    for said in (
        "[bold]x[/bold] [/nonsense] [red]", "\\[a] \\", "\x1b[2J\x1b[31mred\x1b]0;title\x07", "x" * 500, "日本語" * 60,
        "10%\r20%\r30%\r", "two\nlines", "\t\ttabs", "\u202eoverridden", "{braces} %s", "\x9b2J", "",
    ):
        console.log(said)
        console.progress(said)
        draw()
    stage.detail = "[green]not green[/] \x1b[2J"
"""


@pytest.mark.parametrize("columns", [20, 80])
def test_what_a_server_says_is_text_and_never_breaks_a_line(tmp_path: Path, columns: int) -> None:
    session = show(HOSTILE, tmp_path, columns=columns)

    assert session.status == 0
    assert SECONDS.sub(" N s", "".join(session.screen)) == " ✓ deploy N s  [green]not green[/]"
    assert session.raw.count("\x1b[1A") == 1, "the live line is one row until it is taken away"
    assert "\x1b[2J" not in session.raw
    assert "\x1b]" not in session.raw
    assert "\u202e" not in session.raw
    if columns == 80:
        assert "[bold]x[/bold] [/nonsense] [red]" in session.raw
        assert " s  30%" in session.raw


def test_what_was_only_flashed_is_shown_when_its_stage_fails(tmp_path: Path) -> None:
    session = show(
        """
with console.stage(report, "deploy"):
    for number in range(100):
        console.log(f"line {number}")
    draw()
    raise TestsFailed("no", hint="yes")
""",
        tmp_path,
    )

    kept = [f"   | line {number}" for number in range(80, 100)]
    assert [*kept, " ✗ deploy N s"] == told(session)[:21]


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)", "RuntimeError('x')"])
def test_whatever_ends_a_stage_the_terminal_is_whole(tmp_path: Path, raised: str) -> None:
    session = show(
        f"""
try:
    with console.stage(report, "push"):
        draw()
        raise {raised}
except BaseException:
    console.note("after")
""",
        tmp_path,
    )

    assert told(session) == [" ✗ push N s", "   after"]


def test_lines_that_stay_stand_above_the_live_one_and_are_not_folded(tmp_path: Path) -> None:
    address = "https://connect.example.com/content/" + "0123456789" * 10 + "/"
    session = show(
        f"""
with console.stage(report, "release"):
    draw()
    console.note("page at {address}")
    print("printed by somebody else")
    with console.stage(report, "freeze") as inner:
        draw()
    draw()
""",
        tmp_path,
        columns=60,
    )

    assert f"page at {address}" in session.raw
    assert f"page at {address}" in "".join(session.screen)
    assert told(session)[-3:] == ["printed by somebody else", " ✓ freeze N s", " ✓ release N s"]
    drawn = re.findall(r"[⠋-⠿]\x1b\[0m (\w+)", session.raw)
    assert [name for name, _ in groupby(drawn)] == ["release", "freeze", "release"]


# in a pipe ------------------------------------------------------------------------------------------------------------


def piped(redact: Redactor | None = None) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream, redact or Redactor(), {}), stream


VERDICT = """
console.verdict("fail", "git support", "it is off for everybody on this server", "ask an administrator to enable it")
"""


def test_a_line_of_doctor_keeps_its_column_or_gives_it_up_where_there_is_no_room(tmp_path: Path) -> None:
    assert show(VERDICT, tmp_path, columns=80).screen == [
        "    ✗ git support   it is off for everybody on this server",
        "                    next: ask an administrator to enable it",
    ]
    assert show(VERDICT, tmp_path, columns=40).screen == [
        "    ✗ git support it is off for",
        "      everybody on this server",
        "      next: ask an administrator to",
        "            enable it",
    ]


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(stream, Redactor(), {})
    with console.stage(Report(verb="test"), "test") as stage:
        console.log("said\x1b[0m\n\n  more\r\n")
        assert not console.progress("passing")
        stage.detail = "3 passed"

    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert SECONDS.sub(" N s", said) == "   | said\n   |   more\n ✓ test N s  3 passed\n"


def test_a_long_stage_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    beaten = threading.Event()
    monkeypatch.setattr(console_module, "HEARTBEAT", 0.01)

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            beaten.set()
            return super().write(text)

    stream = Stream()
    with Console(stream, Redactor(), {}).stage(Report(verb="test"), "test"):
        assert beaten.wait(10)

    assert re.match(r"   test is still at work, \d+ s so far\n", stream.getvalue())


def test_a_failed_stage_leaves_the_words_to_the_problem() -> None:
    console, stream = piped()
    report = Report(verb="test")
    with pytest.raises(TestsFailed), console.stage(report, "test"):
        raise TestsFailed("2 failed", where="app", hint="mend it")
    report.fail(TestsFailed("2 failed", where="app", hint="mend it"))

    console.problem(report.error or Problem(""))

    assert SECONDS.sub(" N s", stream.getvalue()) == "XX test N s\nXX CT500: 2 failed (app)\n     next: mend it\n"
    assert report.stages[0].detail == "2 failed"


def test_several_problems_are_told_each() -> None:
    console, stream = piped()
    members = (Problem("one\nand more", hint="first"), Problem("two\x1b[2J"))

    console.problem(Problems(members))

    assert stream.getvalue() == "XX CT000: one\n     and more\n     next: first\nXX CT000: two\n"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\ after", " after"),
        ("\x1b]0;no end", "]0;no end"),
        ("a\u202eb\u2028c", "abc"),
        ("::error::not ours", "::error::not ours"),
    ],
)
def test_text_of_others_is_stripped_of_what_steers_a_terminal(said: str, shown: str) -> None:
    console, stream = piped()

    console.log(said)
    console.note(said.replace("\u2028", ""))

    assert stream.getvalue() == f"   | {shown}\n   {shown}\n"


def test_a_stream_that_breaks_is_left_alone() -> None:
    stream = io.StringIO()
    console = Console(stream, Redactor(), {})
    stream.close()

    console.line("nobody hears this")
    Console(None, Redactor(), {}).line("nor this")


# the recap ------------------------------------------------------------------------------------------------------------


def finished(app: str, result: Result, **facts: str) -> Report:
    report = Report(verb="release", app=app, result=result, **facts)
    with piped()[0].stage(report, "deploy"):
        pass
    return report


LIVE = {"live_commit": "c538c3fac7f2453e", "bundle": "7", "url": "https://connect.example.com/content/1/"}


def test_the_recap_of_one_app_ends_with_its_url() -> None:
    console, stream = piped()

    console.recap([finished("shop", Result.CHANGED, **LIVE)])

    assert SECONDS.sub(" N s", stream.getvalue()).splitlines() == [
        "   release shop: changed in N s, c538c3fac7 is live as bundle 7",
        "   https://connect.example.com/content/1/",
    ]


def test_the_last_runs_times_stand_beside_and_the_servers_share_has_its_line() -> None:
    report = Report(verb="release", app="shop", before={"release deploy": 13.2, "release server": 11.0})
    report.before = {**report.before, "release facts": 1.0}
    console, stream = piped()
    for name, result in (("facts", Result.OK), ("deploy", Result.CHANGED), ("facts", Result.NOOP)):
        with console.stage(report, name) as stage:
            stage.result, stage.detail = result, "done"
    report.server.add(12.5)
    report.result = Result.CHANGED
    console.recap([report])
    assert SECONDS.sub(" N s", stream.getvalue()).splitlines() == [
        "ok facts N s  (last N s)    done",
        "ok deploy N s  (last N s)   done",
        "-- facts N s                   done",  # found nothing to do: quick for another reason
        "   server N s  (last N s)   of that: waiting for Connect",
    ]


@pytest.mark.parametrize(
    ("environ", "opened", "closed"),
    [
        ({"GITHUB_ACTIONS": "true"}, "::group::   deploy: what was said", "::endgroup::"),
        (
            {"GITLAB_CI": "true"},
            "\x1b[0Ksection_start:T:connect_tasks_N[collapsed=true]\r\x1b[0K   deploy: what was said",
            "\x1b[0Ksection_end:T:connect_tasks_N\r\x1b[0K",
        ),
    ],
)
def test_what_others_say_is_folded_in_a_ci_systems_log(environ: dict[str, str], opened: str, closed: str) -> None:
    stream = io.StringIO()
    console = Console(stream, Redactor([]), {"CI": "true", **environ})
    with console.stage(Report(verb="release"), "deploy"):
        console.log("one\n::endgroup::\ntwo")
        console.note("ours")
        console.log("three")
    with console.stage(Report(verb="release"), "verify"):
        pass
    said = re.sub(r"(?<=section_start:)\d{10}|(?<=section_end:)\d{10}", "T", SECONDS.sub(" N s", stream.getvalue()))
    names = re.findall(r"connect_tasks_\d", said)
    assert len(names) in {0, 4}
    assert len(set(names)) in {0, 2}  # a name is used once
    assert re.sub(r"connect_tasks_\d", "connect_tasks_N", said).split("\n") == [
        opened, "   | one", "   | ::endgroup::", "   | two", closed,
        "   ours",
        opened, "   | three", closed,
        "ok deploy N s", "ok verify N s", "",
    ]  # fmt: skip


def test_lines_of_several_apps_at_once_are_not_folded() -> None:
    stream = io.StringIO()
    console = Console(stream, Redactor([]), {"CI": "true", "GITHUB_ACTIONS": "true"})
    with console.of("shop").stage(Report(verb="release"), "deploy"):
        console.of("shop").log("one")
    assert "::" not in stream.getvalue()


def test_nothing_is_summed_up_where_nothing_is_live_or_something_failed() -> None:
    console, stream = piped()
    failed = finished("shop", Result.FAILED, **LIVE)
    failed.fail(TestsFailed("no"))

    console.recap([failed])
    console.recap([finished("shop", Result.OK)])
    console.recap([])

    assert stream.getvalue() == ""


def test_the_recap_of_several_apps_counts_them() -> None:
    console, stream = piped()
    failed = finished("till", Result.FAILED)
    failed.fail(TestsFailed("no"))

    failed.server.add(2.5)

    console.recap([finished("shop", Result.CHANGED, **LIVE), failed, finished("desk", Result.NOOP)])

    assert SECONDS.sub(" N s", stream.getvalue()).splitlines() == [
        "ok release shop: changed in N s, c538c3fac7 is live as bundle 7, https://connect.example.com/content/1/",
        "XX release till: failed in N s (2.5 s of it waiting for Connect), CT500",
        "-- release desk: noop in N s",
        "   ok 1 changed 1 failed 1",
    ]


# secrets --------------------------------------------------------------------------------------------------------------

CANARY = "c4n4ry/Key+with=every&kind 0f l3tter"
SPELLINGS = {
    "raw": CANARY,
    "url": quote(CANARY, safe=""),
    "base64": base64.b64encode(b"user:" + CANARY.encode() + b"!").decode(),
    "hex": CANARY.encode().hex(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_no_way_out_of_the_console_shows_a_secret(spelling: str) -> None:
    console, stream = piped(Redactor([Secret(CANARY)]))
    report = Report(verb="release", app="shop", live_commit="0" * 40, url=f"http://x/{spelling}")
    other = Report(verb="release", app=spelling)
    text = f"before {spelling} after"
    with console.stage(report, "deploy") as stage:
        for way in (console.log, console.line, console.note):
            way(text)
        stage.detail = text
    console.problem(Problem(text, where=spelling, hint=text))
    console.recap([report])
    console.recap([report, other])

    assert not any(piece in stream.getvalue() for piece in pieces(spelling))
    assert stream.getvalue().count("****") >= 9


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_split_over_two_writes_is_masked_on_both_sides(spelling: str) -> None:
    for cut in range(1, len(spelling)):
        console, stream = piped(Redactor([Secret(CANARY)]))

        console.log(f"key {spelling[:cut]}")
        console.log(f"{spelling[cut:]} end")

        assert not any(piece in stream.getvalue() for piece in pieces(spelling)), cut


def test_a_secret_is_masked_before_a_line_is_cut_to_the_terminal(tmp_path: Path) -> None:
    session = show(
        f"""
from connect_tasks.secret import Secret
console = Console(sys.stdout, Redactor([Secret({CANARY!r})]), os.environ)
with console.stage(report, "deploy"):
    for indent in range(0, 40):
        console.log("-" * indent + " {CANARY}")
        draw()
    draw()
""",
        tmp_path,
        columns=40,
    )

    assert not any(piece in session.raw for piece in pieces(CANARY))
    assert "****" in session.raw


def test_an_escape_inside_a_secret_does_not_hide_it() -> None:
    console, stream = piped(Redactor([Secret(CANARY)]))

    console.log(f"{CANARY[:10]}\x1b[0m{CANARY[10:]}")

    assert stream.getvalue() == "   | ****\n"


def pieces(spelling: str, length: int = 12) -> set[str]:
    """Every part of a canary that is long enough to be of use; of base64 those that hold nothing of its neighbours."""
    inner = spelling[8:-4] if spelling == SPELLINGS["base64"] else spelling
    return {inner[start : start + length] for start in range(len(inner) - length + 1)}
