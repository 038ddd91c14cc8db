"""The limit of a whole run: what hangs ends, and says which limit it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connect_tasks import process
from connect_tasks.errors import RunTooLong
from connect_tasks.run_limit import limited


@pytest.fixture(autouse=True)
def _term_is_an_interrupt() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


def test_what_hangs_ends() -> None:
    with pytest.raises(RunTooLong) as caught, limited(0.05):
        time.sleep(60)
    assert "longer than 0.05 s" in caught.value.message
    assert "run_timeout" in (caught.value.hint or "")


def test_a_child_that_hangs_ends_too(tmp_path: Path) -> None:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(RunTooLong), limited(1.0):
        process.run([sys.executable, "-c", code], cwd=tmp_path, env={}, timeout=50)
    child = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_is_done_in_time_is_left_alone() -> None:
    threads = threading.active_count()
    for _ in range(50):
        with limited(0.01):
            pass
    with limited(60):
        pass
    time.sleep(0.05)
    assert threading.active_count() <= threads + 1  # no timer stays


def test_a_cancel_of_somebody_else_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), limited(60):
        signal.raise_signal(signal.SIGTERM)


def test_another_thread_has_no_limit() -> None:
    done = []

    def work() -> None:
        with limited(0.01):
            time.sleep(0.1)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_run_that_takes_too_long_ends_with_its_code(tmp_path: Path, private_home: Path) -> None:
    """The whole program: a test of the app that never ends."""
    (tmp_path / "app").mkdir()
    environ = {
        "PATH": __import__("os").environ["PATH"],
        "HOME": str(private_home),
        "CONNECT_TASKS_CACHE": str(tmp_path),
    }
    git = ["git", "-C", str(tmp_path / "app")]
    table = '[tool.connect-tasks]\nmode = "html"\nrun_timeout = 2\ntest = { command = ["sleep", "60"] }\n'
    (tmp_path / "app" / "pyproject.toml").write_text(table)
    (tmp_path / "app" / "index.html").write_text("hello")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(
            [*git, *words], env={**environ, "GIT_CONFIG_GLOBAL": str(private_home / ".gitconfig")}, check=True
        )
    done = subprocess.run(
        [sys.executable, "-m", "connect_tasks", "test"],
        cwd=tmp_path / "app",
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "CT904: the run took longer than 2 s and was stopped" in done.stdout
    assert "next: run the same command again" in done.stdout
    assert "Traceback" not in done.stderr
