"""Locks: one holder at a time, named, gone with its process, and no deadlock with a hook of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connect_tasks.errors import LockHeld
from connect_tasks.repository.git import Git
from connect_tasks.repository.repository_lock import lock

from .conftest import Clone
from .test_generated_commit import commit

HOLD = """
import os, sys, time
from pathlib import Path
from connect_tasks.repository.git import Git
from connect_tasks.repository.repository_lock import lock
with lock(Git.discover(Path(sys.argv[1]), os.environ), "repository"):
    print("held", flush=True)
    time.sleep(60)
"""
TRY = """
import os, sys
from pathlib import Path
from connect_tasks.repository.git import Git
from connect_tasks.repository.repository_lock import lock
with lock(Git.discover(Path(sys.argv[1]), os.environ), "repository"):
    print("got it")
"""


@contextmanager
def held_by_another(root: Path) -> Iterator[subprocess.Popen[str]]:
    package = str(Path(__file__).parents[2])
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True, cwd=package)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.communicate()
        for name in root.glob(".git/connect-tasks/locks/*.holder"):  # of who is dead: the next run would remove it
            name.unlink()


@pytest.mark.parametrize("app_path", ["."])
def test_one_holder_named_and_gone_with_its_process(clone: Clone) -> None:
    clone("worktree", "add", "-q", "../linked")
    linked = Git.discover(clone.root.parent / "linked", os.environ)
    with held_by_another(clone.root) as child:
        for door in (clone.git, linked):  # linked work trees are one repository
            with (
                pytest.raises(LockHeld, match=f"process {child.pid}, since 20") as told,
                lock(door, "repository", timeout=0.1),
            ):
                pass
            assert told.value.exit_code == 5
        with lock(clone.git, "deploy sales/production"):
            pass
        child.send_signal(signal.SIGKILL)
        child.wait()
        with lock(clone.git, "repository", timeout=5):
            pass


@pytest.mark.parametrize("app_path", ["."])
def test_a_run_of_ours_under_our_own_hook_does_not_wait(clone: Clone) -> None:
    """As when the hooks that we run call a verb of ours again."""
    script = clone.root.parent / "try.py"
    script.write_text(TRY)
    package = Path(__file__).parents[2]
    clone.hook("pre-commit", f'PYTHONPATH={package} "{sys.executable}" {script} "$PWD" > ../inside')
    with lock(clone.git, "repository"):
        commit(clone)
    assert (clone.root.parent / "inside").read_text() == "got it\n"


@pytest.mark.parametrize("app_path", ["."])
def test_a_hook_of_our_commit_in_another_repository_does_wait(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECT_TASKS_INSIDE", "/somewhere/else/.git")
    with held_by_another(clone.root), pytest.raises(LockHeld), lock(clone.git, "repository"):
        pass
