"""What looks whether tests leave something behind does find it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .clean_machine import Machine

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to look at")


@pytest.fixture
def looking(tmp_path: Path) -> Machine:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    found = Machine(temporary=temporary, settings=(tmp_path / "settings",))
    found.accept()
    return found


def test_nothing_is_nothing(looking: Machine, tmp_path: Path) -> None:
    assert looking.left(tmp_path) == []


def test_a_child_and_a_childs_child_that_has_lost_its_parent(looking: Machine, tmp_path: Path) -> None:
    orphan = "import subprocess; print(subprocess.Popen(['sleep', '61'], stdout=-3).pid)"
    environ = {"HOME": f"{tmp_path}/home", "PATH": os.environ["PATH"]}
    started = subprocess.run([sys.executable, "-c", orphan], check=True, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        with subprocess.Popen(["sleep", "60"]) as child:
            assert sorted(looking.left(tmp_path)) == ["process sleep 60", "process sleep 61"]
            child.kill()
        assert looking.left(tmp_path) == ["process sleep 61"]
        assert looking.left(tmp_path / "another") == []
    finally:
        os.kill(int(started.stdout), signal.SIGKILL)


def test_a_port(looking: Machine, tmp_path: Path) -> None:
    with socket.socket() as open_port:
        open_port.bind(("127.0.0.1", 0))
        assert looking.left(tmp_path) == []
        open_port.listen()
        assert looking.left(tmp_path) == [f"port {open_port.getsockname()[1]}"]


def test_a_temporary_file_a_lock_and_changed_settings(looking: Machine, tmp_path: Path) -> None:
    (looking.temporary / "connect-tasks-1").mkdir()
    (tmp_path / "clone/.git/connect-tasks/locks").mkdir(parents=True)
    left = [tmp_path / "clone/.git/index.lock", tmp_path / "clone/.git/connect-tasks/locks/app.holder"]
    for path in (*left, tmp_path / "clone/.git/connect-tasks/locks/app.lock", tmp_path / "settings"):
        path.touch()
    expected = [f"lock {path}" for path in left]
    found = looking.left(tmp_path)
    assert found == ["temporary file connect-tasks-1", *expected, "git's own global settings are changed"]
    looking.accept()
    for path in left:
        path.unlink()
    assert looking.left(tmp_path) == []
