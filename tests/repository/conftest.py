"""Real repositories: a bare remote, clones of it, and an app in them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connect_tasks.configuration import App
from connect_tasks.errors import raise_all
from connect_tasks.repository.generated_commit import commit_generated
from connect_tasks.repository.git import Git
from connect_tasks.repository.git_push import Pushed, push
from connect_tasks.repository.replay import Replay
from connect_tasks.repository.repository_survey import survey
from connect_tasks.repository.tree import FILE, Blob

APP_FILES = {"app.py": "app = 1\n", "static/style.css": "body {}\n", ".python-version": "3.11\n"}
GENERATED_FILES = {"requirements.txt": b"flask==3.0.0\n", "manifest.json": b'{"version": 1}\n'}

GIT_VERSION = tuple(
    int(part)
    for part in subprocess.run(["git", "version"], capture_output=True, text=True, check=True)
    .stdout.split()[2]
    .split(".")[:2]
)


def git(*args: str, cwd: Path, check: bool = True, **env: str) -> str:
    """The user's own git, as in a terminal."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, f"git {args}: {done.stderr}"
    return done.stdout.rstrip("\n")


@dataclass(frozen=True)
class Snapshot:
    """Everything of a clone and its remote that a failed or reading call must leave alone."""

    head: str
    refs: str
    remote_refs: str
    index: str
    status: str
    diff: str
    staged: str
    files: dict[str, str]


@dataclass(frozen=True)
class Clone:
    """A clone with an app in `app.path`."""

    root: Path
    remote: Path
    app: App
    doors: list[Git] = field(default_factory=list)

    def __call__(self, *args: str, check: bool = True, **env: str) -> str:
        return git(*args, cwd=self.root, check=check, **env)

    @property
    def git(self) -> Git:
        self.doors.append(Git.discover(self.root, os.environ))
        return self.doors[-1]

    @property
    def directory(self) -> Path:
        return self.root / self.app.path

    def full(self, path: str) -> str:
        return path if self.app.path == "." else f"{self.app.path}/{path}"

    def tree_with(self, files: dict[str, bytes]) -> str:
        """The id of the app's tree with these files laid over HEAD's."""
        door = self.git
        return door.overlay(
            "HEAD",
            self.app.path,
            {path: Blob(FILE, door.store(self.full(path), content)) for path, content in files.items()},
        )

    def commit_file(self, path: str, content: str, message: str = "work") -> str:
        """A commit of the user's; `path` from the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        self("add", "--", path)
        self("commit", "-qm", message)
        return self("rev-parse", "HEAD")

    def remote_tip(self, branch: str = "main") -> str | None:
        return git("rev-parse", "--verify", "-q", f"refs/heads/{branch}", cwd=self.remote, check=False) or None

    def hook(self, name: str, script: str) -> None:
        path = self.root / self("rev-parse", "--git-path", f"hooks/{name}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def snapshot(self) -> Snapshot:
        files = {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode)
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.root).parts
        }
        return Snapshot(
            head=self("rev-parse", "HEAD", check=False) + self("symbolic-ref", "HEAD", check=False),
            refs=self("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"),
            remote_refs=git("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.remote),
            index=self("ls-files", "-s", "-v"),
            status=self("--no-optional-locks", "status", "--porcelain=v2"),
            diff=self("diff", check=False),
            staged=self("diff", "--cached", check=False),
            files=files,
        )


@pytest.fixture(params=[".", "apps/sales"], ids=["root", "subdirectory"])
def app_path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def remote(tmp_path: Path, app_path: str) -> Path:
    """A bare repository with one commit on main: the app, and a file beside it."""
    bare, seed = tmp_path / "remote.git", tmp_path / "seed"
    git("init", "-q", "--bare", "-b", "main", str(bare), cwd=tmp_path)
    git("init", "-q", "-b", "main", str(seed), cwd=tmp_path)
    for path, content in {
        **{f"{app_path}/{path}": content for path, content in APP_FILES.items()},
        "docs/readme.md": "# Docs\n",
    }.items():
        (seed / path).parent.mkdir(parents=True, exist_ok=True)
        (seed / path).write_text(content)
    git("add", "-A", cwd=seed)
    git("commit", "-qm", "first", cwd=seed)
    git("push", "-q", str(bare), "main", cwd=seed)
    return bare


def release(
    clone: Clone, files: dict[str, bytes] | None = None, door: Git | None = None, timeout: float = 30.0
) -> Pushed:
    """The git half of a release, as the pipeline does it: facts, commit, push."""
    door, files = door or clone.git, files or GENERATED_FILES
    facts = survey(door, clone.app)
    raise_all(list(facts.problems))
    blobs = {path: Blob(FILE, door.store(clone.full(path), content)) for path, content in files.items()}
    tree = door.overlay("HEAD", clone.app.path, blobs)
    if facts.app_at_tip == tree:
        return Pushed(commit=str(facts.remote_tip))
    commit = commit_generated(door, clone.app, files, "Release sales\n", expect_tree=tree).commit
    replay = Replay(directory=clone.app.path)
    return push(door, clone.app.remote, str(facts.branch), commit, timeout=timeout, replay=replay)


@pytest.fixture
def clone_of(tmp_path: Path, remote: Path, app_path: str) -> Iterator[Callable[..., Clone]]:
    """Makes clones: `clone_of("name", *options, url=...)`."""
    doors: list[Git] = []

    def make(name: str, *options: str, url: str | None = None) -> Clone:
        git("clone", "-q", *options, "--", url or str(remote), str(tmp_path / name), cwd=tmp_path)
        app = App(name="sales", path=app_path, branch="main")
        return Clone(root=tmp_path / name, remote=remote, app=app, doors=doors)

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def clone(clone_of: Callable[..., Clone]) -> Clone:
    return clone_of("clone")
