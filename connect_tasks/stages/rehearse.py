"""The whole release without a server, a licence or a trace: scratch remote, scratch clone, local Connect server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .. import process
from ..configuration import App
from ..content.evidence import EvidenceStore
from ..emulator import NotStarted, Running, running, start
from ..errors import EmulatorMissing, Problem
from ..outcome import Report
from ..repository.git import Git
from ..repository.git_messages import failed
from ..repository.tree import GENERATED
from ..repository.work_tree_commit import commit_work_tree
from ..scratch import lasting_directory
from ..secret import Secret
from ..server.clone_address import repository_name
from ..server.connect import Connect
from ..server.server_address import ServerAddress
from ..server.stopwatch import Stopwatch
from ..world import World
from .release import release_one
from .serve import require_emulator

CLONE_TIMEOUT = 600.0
SHOWN = 8
TABLE = re.compile(rb"(?m)^\s*\[+\s*tool\s*\.\s*[\"']?connect-tasks\b")
WORK_TREE = "what is rehearsed is the work tree, as `git add --all && git commit` would commit it"


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """The scratch world of a rehearsal: clone, remote, server."""

    clone: Path
    url: str
    key: str
    repository: str
    branch: str
    pid: int


def rehearse(app: App, world: World, report: Report) -> None:
    """Release `app` on a scratch stage; nothing outside a scratch directory changes, nothing but the package index is
    contacted."""
    require_emulator()
    uncommitted = _takes_work_tree(world)
    for note in (WORK_TREE,) if uncommitted else _not_rehearsed(world.git, app):
        report.notes.append(note)
        world.console.note(note)
    with ExitStack() as stack:
        with world.console.stage(report, "setup") as setup:
            scratch = stack.enter_context(_setup(app, world, uncommitted=uncommitted))
            setup.detail = f"scratch clone of {world.git.root.name}, local Connect at {scratch.url}"
        rehearsed, around = _in_scratch(app, world, scratch, report.server)
        stack.callback(around.git.close)
        release_one(rehearsed, around, report)
        with world.console.stage(report, "visit") as visit:
            page = around.connect(rehearsed).visit(_page(report, rehearsed), timeout=app.verify.timeout)
            visit.detail = f"{page.url} answers {page.status}, commit {report.live_commit} is live"
        if world.options.keep:
            world.console.line(
                f"   the server stays up: {scratch.url}  key {scratch.key}  (stop it: kill {scratch.pid})"
            )


def _takes_work_tree(world: World) -> bool:
    """Whether HEAD is not what anybody wants to rehearse: there is none, or it lacks the table that `init` wrote."""
    head = world.git.resolve("HEAD")
    if world.options.work_tree or head is None:
        return True
    there = world.git.tree(head, ".").get("pyproject.toml")
    text = world.git.read([there.oid])[there.oid] if there else b""
    return world.options.path is None and TABLE.search(text) is None


def _page(report: Report, app: App) -> str:
    return f"{report.url}{app.verify.path.lstrip('/')}"


def _in_scratch(app: App, world: World, scratch: Scratch, waited: Stopwatch) -> tuple[App, World]:
    """The app and the world with everything that points outside replaced."""
    environ = {**world.environ, "CONNECT_SERVER": scratch.url, "CONNECT_API_KEY": scratch.key}
    environ.update({name: "rehearsal" for name in app.env if not environ.get(name)})
    header = {f"http.{scratch.url}/.extraHeader": f"Authorization: Key {scratch.key}"}
    git = _with_identity(Git.discover(scratch.clone, environ, header))
    rehearsed = replace(
        app,
        server=scratch.url,
        remote="origin",
        branch=scratch.branch,
        repository=scratch.repository,
        guid=None,
        target=None,
    )
    address = ServerAddress(url=scratch.url, key=Secret(scratch.key), source="the rehearsal")
    around = replace(
        world,
        git=git,
        environ=environ,
        evidence=EvidenceStore((git.common_dir / "connect-tasks" / "evidence",)),
        connect=lambda _: Connect(address, waited),
        passing=True,
    )
    return rehearsed, around


def _with_identity(git: Git) -> Git:
    """A fresh machine has no git identity; the rehearsal's commits may have a stand-in, a release's may not."""
    if git.setting("user.email") or git.environ.get("GIT_AUTHOR_EMAIL") or git.environ.get("EMAIL"):
        return git
    name, email = "connect_tasks rehearsal", "rehearsal@localhost"
    return git.with_environ(
        GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=email, GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=email
    )


# building the scene
# -----------------------------------------------------------------------------------------------------


@contextmanager
def _setup(app: App, world: World, *, uncommitted: bool) -> Iterator[Scratch]:
    git = world.git
    head = git.head()
    branch = app.branch or head.branch or "main"
    name = repository_name(git.remote_url(app.remote) or git.root.name)
    kept = world.options.keep
    scratch = lasting_directory("connect-rehearsal-") if kept else world.scratch / "rehearsal"
    repositories = scratch / "git"
    repositories.mkdir(parents=True)
    bare = repositories / f"{name}.git"
    _run(git, scratch, "clone", "--quiet", "--bare", "--", str(git.root), str(bare))
    commit = commit_work_tree(git, bare, message="As it would be committed") if uncommitted else head.commit
    _run(git, bare, "update-ref", f"refs/heads/{branch}", str(commit))
    _run(git, bare, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    _run(git, bare, "remote", "remove", "origin")
    clone = scratch / "clone"
    _run(git, scratch, "clone", "--quiet", "--branch", branch, "--", str(bare), str(clone))
    with _server(scratch / "connect", repositories, world.environ, leave=kept) as server:
        repository = server.git_url(name)
        _run(git, clone, "remote", "set-url", "origin", repository)
        _run(git, clone, "fetch", "--quiet", "origin")
        for generated in GENERATED:
            source = git.root / app.path / generated
            if source.is_file():
                shutil.copyfile(source, clone / app.path / generated)
        yield Scratch(
            clone=clone,
            url=server.url,
            key=server.api_key,
            repository=repository,
            branch=branch,
            pid=server.pid,
        )


def _run(git: Git, directory: Path, *arguments: str) -> None:
    env = {**git.environ, "GIT_LFS_SKIP_SMUDGE": "1"}
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        env.pop(name, None)
    done = process.run(["git", *arguments], cwd=directory, env=env, timeout=CLONE_TIMEOUT)
    if not done.ok:
        raise failed(done)


@contextmanager
def _server(data: Path, repositories: Path, environ: Mapping[str, str], *, leave: bool) -> Iterator[Running]:
    """The local Connect server. The publisher's own key has no business in its environment."""
    env = {name: value for name, value in environ.items() if name not in {"CONNECT_API_KEY", "CONNECT_SERVER"}}
    try:
        if leave:
            server = start(data, repositories, environment=env)
            yield server
            return
        with running(data, repositories, environment=env) as server:
            yield server
    except NotStarted as error:
        raise EmulatorMissing(str(error), hint="run it by hand: nox -s serve") from None


# what was not rehearsed
# -------------------------------------------------------------------------------------------------


def _not_rehearsed(git: Git, app: App) -> Iterator[str]:
    changes = git.changes(".")
    own = {name for name in (*changes.tracked, *changes.untracked) if os.path.basename(name) not in GENERATED}  # noqa: PTH119  # a git path
    if own:
        yield f"uncommitted, so not rehearsed: {_some(sorted(own))}"
    hooks = _hooks(git)
    if hooks:
        yield f"hooks, not rehearsed: {_some(hooks)}"
    if app.hooks:
        yield f"commands around stages, not rehearsed: {_some([name for name, _ in app.hooks])}"


def _hooks(git: Git) -> list[str]:
    try:
        directory = git.git_path("hooks")
        return sorted(
            path.name
            for path in directory.iterdir()
            if path.is_file() and path.suffix != ".sample" and os.access(path, os.X_OK)
        )
    except (OSError, Problem):
        return []


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
