"""What our care costs on top of bare git: `python -m benchmarks.git_overhead [ROUNDS]`.

Two ratios, medians of interleaved rounds inside one process, so that the noise of the machine falls on both sides:

* commit and push: facts, commit and push of ours against `git fetch`, `push --dry-run --no-verify`, `status`, `commit`,
  `push`, run bare one after another (limit 1.3);
* deploy commit: ours against its bare plumbing calls, in a repository of 11,500 files (limit 1.5).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _figure import Figure, keep

from connect_tasks.configuration import App
from connect_tasks.errors import raise_all
from connect_tasks.repository.deploy_branch import DeployCommit, commit_to_deploy_branch
from connect_tasks.repository.generated_commit import commit_generated
from connect_tasks.repository.git import Git
from connect_tasks.repository.git_push import push
from connect_tasks.repository.replay import Replay
from connect_tasks.repository.repository_survey import survey
from connect_tasks.repository.tree import FILE, Blob

APP = App(name="sales", path="apps/sales", branch="main")
COMMIT_AND_PUSH_LIMIT = 1.3
DEPLOY_COMMIT_LIMIT = 1.5


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Medians in seconds, and the median of the rounds' own ratios."""

    name: str
    ours: float
    bare: float
    ratio: float
    limit: float

    def __str__(self) -> str:
        verdict = "within" if self.ratio <= self.limit else "OVER"
        return (
            f"{self.name}: {self.ours * 1000:.0f} ms, bare {self.bare * 1000:.0f} ms, "
            f"ratio {self.ratio:.2f} ({verdict} {self.limit})"
        )


def commit_and_push(scratch: Path, rounds: int = 15) -> Comparison:
    """Our facts, commit and push against the bare commands, in two clones of two equal remotes."""
    mine, theirs = (_clone(scratch / name, files=50) for name in ("ours", "bare"))
    door = Git.discover(mine, _environment(scratch))

    def ours(number: int) -> None:
        facts = survey(door, APP)
        raise_all(list(facts.problems))
        files = _generated(number)
        blobs = {name: Blob(FILE, door.store(f"{APP.path}/{name}", content)) for name, content in files.items()}
        tree = door.overlay("HEAD", APP.path, blobs)  # made by the stages before, which the bare side has not
        started = time.perf_counter()
        commit = commit_generated(door, APP, files, "Release sales\n", expect_tree=tree).commit
        push(door, "origin", "main", commit, timeout=60, replay=Replay(directory=APP.path))
        spent.append(time.perf_counter() - started)

    def surveyed(number: int) -> float:
        started = time.perf_counter()
        survey(door, APP)
        before = time.perf_counter() - started
        ours(number)
        return before + spent.pop()

    def bare(number: int) -> float:
        started = time.perf_counter()
        _git(theirs, "fetch", "-q", "origin")
        _git(theirs, "push", "-q", "--dry-run", "--no-verify", "origin", "main")
        _git(theirs, "status", "--porcelain")
        for name, content in _generated(number).items():
            (theirs / APP.path / name).write_bytes(content)
        _git(theirs, "commit", "-q", "-m", "Release sales", "--", *(f"{APP.path}/{name}" for name in _generated(0)))
        _git(theirs, "push", "-q", "origin", "main")
        return time.perf_counter() - started

    spent: list[float] = []
    return _compare("commit and push", surveyed, bare, rounds, COMMIT_AND_PUSH_LIMIT)


