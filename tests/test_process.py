"""The door through which programs are started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from connect_tasks.atomic_file import write_file
from connect_tasks.errors import CommandMissing, CommandTimedOut
from connect_tasks.interrupts import terminated_as_interrupt
from connect_tasks.pipeline.crew import beside
from connect_tasks.process import BACK, child_environment, run, stepped_back


def sh(script: str, directory: Path, timeout: float = 20.0, **options: object):  # type: ignore[no-untyped-def]
    return run(["sh", "-c", script], cwd=directory, env=os.environ, timeout=timeout, **options)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not collected by its parent does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_status_and_streams_are_kept_apart(tmp_path: Path) -> None:
    done = sh("echo out; echo err >&2; cat; exit 3", tmp_path, input=b"in")
    assert (done.status, done.stdout, done.stderr, done.ok) == (3, b"out\nin", b"err\n", False)
    assert sh("kill -9 $$", tmp_path).status == -signal.SIGKILL


def test_without_input_a_program_that_reads_is_at_the_end(tmp_path: Path) -> None:
    assert sh("cat; test -t 0 || echo none; (echo x > /dev/tty) 2> /dev/null || echo no tty", tmp_path).stdout == (
        b"none\nno tty\n"
    )


def test_a_background_child_does_not_hold_us(tmp_path: Path) -> None:
    started = time.monotonic()
    done = sh("sleep 30 & echo $!", tmp_path)
    try:
        assert time.monotonic() - started < 25  # the child sleeps 30
    finally:
        os.kill(int(done.text), signal.SIGKILL)


def test_the_limit_of_time_ends_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(CommandTimedOut, match=r"within 0\.3 s"):
        sh("sleep 60 & echo $! > child; trap '' TERM; wait; sleep 60", tmp_path, timeout=0.3)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_lines_come_while_the_program_runs(tmp_path: Path) -> None:
    lines: list[str] = []

    def follow(line: str) -> None:
        lines.append(line)
        (tmp_path / "seen").touch()

    done = sh("echo first; until test -e seen; do sleep 0.01; done; printf second", tmp_path, on_line=follow)
    assert lines == ["first", "second"]
    assert done.stdout == b"first\nsecond"


def test_output_may_go_to_a_file_of_the_callers(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as file:
        assert sh("printf large", tmp_path, output=file).stdout == b""
        file.seek(0)
        assert file.read() == b"large"


def test_what_can_not_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandMissing, match="no-such-program is not installed"):
        run(["no-such-program"], cwd=tmp_path, env=os.environ, timeout=5)
    with pytest.raises(CommandMissing, match="does not exist"):
        sh("true", tmp_path / "nowhere")
    (tmp_path / "plain").write_text("x")
    with pytest.raises(CommandMissing, match="may not be executed"):
        run([tmp_path / "plain"], cwd=tmp_path, env=os.environ, timeout=5)


def test_a_childs_environment() -> None:
    environ = {"A": "1", "B": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    assert child_environment(environ, B=None, C="3") == {"A": "1", "C": "3"}


def test_an_interrupt_ends_the_group(tmp_path: Path) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sh("echo $$ > child; echo now; sleep 60", tmp_path, on_line=interrupt)
    assert not is_alive(int((tmp_path / "child").read_text()))


def test_a_file_is_old_or_new_and_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    target = place / "requirements.txt"
    assert write_file(target, b"one")
    target.chmod(0o640)
    assert write_file(target, b"two")
    assert not write_file(target, b"two")
    assert (target.read_bytes(), oct(target.stat().st_mode)[-3:]) == (b"two", "640")
    assert [path.name for path in place.iterdir()] == ["requirements.txt"]


def test_a_file_that_can_not_be_replaced_stays(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "taken").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011  # which one is the system's affair
        write_file(place / "taken", b"x")
    assert [path.name for path in place.iterdir()] == ["taken"]


def test_told_to_end_while_a_program_starts_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may be told before it knows that the program runs."""
    started: list[int] = []

    class Told(subprocess.Popen):  # type: ignore[type-arg]  # as it is in `run`
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)  # type: ignore[call-overload]  # passed on as they are
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Told)
    with pytest.raises(KeyboardInterrupt), terminated_as_interrupt():
        sh("sleep 60", tmp_path)
    assert len(started) == 1
    assert not is_alive(started[0])


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="this system has no niceness")
def test_what_steps_back_is_nicer_than_the_others_and_than_us(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    awaited = f'for _ in $(seq 200); do [ "$(nice)" = {ours + BACK} ] && break; sleep 0.05; done; nice'
    with stepped_back():
        assert int(sh(awaited, tmp_path).text) == ours + BACK
        with beside(lambda: sh(awaited, tmp_path)) as of_a_thread:
            assert int(of_a_thread().text) == ours + BACK
    assert int(sh("sleep 0.5; nice", tmp_path).text) == ours
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists() or os.geteuid() != 0,
    reason="no groups of sessions here, or we may ask for it ten times a second only, together with everybody else",
)
def test_so_does_its_session_where_sessions_share_the_processor(tmp_path: Path) -> None:
    niceness = "grep -o 'nice .*' /proc/self/autogroup"
    awaited = f'for _ in $(seq 200); do [ "$({niceness})" = "nice {BACK}" ] && break; sleep 0.05; done; {niceness}'
    with stepped_back():
        assert sh(awaited, tmp_path).text == f"nice {BACK}\n"
    assert sh(f"sleep 0.5; {niceness}", tmp_path).text == "nice 0\n"
