"""Runs that die in the middle: the next one finishes, nothing is made twice, nothing of the user's is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connect_tasks.errors import CommandTimedOut
from connect_tasks.repository import generated_commit
from connect_tasks.repository.generated_backup import keep_backup
from connect_tasks.repository.generated_commit import commit_generated
from connect_tasks.repository.git_push import push
from connect_tasks.repository.interrupted_run import finish_interrupted
from connect_tasks.repository.replay import Replay

from .conftest import GENERATED_FILES, Clone, release
from .conftest import git as run_git
from .test_generated_commit import commit, users_work
from .test_git_push import land

PROGRAM = """
import sys
from pathlib import Path
from connect_tasks.configuration import App
from tests.repository.conftest import Clone, release
clone = Clone(root=Path(sys.argv[1]), remote=Path(sys.argv[2]), app=App(name="sales", path=sys.argv[3], branch="main"))
release(clone)
"""


@contextmanager
def releasing(clone: Clone) -> Iterator[subprocess.Popen[bytes]]:
    """A release in a process of its own, to be killed."""
    arguments = [str(clone.root), str(clone.remote), clone.app.path]
    package = str(Path(__file__).parents[2])
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], cwd=package, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def finish(clone: Clone) -> tuple[str, ...]:
    return finish_interrupted(clone.git, clone.app, remote_tip=clone.git.fetch("origin", "main"))


def interrupt_a_commit(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after git has made it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(generated_commit, "_checked", interrupted)
        with pytest.raises(KeyboardInterrupt):
            commit(clone)


@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg"])
def test_killed_while_a_hook_of_the_commit_runs(clone: Clone, hook: str) -> None:
    """git lives on in its own session until it is killed too; then nothing is left but a private file."""
    users_work(clone)
    clone("reset", "-q", "--hard")  # the app's own files must be as in HEAD for a release
    before = clone.snapshot()
    clone.hook(hook, 'echo $PPID > "$(git rev-parse --git-dir)/pid"; exec sleep 60')
    with releasing(clone) as child:
        wait_for(lambda: (clone.root / ".git/pid").exists() and bool((clone.root / ".git/pid").read_text().strip()))
        child.kill()
    os.killpg(int((clone.root / ".git/pid").read_text()), signal.SIGKILL)
    left = clone.snapshot()
    assert (left.head, left.refs, left.remote_refs, left.index) == (
        before.head,
        before.refs,
        before.remote_refs,
        before.index,
    )
    assert not (clone.root / ".git/index.lock").exists()
    (clone.root / f".git/hooks/{hook}").unlink()
    assert finish(clone) == ()
    result = release(clone)
    assert clone.remote_tip() == result.commit
    assert clone("rev-list", "--count", f"{before.head[:40]}..main") == "1"


def test_the_lock_of_a_git_that_was_killed_is_told_where_it_stops_nothing(clone: Clone) -> None:
    """There may be nothing left to be committed; but the user's next commit would meet it."""
    lock = clone.root / ".git/HEAD.lock"
    lock.touch()
    (note,) = finish(clone)
    assert note.endswith(f"rm {lock}")
    assert lock.exists()
    with lock.open("w") as file, subprocess.Popen(["sleep", "60"], stdout=file) as holder:
        file.close()
        assert finish(clone) == (), "it is at work"
        holder.kill()
    lock.unlink()
    assert finish(clone) == ()


def test_told_to_end_while_a_hook_runs(clone: Clone) -> None:
    """Python turns SIGINT into KeyboardInterrupt; to do the same for SIGTERM is the command line's part."""
    before = clone.snapshot()
    clone.hook("pre-commit", 'touch "$(git rev-parse --git-dir)/running"; exec sleep 60')
    with releasing(clone) as child:
        wait_for((clone.root / ".git/running").exists)
        child.send_signal(signal.SIGINT)
        child.wait(20)
    assert clone.snapshot() == before
    assert not list((clone.root / ".git").rglob("*.lock"))


