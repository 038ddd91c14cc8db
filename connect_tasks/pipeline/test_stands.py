"""Where the app is run to be tested: exports of the candidate, environments of its frozen requirements, what it sees.

The app sees PATH, a scratch HOME, its locale and the variables that the configuration names; never the publisher's key,
in its place a dummy.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..configuration import App
from ..content.candidate import Candidate, export
from ..content.entrypoint import Entrypoint
from ..errors import TestPathMissing
from ..packages.environment import TestEnvironment, fit_here, local_requirements, test_environment
from ..packages.test_tools import TestTools, find_test_tools
from ..repository.git import Git
from ..repository.tree import REQUIREMENTS
from ..world import World
from .crew import beside
from .preparation import Python, detect_entrypoint, find_source
from .test_plan import TestPlan

#: For the import of the entrypoint.
NO_TOOLS = TestTools(lines=(), source="none")
#: Makes an environment of the pins and some tools, beside an export of the app.
MakeEnvironment = Callable[[TestTools, Path], TestEnvironment]
_LOCALE = re.compile(r"LANG|LANGUAGE|LC_.*|TZ")
#: Windows programs do not start without these.
_SYSTEM = ("SYSTEMROOT", "COMSPEC", "PATHEXT", "WINDIR")


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A place to run the app in: an export of its own, an environment, and the variables that it sees."""

    directory: Path
    environment: TestEnvironment
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PreparedTests:
    """All that a run needs, before anything of the app has run. `imports`, `tests`: None where there is nothing to."""

    plan: TestPlan
    entrypoint: Entrypoint  # by the sources
    imports: Stand | None
    tests: Stand | None


def prepare_tests(
    app: App,
    world: World,
    candidate: Candidate,
    python: Python | None,
    plan: TestPlan,
    *,
    make: MakeEnvironment | None = None,
) -> PreparedTests:
    """Export the candidate and make its environments, `make` those that are made already. Raises what making an
    environment raises."""
    make = make or environment_maker(app, world, candidate, python)
    guess = detect_entrypoint(world.git, app, candidate)
    if not (guess.mode.imported or plan.command):
        return PreparedTests(plan=plan, entrypoint=guess, imports=None, tests=None)

    def to_import() -> Stand | None:
        """In the pins alone: what only a test tool brings is missing on Connect."""
        if not guess.mode.imported:
            return None
        place = world.place("import")
        directory = export(world.git, candidate, place / "tree")
        environment = make(NO_TOOLS, directory)
        return Stand(
            directory=directory,
            environment=environment,
            env=app_environment(app, world.environ, environment.python, place),
        )

    def to_test() -> Stand | None:
        if not plan.command:
            return None
        place = world.place("test")
        directory = _export_with_tests(app, world.git, candidate, place)
        environment = make(tools_of(app, world.git, candidate), directory)
        env = app_environment(app, world.environ, environment.tools_python, place)
        return Stand(directory=directory, environment=environment, env=env)

    with beside(to_test) as tests:  # each with an export and a HOME of its own, since both may write
        return PreparedTests(plan=plan, entrypoint=guess, imports=to_import(), tests=tests())


def tools_of(app: App, git: Git, candidate: Candidate) -> TestTools:
    """What the app's tests need besides its pins. Raises `DependenciesMissing`."""
    return find_test_tools(app.test, candidate.tree, lambda path: candidate.text(git, path) or "")


def environment_maker(app: App, world: World, candidate: Candidate, python: Python | None) -> MakeEnvironment:
    """What makes environments for a candidate.

    For content without a Python it is ours: whatever its test command is, it needs no more.
    """
    if python is None:
        ours = Path(sys.executable)
        return lambda _tools, _directory: TestEnvironment(python=ours, tools_python=ours)
    requirements = candidate.generated[REQUIREMENTS]
    if not fit_here(requirements, app.platform):
        place = world.place("local")
        requirements = local_requirements(
            find_source(world.git, app, candidate),
            requirements,
            interpreter=python.interpreter,
            platform=app.platform,
            directory=export(world.git, candidate, place / "tree"),
            scratch=place,
            environ=world.environ,
            offline=world.options.offline,
        )
    return lambda tools, directory: test_environment(
        requirements,
        tools,
        interpreter=python.interpreter,
        templates=world.templates,
        place=world.environment_place("tests"),
        scratch=world.place("environment"),
        environ=world.environ,
        directory=directory,
        offline=world.options.offline,
    )


def app_environment(app: App, environ: Mapping[str, str], python: Path, scratch: Path) -> dict[str, str]:
    """The variables that the app sees under test."""
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    names = {*app.env, *app.test.env, *_SYSTEM}
    env = {name: value for name, value in environ.items() if name in names or _LOCALE.fullmatch(name)}
    env |= {
        "PATH": os.pathsep.join((str(python.parent), environ.get("PATH", os.defpath))),
        "HOME": str(home),
        "TMPDIR": str(home),
        "CONNECT_SERVER": "http://127.0.0.1:1/",
        "CONNECT_API_KEY": "dummy-key-of-a-test-run",
    }
    return env


def _export_with_tests(app: App, git: Git, candidate: Candidate, stage: Path) -> Path:
    """The candidate, and declared test paths that lie elsewhere in the repository, each at its own place."""
    top = stage / "tree"
    directory = top if app.path == "." else top / app.path
    directory.mkdir(parents=True)
    export(git, candidate, directory)
    for path in app.test.paths:
        if app.path in {".", path} or path.startswith(f"{app.path}/"):
            continue  # part of the app's own tree
        _export_path(git, candidate.commit, path, top)
    return directory


def _export_path(git: Git, commit: str, path: str, top: Path) -> None:
    tree = git.tree_id(commit, path)
    if tree is not None:
        (top / path).mkdir(parents=True, exist_ok=True)
        git.export(tree, top / path)
        return
    parent, _, name = path.rpartition("/")
    blob = git.tree(commit, parent or ".").get(name)
    if blob is None:
        raise TestPathMissing(
            f"the commit {commit[:10]} has no {path}", where="test.paths", hint=f"git add {path} && git commit"
        )
    (top / parent).mkdir(parents=True, exist_ok=True)
    (top / path).write_bytes(git.read([blob.oid])[blob.oid])


def directory_of(app: App, path: str, directory: Path) -> Path:
    """Where a path of the repository stands in the export of the app at `directory`."""
    depth = 0 if app.path == "." else len(app.path.split("/"))
    top = directory if depth == 0 else directory.parents[depth - 1]
    return top / path
