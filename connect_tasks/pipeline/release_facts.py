"""Everything that a release must know before its first write, and all that could stop it, found in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..configuration import App
from ..content.candidate import Candidate, take_candidate
from ..content.content_policy import inspect_content
from ..errors import Problem, PythonNotOnServer, RemoteMissing, VariableMissing, raise_all
from ..repository.git import Git
from ..repository.interrupted_run import finish_interrupted
from ..repository.repository_survey import RepositoryFacts, survey
from ..server.clone_address import clone_address
from ..server.connect import Connect
from ..server.deployment_records import read_records
from ..server.server_drift import Difference
from ..server.server_survey import ServerFacts, survey_server
from ..world import World
from .configuration_history import at_hand, find_differences
from .crew import beside
from .preparation import Python, find_python

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of one app on one target. `head_tree`: the id of the app's tree at HEAD."""

    repository: RepositoryFacts
    server: ServerFacts
    connect: Connect
    candidate: Candidate
    python: Python | None  # None for content without one
    head_tree: str
    differences: tuple[Difference, ...] = ()  # between the configuration and the item on the server

    @property
    def shipped(self) -> str | None:
        """The tree id of the app at the tip of the remote branch."""
        return self.repository.app_at_tip


def gather(app: App, world: World, *, writing: bool = True, meanwhile: Callable[[], object] = lambda: None) -> Facts:
    """Ask git, the server and this machine, after what a killed run left is finished. `writing`: something may be
    committed and pushed. `meanwhile` is done while the remote answers. Raises one `Problem`, or all of them together as
    `Problems`."""
    allow_dirty = world.options.allow_dirty
    repository = survey_settled(app, world, allow_dirty=allow_dirty, writing=writing, meanwhile=meanwhile)
    return gather_around(repository, app, world)


def gather_only(app: App, world: World) -> Facts:
    """The same, with nothing changed in this clone but remote-tracking refs."""
    return gather_around(survey(world.git, app, allow_dirty=world.options.allow_dirty), app, world)


def gather_around(repository: RepositoryFacts, app: App, world: World) -> Facts:
    """The same, where the repository is surveyed already."""
    problems: list[Problem] = list(repository.problems)
    problems += missing_variables(app, world)
    linkable = repository.remote_url is not None or app.repository is not None
    theirs: list[Problem] = []
    with beside(
        lambda: _collected(theirs, lambda: _there(app, world, repository) if linkable else _knock(app, world))
    ) as answered:
        here = _collected(problems, lambda: _here(app, world, repository, problems))
        there = answered()
    raise_all([*problems, *theirs])
    if here is None or there is None:
        raise LookupError("a fact without a value, and without a problem")
    (candidate, python), (connect, server) = here, there
    if python is not None:
        raise_all(list(python_problems(connect, python)))
    return Facts(
        repository=repository,
        server=server,
        connect=connect,
        candidate=candidate,
        python=python,
        head_tree=world.git.tree_id(candidate.commit, app.path) or "",
        differences=find_differences(
            world.git, app, server, remote=repository.remote, scratch=lambda: world.place("configured")
        ),
    )


def survey_settled(
    app: App,
    world: World,
    *,
    allow_dirty: bool,
    writing: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
) -> RepositoryFacts:
    """The survey, after what a killed run left undone in this clone is finished."""
    found = survey(world.git, app, allow_dirty=allow_dirty, writing=writing, meanwhile=meanwhile)
    finished = finish_interrupted(world.git, app, remote_tip=found.remote_tip)
    for note in finished:
        world.console.note(note)
    return survey(world.git, app, allow_dirty=allow_dirty, writing=writing) if finished else found


def _collected(problems: list[Problem], ask: Callable[[], Found]) -> Found | None:
    """What `ask` finds; its problem is kept for later, so that all of them are told together."""
    try:
        return ask()
    except Problem as problem:
        problems.append(problem)
        return None


def _here(
    app: App, world: World, repository: RepositoryFacts, problems: list[Problem]
) -> tuple[Candidate, Python | None]:
    candidate = take_candidate(world.git, app, pinned_at=repository.deploy_tip)
    content = inspect_content(app, candidate.tree, world.git, cache_directory=world.cache / "clean")
    problems += content.problems
    for warning in content.warnings:
        world.console.note(warning)
    return candidate, find_python(world.git, app, candidate, world.environ)


def _there(app: App, world: World, repository: RepositoryFacts) -> tuple[Connect, ServerFacts]:
    return _survey_server(app, world, remote_url=repository.remote_url, branch=repository.branch)


def survey_item(app: App, world: World) -> tuple[Connect, ServerFacts]:
    """The server's side alone, for verbs that neither commit nor push. Raises as `survey_server`, and
    `RemoteMissing`."""
    url = world.git.remote_url(app.remote)
    if url is None and app.repository is None:
        hint = "git remote add NAME URL, or correct `remote` in [tool.connect-tasks]"
        raise RemoteMissing(f"the repository has no remote {app.remote!r}", hint=hint)
    return _survey_server(app, world, remote_url=url, branch=app.branch or world.git.head().branch)


def _survey_server(
    app: App, world: World, *, remote_url: str | None, branch: str | None
) -> tuple[Connect, ServerFacts]:
    connect = world.connect(app)
    return connect, survey_server(
        connect,
        app,
        repository=app.repository or clone_address(remote_url or ""),
        branch=app.deploy_branch or branch or "",
        records=read_records(world.git.root / app.path),
    )


def _knock(app: App, world: World) -> None:
    """The missing remote is a problem already; a dead server or a wrong key would be another."""
    world.connect(app).user()


def missing_variables(app: App, world: World) -> Iterator[Problem]:
    for name in app.env:
        if name not in world.environ:
            yield VariableMissing(
                f"the app's environment variable {name} has no value here",
                where="env in [tool.connect-tasks]",
                hint=f"export {name}=... (an empty value counts)",
            )


def python_problems(connect: Connect, python: Python) -> Iterator[Problem]:
    """The server must have a Python that the app accepts; a server that lists none is not asked twice."""
    versions = connect.python_versions()
    if not versions:
        return
    try:
        wanted = SpecifierSet(python.requirement.requires)
    except InvalidSpecifier:
        return
    if not any(wanted.contains(version) for version in versions):
        yield PythonNotOnServer(
            f"the app wants Python {python.requirement.requires}, the server has {', '.join(versions)}",
            where=python.requirement.source,
            hint="declare a Python that the server has, or ask its administrator for this one",
        )


def is_live(app: App, git: Git, facts: Facts, tree: str) -> bool:
    """Whether the app's tree of the live commit is `tree`."""
    live = facts.server.live_commit
    if live is None:
        return False
    return at_hand(git, facts.repository.remote, live) and git.tree_id(live, app.path) == tree