def test_interrupted_right_after_git_has_committed(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit stands: to take the files back would leave its reversal staged."""
    interrupt_a_commit(clone, monkeypatch)
    assert clone("log", "-1", "--format=%s") == "Release sales"
    assert len(finish(clone)) == 1
    assert clone("status", "--porcelain") == ""


@pytest.mark.parametrize("kept", [True, False])
def test_interrupted_where_what_it_replaced_had_been_staged(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """As an earlier release has left it whose side branch was never merged. What is in no backup may be the user's."""
    path = clone.full("manifest.json")
    (clone.root / path).write_text("generated for an earlier version\n")
    clone("add", path)
    assert keep_backup(clone.git, clone.app, GENERATED_FILES) is not None
    if not kept:
        (clone.root / path).write_text("mine\n")
        clone("add", path)
    interrupt_a_commit(clone, monkeypatch)
    staged = clone("show", f":{path}")
    finish(clone)
    assert clone("status", "--porcelain") == ("" if kept else f"MM {path}")
    assert kept or clone("show", f":{path}") == staged == "mine"


def test_killed_after_the_commit_before_the_push(clone: Clone) -> None:
    """The hook kills us: HEAD has the commit, the user's index does not know the files yet."""
    clone.hook("post-commit", 'kill -9 "$(cat ../pid)"; rm -f ../pid')
    (clone.root / "docs/readme.md").write_text("edited\n")
    if clone.app.path == ".":
        clone("checkout", "-q", "docs/readme.md")
    with releasing(clone) as child:
        (clone.root.parent / "pid").write_text(str(child.pid))
        child.wait(30)
    wait_for(lambda: clone("log", "-1", "--format=%s") == "Release sales")
    sha = clone("rev-parse", "HEAD")
    assert "D " in clone("status", "--porcelain")
    wait_for(lambda: not list((clone.root / ".git").rglob("*.lock")))
    (clone.root / ".git/hooks/post-commit").unlink()
    assert len(finish(clone)) == 1
    assert clone("diff", "--cached", "--name-only") == ""
    assert finish(clone) == ()
    assert push(clone.git, "origin", "main", commit(clone).commit, timeout=20).commit == sha == clone.remote_tip()


def test_the_index_is_not_repaired_over_the_users_own_staging(clone: Clone) -> None:
    commit(clone)
    path = clone.full("requirements.txt")
    (clone.root / path).write_text("mine\n")
    clone("add", path)
    before = clone.snapshot()
    assert finish(clone) == ()
    clone("rm", "-q", "--cached", path)  # as before our commit, but the work tree is not as in HEAD
    assert finish(clone) == ()
    clone("add", path)
    assert clone.snapshot() == before
    (clone.root / path).write_bytes(GENERATED_FILES["requirements.txt"])  # staged is theirs, on disk is HEAD's
    before = clone.snapshot()
    assert finish(clone) == ()
    assert clone.snapshot() == before


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_killed_after_a_replayed_push(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    """The remote has our commit in another place, HEAD still is on the first one."""
    land(clone_of("other"), "docs/other.md")
    parent, sha = clone("rev-parse", "HEAD"), commit(clone).commit
    landed = push(clone.git, "origin", "main", sha, timeout=20, replay=Replay(directory=clone.app.path))
    clone("update-ref", "HEAD", sha, parent)
    assert release(clone).commit == landed.commit == clone.remote_tip()
    assert len(finish(clone)) == 1
    assert clone("rev-parse", "HEAD") == parent
    clone("pull", "-q", "--ff-only")
    assert clone("status", "--porcelain") == ""


def test_a_commit_of_the_users_is_never_stepped_back_from(clone: Clone) -> None:
    clone.commit_file("docs/mine.md", "x\n")
    before = clone.snapshot()
    assert finish(clone) == ()
    assert clone.snapshot() == before


def test_a_hook_that_hangs_is_stopped(clone: Clone) -> None:
    clone.hook("pre-commit", "sleep 60")
    before = clone.snapshot()
    with pytest.raises(CommandTimedOut):
        commit(clone, timeout=0.5)
    assert clone.snapshot() == before


def test_a_post_commit_hook_that_hangs_does_not_undo_the_commit(clone: Clone) -> None:
    clone.hook("post-commit", "sleep 60")
    made = commit(clone, timeout=2.0)
    assert made.created
    assert clone("status", "--porcelain") == ""


def test_hand_edits_that_are_dropped_are_kept_and_shown(clone: Clone) -> None:
    commit(clone)
    (clone.directory / "requirements.txt").write_bytes(b"flask==2.0.0  # by hand\n")
    before = clone.snapshot()
    backup = keep_backup(clone.git, clone.app, GENERATED_FILES)
    assert backup is not None
    assert clone.snapshot() == before
    assert clone("show", f"{backup.ref}:{clone.full('requirements.txt')}") == "flask==2.0.0  # by hand"
    assert backup.paths == (clone.full("requirements.txt"),)
    assert "-flask==2.0.0  # by hand\n+flask==3.0.0\n" in backup.diff
    (clone.directory / "requirements.txt").write_bytes(GENERATED_FILES["requirements.txt"])
    assert keep_backup(clone.git, clone.app, GENERATED_FILES) is None
    assert keep_backup(clone.git, clone.app, {"requirements.txt": b"other\n"}) is None  # as in HEAD: nothing is lost


def test_files_already_committed_are_written_back_when_missing(clone: Clone) -> None:
    made = commit(clone)
    (clone.directory / "manifest.json").unlink()
    again = commit_generated(clone.git, clone.app, GENERATED_FILES, "m", expect_tree=clone.tree_with(GENERATED_FILES))
    assert again.commit == made.commit
    assert clone("status", "--porcelain") == ""
    assert run_git("rev-parse", "HEAD", cwd=clone.root) == made.commit
