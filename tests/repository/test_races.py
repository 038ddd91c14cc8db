"""Many releases into one branch at the same time: all land, none by force, nothing of anybody's is lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from connect_tasks.content.connect_manifest import read_manifest, render_manifest
from connect_tasks.content.manifest_changes import compare, drifted
from connect_tasks.errors import Problem
from connect_tasks.repository.git_push import Pushed
from connect_tasks.repository.tree import FILE, Blob

from .conftest import Clone, release
from .conftest import git as run_git

WRITTEN = {
    "version": 1,
    "metadata": {"appmode": "python-flask", "entrypoint": "app:app"},
    "python": {"version": "3.11.0", "package_manager": {"name": "pip", "package_file": "requirements.txt"}},
}


def described(clone: Clone) -> dict[str, bytes]:
    """Generated files that fit the app as it stands at HEAD, made by the product's own renderer."""
    door = clone.git
    requirements = f"flask==3.0.{clone.app.name.removeprefix('app')}\n".encode()
    tree = dict(door.tree("HEAD", clone.app.path))
    tree["requirements.txt"] = Blob(FILE, door.store(clone.full("requirements.txt"), requirements))
    checksums = door.checksums(blob.oid for blob in tree.values())
    return {"requirements.txt": requirements, "manifest.json": render_manifest(WRITTEN, tree, checksums)}


def is_fresh(clone: Clone, revision: str, directory: str) -> bool:
    """Whether the manifest describes the files beside it, as `check` sees it."""
    door = clone.git
    tree = door.tree(revision, directory)
    content = door.read([tree["manifest.json"].oid])[tree["manifest.json"].oid]
    return not drifted(compare(read_manifest(content), tree, door.checksums(blob.oid for blob in tree.values())))


def apps_in_one_branch(remote: Path, count: int) -> None:
    seed = remote.parent / "seed"
    for number in range(count):
        (seed / f"apps/app{number}").mkdir(parents=True)
        (seed / f"apps/app{number}/app.py").write_text(f"app = {number}\n")
    run_git("add", "-A", cwd=seed)
    run_git("commit", "-qm", "apps", cwd=seed)
    run_git("push", "-q", str(remote), "main", cwd=seed)


def race(remote: Path, clones: list[Clone], timeout: float) -> list[Pushed]:
    """All at once: the remote itself takes no force while it lasts."""
    run_git("config", "receive.denyNonFastForwards", "true", cwd=remote)
    start = threading.Barrier(len(clones))

    def run(clone: Clone) -> Pushed:
        files = described(clone)
        start.wait(60)
        return release(clone, files, timeout=timeout)

    with ThreadPoolExecutor(len(clones)) as pool:
        return list(pool.map(run, clones))


@pytest.mark.parametrize("app_path", ["apps/sales"])
@pytest.mark.parametrize("count", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_different_apps_of_one_branch_all_land(remote: Path, clone_of: Callable[..., Clone], count: int) -> None:
    apps_in_one_branch(remote, count)
    clones = []
    for number in range(count):
        clone = clone_of(f"clone{number}")
        (clone.root / "docs/readme.md").write_text(f"edited by {number}\n")
        clones.append(replace(clone, app=replace(clone.app, name=f"app{number}", path=f"apps/app{number}")))
    results = race(remote, clones, timeout=30.0 + 5 * count)

    assert len({result.commit for result in results}) == count
    landed = run_git("rev-list", "main", cwd=remote).split()
    assert {result.commit for result in results} <= set(landed)
    assert len(landed) == count + 2  # one each, on the two of the seed
    for number, clone in enumerate(clones):
        clone("pull", "-q", "--ff-only")
        assert clone("rev-parse", "HEAD") == landed[0]
        assert clone("status", "--porcelain") == " M docs/readme.md"
        assert (clone.root / "docs/readme.md").read_text() == f"edited by {number}\n"
        assert is_fresh(clones[0], "origin/main", clone.app.path)


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_one_app_by_several_clones(remote: Path, clone_of: Callable[..., Clone]) -> None:
    """All make the same files: one commit lands, everybody ends in sync."""
    clones = [clone_of(f"clone{number}") for number in range(4)]
    results = race(remote, clones, timeout=60)
    assert {result.commit for result in results} == {clones[0].remote_tip()}
    for clone in clones:
        clone("pull", "-q", "--ff-only")
        assert clone("status", "--porcelain") == ""


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_clone_with_work_of_its_own_never_ships_a_manifest_that_does_not_fit(
    remote: Path, clone_of: Callable[..., Clone]
) -> None:
    """Random schedules: some clones carry commits of their users to the app, or beside it. Whatever wins, the branch
    never holds a manifest that is not of its files, and every commit is on the remote or kept where it was made."""
    seed = random.randrange(1 << 30)  # a schedule, no secret
    dice = random.Random(seed)  # same
    clones = [clone_of(f"clone{number}") for number in range(5)]
    for number, clone in enumerate(clones):
        if dice.random() < 0.6:
            path = dice.choice([clone.full(f"own{number}.py"), f"docs/own{number}.md"])
            clone.commit_file(path, f"{number}\n", message=f"own {number}")
    own = {clone.root: clone("rev-parse", "HEAD") for clone in clones}
    start = threading.Barrier(len(clones))

    def run(clone: Clone) -> Pushed | Problem:
        files = described(clone)
        start.wait(60)
        try:
            return release(clone, files, timeout=60)
        except Problem as problem:
            return problem

    with ThreadPoolExecutor(len(clones)) as pool:
        results = list(pool.map(run, clones))
    assert any(isinstance(result, Pushed) for result in results), f"seed {seed}: {results}"
    clones[0]("fetch", "-q")
    for revision in clones[0]("rev-list", "origin/main").split():
        if "manifest.json" in clones[0].git.tree(revision, "apps/sales"):
            assert is_fresh(clones[0], revision, "apps/sales"), f"seed {seed}: {revision} does not fit its files"
    for clone, result in zip(clones, results, strict=True):
        clone("fetch", "-q")
        kept = clone.git.is_ancestor(own[clone.root], "HEAD") or clone.git.is_ancestor(own[clone.root], "origin/main")
        assert kept, f"seed {seed}: {result}"
        assert clone("status", "--porcelain") in {
            "",
            "M  apps/sales/manifest.json",
            "A  apps/sales/manifest.json\nA  apps/sales/requirements.txt",
        }
        if isinstance(result, Problem):
            assert result.hint, f"seed {seed}"
            assert "git pull" in result.hint, f"seed {seed}"
