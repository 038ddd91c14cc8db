"""The push: the remote's verdict, lost races replayed, and our commit kept when they can't be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connect_tasks.errors import PushRaceLost, PushRejected, RemoteUnreachable
from connect_tasks.repository.git_push import Pushed, push
from connect_tasks.repository.replay import Replay

from .conftest import GENERATED_FILES, Clone
from .conftest import git as run_git
from .test_generated_commit import commit


def pushed(clone: Clone, sha: str, timeout: float = 20.0, replay: bool = True) -> Pushed:
    return push(
        clone.git, "origin", "main", sha, timeout=timeout, replay=Replay(directory=clone.app.path) if replay else None
    )


def land(clone: Clone, path: str, content: str = "other\n") -> str:
    """Another clone's commit arrives on the remote."""
    sha = clone.commit_file(path, content)
    clone("push", "-q", "origin", "HEAD:main")
    return sha


def test_a_commit_lands_with_the_users_unpushed_ones(clone: Clone) -> None:
    clone.commit_file("docs/mine.md", "mine\n")
    sha = commit(clone).commit
    assert pushed(clone, sha).commit == sha == clone.remote_tip()
    assert pushed(clone, sha).commit == sha  # again: up to date


@pytest.mark.parametrize("app_path", ["apps/sales"])  # of an app at the root every commit changes the app
def test_a_lost_race_is_replayed_without_the_work_tree(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    theirs = land(clone_of("other"), "docs/other.md")
    (clone.root / "docs/readme.md").write_text("# edited\n")
    parent, sha = clone("rev-parse", "HEAD"), commit(clone).commit
    result = pushed(clone, sha)
    assert result.replayed_from == sha
    assert result.commit == clone.remote_tip() != sha
    assert run_git("rev-parse", f"{result.commit}^", cwd=clone.remote) == theirs
    assert run_git("rev-parse", f"{result.commit}:docs/other.md", cwd=clone.remote)
    message = "--format=%an %ae %at %cn %ct %B"
    assert run_git("log", "-1", message, result.commit, cwd=clone.remote) == clone("log", "-1", message, sha)
    assert clone("rev-parse", "HEAD") == parent
    clone("pull", "-q", "--ff-only")
    assert clone("rev-parse", "HEAD") == result.commit
    assert clone("status", "--porcelain") == " M docs/readme.md"


def test_unpushed_commits_of_the_user_stop_a_replay(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    theirs = land(clone_of("other"), "docs/other.md")
    clone.commit_file(clone.full("app.py"), "app = 2\n")
    sha = commit(clone).commit
    before = clone.snapshot()
    with pytest.raises(PushRaceLost) as lost:
        pushed(clone, sha)
    assert lost.value.where == f"remote {theirs}, ours {sha}"
    assert "not pushed yet" in lost.value.message
    assert clone.snapshot() == before


def test_an_app_that_moved_stops_a_replay(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    land(clone_of("other"), clone.full("app.py"), "app = 9\n")
    sha = commit(clone).commit
    before = clone.snapshot()
    with pytest.raises(PushRaceLost, match="changed there"):
        pushed(clone, sha)
    assert clone.snapshot() == before


def test_two_clones_with_the_same_app_end_in_sync(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    other = clone_of("other")
    first = pushed(other, commit(other).commit)
    second = pushed(clone, commit(clone).commit)
    assert second.commit == first.commit == clone.remote_tip()


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_refusal_is_shown_in_the_remotes_own_words(clone: Clone, hook: str) -> None:
    path = clone.remote / "hooks" / hook
    path.write_text("#!/bin/sh\necho 'main is protected, open a pull request' >&2\nexit 1\n")
    path.chmod(0o755)
    sha = commit(clone).commit
    before = clone.snapshot()
    with pytest.raises(PushRejected, match="main is protected, open a pull request"):
        pushed(clone, sha)
    assert clone.snapshot() == before


def test_the_users_pre_push_hook_runs_and_may_refuse(clone: Clone) -> None:
    clone.hook("pre-push", "echo run the linter first >&2; exit 1")
    sha = commit(clone).commit
    with pytest.raises(PushRejected, match="run the linter first"):
        pushed(clone, sha)
    assert clone.remote_tip() != sha


def test_a_push_whose_answer_is_lost_is_found_by_asking(clone: Clone) -> None:
    """The remote takes the commit, and the exchange ends with an error."""
    shim = clone.root.parent / "receive"
    shim.write_text('#!/bin/sh\ngit receive-pack "$@"\nkill -9 $PPID\n')
    shim.chmod(0o755)
    clone("config", "remote.origin.receivepack", str(shim))
    sha = commit(clone).commit
    result = pushed(clone, sha)
    assert result.commit == sha == clone.remote_tip()


def test_a_remote_that_is_gone_is_named(clone: Clone) -> None:
    sha = commit(clone).commit
    clone("remote", "set-url", "origin", str(clone.root.parent / "gone.git"))
    with pytest.raises(RemoteUnreachable, match="does not appear to be a git repository"):
        pushed(clone, sha)
    assert clone("rev-parse", "HEAD") == sha
    assert GENERATED_FILES.keys() <= {path.name for path in clone.directory.iterdir()}