def deploy_commit(scratch: Path, rounds: int = 25) -> Comparison:
    """Our deploy commit against rev-parse, mktree per level, commit-tree and update-ref; 11,500 files beside it."""
    clone = _clone(scratch / "large", files=11_500)
    door = Git.discover(clone, _environment(scratch))
    branch = "deploy/production"
    source = _git(clone, "rev-parse", "HEAD")

    def tree_of(number: int) -> str:
        files = _generated(number)
        return door.overlay(
            "HEAD", APP.path, {name: Blob(FILE, door.store(name, content)) for name, content in files.items()}
        )

    def ours(number: int) -> float:
        tip = door.resolve(f"refs/heads/{branch}")
        wanted = DeployCommit(
            branch=branch, directory=APP.path, tree=tree_of(2 * number), source=source, message="Release sales"
        )
        started = time.perf_counter()
        commit_to_deploy_branch(door, wanted, remote_tip=tip, timeout=30)
        return time.perf_counter() - started

    def bare(number: int) -> float:
        tree = tree_of(2 * number + 1)
        started = time.perf_counter()
        tip = _git(clone, "rev-parse", f"refs/heads/{branch}")
        index = {"GIT_INDEX_FILE": str(scratch / "index")}
        (scratch / "index").unlink(missing_ok=True)
        _git(clone, "read-tree", f"--prefix={APP.path}/", tree, **index)
        root = _git(clone, "write-tree", **index)
        message = f"Release sales\n\nSource-Commit: {source}\n"
        commit = _git(clone, "commit-tree", "-p", tip, "-m", message, root)
        _git(clone, "update-ref", f"refs/heads/{branch}", commit, tip)
        return time.perf_counter() - started

    first = DeployCommit(branch=branch, directory=APP.path, tree=tree_of(-1), source=source, message="Release sales")
    commit_to_deploy_branch(door, first, remote_tip=None, timeout=30)
    return _compare("deploy commit", ours, bare, rounds, DEPLOY_COMMIT_LIMIT)


def _compare(
    name: str, ours: Callable[[int], float], bare: Callable[[int], float], rounds: int, limit: float
) -> Comparison:
    ours(0), bare(0)  # imports and caches are nobody's cost
    pairs = [(ours(number), bare(number)) for number in range(1, rounds + 1)]
    return Comparison(
        name=name,
        ours=statistics.median(pair[0] for pair in pairs),
        bare=statistics.median(pair[1] for pair in pairs),
        ratio=statistics.median(pair[0] / pair[1] for pair in pairs),
        limit=limit,
    )


def _generated(number: int) -> dict[str, bytes]:
    return {"requirements.txt": f"flask==3.0.{number}\n".encode(), "manifest.json": f'{{"v": {number}}}\n'.encode()}


def _clone(place: Path, *, files: int) -> Path:
    """A clone with the app and `files` more files, and its bare remote."""
    place.mkdir()
    clone = place / "clone"
    _git(place, "init", "-q", "--bare", "-b", "main", "remote.git")
    _git(place, "clone", "-q", "remote.git", "clone")
    _git(clone, "switch", "-qc", "main")
    for number in range(files):
        path = clone / f"apps/app{number // 100}/src/module{number % 10}/file{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {number}\n")
    (clone / APP.path).mkdir(parents=True, exist_ok=True)
    (clone / APP.path / "app.py").write_text("app = 1\n")
    for name, content in _generated(-2).items():
        (clone / APP.path / name).write_bytes(content)
    _git(clone, "add", "-A")
    _git(clone, "commit", "-qm", "first")
    _git(clone, "push", "-q", "origin", "main")
    return clone


def _environment(scratch: Path) -> dict[str, str]:
    """git with a configuration of its own."""
    config = scratch / "gitconfig"
    if not config.exists():
        config.write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n")
    return {**os.environ, "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}


def _git(directory: Path, *args: str, **env: str) -> str:
    """Bare git, as cheap as Python can start it."""
    scratch = next(parent for parent in directory.parents if (parent / "gitconfig").exists())
    done = subprocess.run(
        ["git", *args], cwd=directory, env={**_environment(scratch), **env}, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {args}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


def main(rounds: int) -> int:
    """Print both; 1 when one is over its limit."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _environment(scratch)
        comparisons = [commit_and_push(scratch, rounds), deploy_commit(scratch, rounds)]
    print("\n".join(map(str, comparisons)))
    for one in comparisons:
        against = "the same git commands, bare"
        keep(Figure(benchmark="git_overhead", what=one.name, against=against, value=one.ratio, limit=one.limit))
    return int(any(comparison.ratio > comparison.limit for comparison in comparisons))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
