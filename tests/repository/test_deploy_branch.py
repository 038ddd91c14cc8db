"""The deploy branch: generated commits by plumbing, while everything of the user's stays where it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connect_tasks.errors import BranchNotOurs, CommitFailed, PushRaceLost
from connect_tasks.repository.deploy_branch import (
    DeployCommit,
    OnDeployBranch,
    commit_to_deploy_branch,
    filtered_tree,
    push_deploy_branch,
    source_of,
)
from connect_tasks.repository.git_push import Pushed

from .conftest import APP_FILES, GENERATED_FILES, Clone
from .conftest import git as run_git

BRANCH = "deploy/production"


def wanted(clone: Clone, files: dict[str, bytes] = GENERATED_FILES, *, orphan: bool = False) -> DeployCommit:
    return DeployCommit(
        branch=BRANCH,
        directory=clone.app.path,
        tree=clone.tree_with(files),
        source=clone("rev-parse", "HEAD"),
        message="Release sales",
        orphan=orphan,
    )


def make(clone: Clone, deploy: DeployCommit) -> OnDeployBranch:
    tip = clone.git.fetch("origin", BRANCH)
    return commit_to_deploy_branch(clone.git, deploy, remote_tip=tip, timeout=20)


def ship(clone: Clone, deploy: DeployCommit) -> Pushed:
    return push_deploy_branch(clone.git, "origin", deploy, make(clone, deploy), timeout=20)


def work_of(clone: Clone) -> object:
    """What of a clone a deploy must not move: everything but the deploy branch."""
    now = clone.snapshot()
    refs = [line for line in (now.refs + "\n" + now.remote_refs).splitlines() if BRANCH not in line]
    return (now.head, refs, now.index, now.status, now.diff, now.staged, now.files)


@pytest.mark.parametrize("orphan", [False, True], ids=["linear", "orphan"])
def test_the_branch_holds_what_ships_and_nothing_of_the_users_moves(clone: Clone, orphan: bool) -> None:
    (clone.directory / "app.py").write_text("app = 2\n")
    clone("add", "-A")
    (clone.root / "docs/readme.md").write_text("edited\n")
    before = work_of(clone)
    deploy = wanted(clone, orphan=orphan)
    first = ship(clone, deploy)
    assert work_of(clone) == before
    assert clone.remote_tip(BRANCH) == first.commit
    shipped = run_git("ls-tree", "-r", "--name-only", first.commit, cwd=clone.remote).splitlines()
    beside = {"docs/readme.md"} if clone.app.path == "." else set()
    assert set(shipped) == {clone.full(path) for path in [*APP_FILES, *GENERATED_FILES]} | beside
    assert source_of(clone.git, first.commit) == deploy.source == clone("rev-parse", "main")
    assert run_git("log", "-1", "--format=%s", first.commit, cwd=clone.remote) == "Release sales"

    second = ship(clone, wanted(clone, {"requirements.txt": b"flask==3.0.1\n"}, orphan=orphan))
    parents = run_git("log", "-1", "--format=%P", second.commit, cwd=clone.remote)
    assert parents == ("" if orphan else first.commit)
    assert work_of(clone) == before


def test_the_same_tree_makes_no_commit(clone: Clone) -> None:
    first = ship(clone, wanted(clone))
    clone.commit_file("docs/readme.md" if clone.app.path != "." else ".git-blame-ignore-revs", "x\n")
    if clone.app.path == ".":
        clone("reset", "-q", "--hard", "HEAD^")
    again = make(clone, wanted(clone))
    assert again == OnDeployBranch(commit=first.commit, created=False, base=first.commit)
    assert ship(clone, wanted(clone)).commit == first.commit


def test_a_commit_whose_push_failed_is_pushed_by_the_next_run(clone: Clone) -> None:
    first = make(clone, wanted(clone))
    assert clone.remote_tip(BRANCH) is None
    assert make(clone, wanted(clone)) == OnDeployBranch(commit=first.commit, created=False, base=None)
    assert ship(clone, wanted(clone)).commit == first.commit == clone.remote_tip(BRANCH)


def test_a_filter_keeps_files_off_the_branch(clone: Clone) -> None:
    door = clone.git
    tree = filtered_tree(door, clone.tree_with(GENERATED_FILES), frozenset({"app.py", *GENERATED_FILES}))
    assert set(door.tree(tree, ".")) == {"app.py", *GENERATED_FILES}


@pytest.mark.parametrize("where", ["remote", "local"])
def test_a_branch_of_people_is_never_written(clone: Clone, where: str) -> None:
    clone(
        "push" if where == "remote" else "branch",
        *(["-q", "origin", f"main:{BRANCH}"] if where == "remote" else [BRANCH]),
    )
    before = clone.snapshot()
    with pytest.raises(BranchNotOurs, match="Source-Commit"):
        ship(clone, wanted(clone))
    assert clone.snapshot() == before


def test_a_deploy_branch_on_which_a_person_committed_is_no_longer_ours(
    clone: Clone, clone_of: Callable[..., Clone]
) -> None:
    ship(clone, wanted(clone))
    other = clone_of("other", "-b", BRANCH)
    other.commit_file("hotfix.txt", "x\n")
    other("push", "-q", "origin", BRANCH)
    with pytest.raises(BranchNotOurs, match="the remote's"):
        ship(clone, wanted(clone, {"requirements.txt": b"x==1\n"}))


def test_a_branch_that_is_checked_out_is_not_moved_under_its_work_tree(clone: Clone) -> None:
    ship(clone, wanted(clone))
    deploy = wanted(clone, {"requirements.txt": b"x==1\n"})
    clone("worktree", "add", "-q", "../tree", BRANCH)
    with pytest.raises(BranchNotOurs, match="checked out"):
        ship(clone, deploy)


def test_the_local_branch_moves_by_compare_and_swap(clone: Clone) -> None:
    """Somebody moves it between our look and our write: here by the hook that runs within the update."""
    make(clone, wanted(clone))
    deploy = wanted(clone, {"requirements.txt": b"x==1\n"})
    lock = clone.root / ".git/refs/heads" / f"{BRANCH}.lock"
    lock.touch()
    with pytest.raises(CommitFailed, match="moved while"):
        make(clone, deploy)
    lock.unlink()
    assert make(clone, deploy).created


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_two_apps_share_a_deploy_branch_and_race_for_it(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    """The loser's commit is made again on top of the winner's; both apps are there in the end."""
    other = clone_of("other")
    other.commit_file("apps/costs/app.py", "costs\n")
    costs = DeployCommit(
        branch=BRANCH,
        directory="apps/costs",
        tree=other("rev-parse", "HEAD:apps/costs"),
        source=other("rev-parse", "HEAD"),
        message="Release costs",
    )
    sales = wanted(clone)
    made = make(clone, sales)
    ship(other, costs)
    result = push_deploy_branch(clone.git, "origin", sales, made, timeout=20)
    assert result.replayed_from == made.commit
    assert clone.remote_tip(BRANCH) == result.commit == clone("rev-parse", BRANCH)
    names = run_git("ls-tree", "-r", "--name-only", result.commit, cwd=clone.remote).splitlines()
    assert {"apps/costs/app.py", "apps/sales/manifest.json"} <= set(names)


def test_an_older_source_never_replaces_a_newer_one_that_won_the_race(
    clone: Clone, clone_of: Callable[..., Clone]
) -> None:
    made = make(clone, wanted(clone))
    other = clone_of("other")
    other.commit_file(other.full("app.py"), "app = 9\n")
    other("push", "-q", "origin", "main")
    newer = ship(other, wanted(other))
    clone("fetch", "-q", "origin", "main")
    with pytest.raises(PushRaceLost, match="newer"):
        push_deploy_branch(clone.git, "origin", wanted(clone), made, timeout=20)
    assert clone.remote_tip(BRANCH) == newer.commit


def test_the_same_source_shipped_by_two_clones_is_one_commit(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    made = make(clone, wanted(clone))
    second = clone_of("other")
    other = ship(second, wanted(second))
    result = push_deploy_branch(clone.git, "origin", wanted(clone), made, timeout=20)
    assert result.commit == other.commit == clone.remote_tip(BRANCH) == clone("rev-parse", BRANCH)
