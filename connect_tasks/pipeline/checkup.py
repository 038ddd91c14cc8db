"""Everything that a release needs, looked at one by one: what is well is said, too.

The facts pass of a release finds what is wrong; here each of its problems is put into the line that it belongs to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping

from ..configuration import App
from ..content.candidate import Candidate, take_candidate
from ..content.content_policy import inspect_content
from ..errors import (
    BehindRemote,
    BranchNotOurs,
    CommandTimedOut,
    ContentNotInGit,
    GeneratedFileHidden,
    GitTooOld,
    IdentityMissing,
    NameRefused,
    NoCommits,
    OnAnotherBranch,
    OperationInProgress,
    Problem,
    RemoteMissing,
    RemoteUnreachable,
    RepositoryLocked,
    UncommittedChanges,
)
from ..packages.index_settings import further_indexes, index_source
from ..packages.uv_door import reach_index
from ..repository.git import Git
from ..repository.git_messages import own_words
from ..repository.repository_survey import RepositoryFacts, survey
from ..world import World
from .checkup_values import Check, Group, Verdict
from .preparation import Python, detect_entrypoint, find_python, find_source
from .release_facts import missing_variables
from .server_checkup import server_checks

COMPUTER, REPOSITORY, APP = Group(name="this computer"), Group(name="repository"), Group(name="app")
#: Free bytes below which an environment of a large framework may not fit, and below which none will.
LITTLE, TOO_LITTLE = 2 << 30, 200 << 20

#: Line -> the problems of the survey that belong to it.
_LINES: Mapping[str, tuple[type[Problem], ...]] = {
    "git": (GitTooOld,),
    "identity": (IdentityMissing,),
    "state": (OperationInProgress, RepositoryLocked),
    "files": (GeneratedFileHidden, ContentNotInGit, NameRefused),
    "remote": (RemoteMissing,),
    "branch": (NoCommits, OnAnotherBranch, BehindRemote),
}
_PUSH = (RemoteUnreachable, CommandTimedOut, BranchNotOurs)


def examine(app: App, world: World) -> Iterator[Check]:
    """Every check, in the order in which people would mend things; one that fails does not stop the others."""
    yield from _computer(app, world)
    facts = survey(world.git, app)
    yield from _repository(world.git, app, facts)
    candidate: Candidate | None = None
    python: Python | None = None
    try:
        candidate = take_candidate(world.git, app, pinned_at=facts.deploy_tip)
    except Problem as problem:
        yield from APP.failed("content", problem)
    if candidate is not None:
        yield from _content(app, world, candidate)
        try:
            python = find_python(world.git, app, candidate, world.environ)
            yield APP.passed("python", _said(python))
        except Problem as problem:
            yield from APP.failed("python", problem)
        yield from APP.asked("dependencies", lambda: find_source(world.git, app, candidate).spelling)
    for missing in missing_variables(app, world):
        yield from APP.failed("variables", missing)
    yield from server_checks(app, world, python)


# this computer ----------------------------------------------------------------------------------------------------


def _computer(app: App, world: World) -> Iterator[Check]:
    for name, place in (("disk", world.scratch), ("disk", world.cache)):
        free = shutil.disk_usage(next(there for there in (place, *place.parents) if there.exists())).free
        said = f"{free / (1 << 30):.1f} GB free for {'scratch' if place is world.scratch else 'the cache'} in {place}"
        if free >= LITTLE:
            yield COMPUTER.passed(name, said)
            continue
        cure = "make room, or point TMPDIR (scratch) or CONNECT_TASKS_CACHE (cache) elsewhere"
        yield Check(
            group=COMPUTER.name,
            name=name,
            verdict=Verdict.FAIL if free < TOO_LITTLE else Verdict.WARN,
            detail=said,
            hint=cure,
            exit_code=int(free < TOO_LITTLE),
        )
    directory = world.git.root / app.path
    yield from COMPUTER.asked("index", lambda: _index(app, world))
    if (directory / ".env").is_file():
        yield COMPUTER.passed("secrets", ".env stays here: Connect's variables are named by `env` in the configuration")


def _index(app: App, world: World) -> str:
    directory = world.git.root / app.path
    url, source = index_source(world.environ, directory)
    if not world.options.offline:
        reach_index(world.place("index"), world.environ, directory)
    further = further_indexes(world.environ, directory)
    return f"{url}, by {source}" + (f"; besides {further}" if further else "")


# the repository ---------------------------------------------------------------------------------------------------


def _repository(git: Git, app: App, facts: RepositoryFacts) -> Iterator[Check]:
    left = list(facts.problems)
    for name, kinds in _LINES.items():
        found = [problem for problem in left if isinstance(problem, kinds)]
        left = [problem for problem in left if problem not in found]
        for problem in found:
            yield from REPOSITORY.failed(name, problem)
        if not found:
            yield REPOSITORY.passed(name, _well(name, git, app, facts))
    yield from _push_right(app, facts, [problem for problem in left if isinstance(problem, _PUSH)])
    for problem in left:
        if isinstance(problem, UncommittedChanges):  # a release would stop; who works has such files all the time
            yield from REPOSITORY.failed("work tree", problem, verdict=Verdict.WARN)
        elif not isinstance(problem, _PUSH):
            yield from REPOSITORY.failed("other", problem)
    for warning in facts.warnings:
        yield REPOSITORY.warned("work tree", warning)
    if not facts.dirty and not facts.untracked:
        yield REPOSITORY.passed("work tree", "is as HEAD")


def _well(name: str, git: Git, app: App, facts: RepositoryFacts) -> str:
    """What a line says where none of its problems was found."""
    match name:
        case "git":
            return git.ask("version").text.strip().removeprefix("git version ")
        case "identity":
            return git.ask("var", "GIT_COMMITTER_IDENT").text.rpartition(">")[0] + ">"
        case "remote":
            return f"{app.remote}, {own_words(facts.remote_url or '')}"
        case "branch":
            return _branch(app, facts)
        case "files":
            return "the generated ones are not hidden from git, none is a submodule"
        case _:
            return "nothing is half done"


def _push_right(app: App, facts: RepositoryFacts, problems: list[Problem]) -> Iterator[Check]:
    branch = app.deploy_branch or facts.branch
    if problems:
        for problem in problems:
            yield from REPOSITORY.failed("push", problem)
    elif facts.remote_url is None or facts.head.commit is None or branch is None:
        yield REPOSITORY.skipped("push", "needs a remote, a branch and a commit")
    else:
        yield REPOSITORY.passed("push", f"{app.remote} would take {branch} (git push --dry-run)")


def _branch(app: App, facts: RepositoryFacts) -> str:
    commit = (facts.head.commit or "")[:10]
    there = f"at {facts.remote_tip[:10]}" if facts.remote_tip else "not there yet"
    unpushed = f", {len(facts.unpushed)} to push" if facts.unpushed else ""
    return f"{facts.branch} at {commit}; on {app.remote} {there}{unpushed}"


# the app ----------------------------------------------------------------------------------------------------------


def _content(app: App, world: World, candidate: Candidate) -> Iterator[Check]:
    try:
        found = detect_entrypoint(world.git, app, candidate)
        yield APP.passed("content", f"{found.mode.title}" + (f", {found.entrypoint}" if found.entrypoint else ""))
    except Problem as problem:
        yield from APP.failed("content", problem)
    policy = inspect_content(app, candidate.tree, world.git, cache_directory=world.cache / "clean")
    for refused in policy.problems:
        yield from APP.failed("files", refused)
    for warning in policy.warnings:
        yield APP.warned("files", warning)
    if not policy.problems:
        yield APP.passed("files", f"{len(candidate.tree)} files, none too large, none that looks like a secret")


def _said(python: Python | None) -> str:
    if python is None:
        return "this content needs none"
    return f"{python.interpreter.version}, {python.requirement.requires} by {python.requirement.source}"
