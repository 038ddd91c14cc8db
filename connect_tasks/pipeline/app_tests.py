"""Test a candidate: the entrypoint is imported and checked, the app's own tests run, in an environment of the frozen
requirements.

The app sees PATH, a scratch HOME, its locale and the variables that the configuration names; never the publisher's key,
in its place a dummy.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import process
from ..configuration import App
from ..content.candidate import Candidate, export
from ..content.entrypoint import Entrypoint, verify_entrypoint
from ..content.evidence import Evidence, TestSubject
from ..errors import RequirementsMissing, TestPathMissing, TestsFailed
from ..foreign_text import plain
from ..packages.environment import TestEnvironment, fit_here, local_requirements, test_environment
from ..packages.test_tools import TestTools, find_test_tools
from ..repository.git import Git
from ..repository.tree import REQUIREMENTS
from ..world import World
from .crew import beside
from .preparation import Python, detect_entrypoint, find_source

#: pytest's exit status for "no test was collected".
NOTHING_COLLECTED = 5
#: For the import of the entrypoint.
NO_TOOLS = TestTools(lines=(), source="none")
#: Lines of a failing run that are shown.
TAIL = 60
#: Makes an environment of the pins and some tools, beside an export of the app.
MakeEnvironment = Callable[[TestTools, Path], TestEnvironment]
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_LOCALE = re.compile(r"LANG|LANGUAGE|LC_.*|TZ")
#: Where pytest reads its configuration, and what marks it there; of some the file alone.
_PYTEST_FILES = {
    "pytest.ini": "",
    ".pytest.ini": "",
    "pytest.toml": "",
    ".pytest.toml": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
#: Windows programs do not start without these.
_SYSTEM = ("SYSTEMROOT", "COMSPEC", "PATHEXT", "WINDIR")


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """What will be tested and how; `command` is empty where there are no tests."""

    __test__ = False  # pytest must not collect it

    subject: TestSubject
    command: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.command) or "the import of its entrypoint (no tests found)"


def plan_tests(
    app: App, git: Git, candidate: Candidate, python: Python | None, *, ships: str | None = None
) -> TestPlan:
    """The run that would be evidence for this candidate. Pure but for reading tree ids.

    `ships` is the id of the tree that reaches the server, where that is only a part of the candidate.
    """
    requirements = candidate.generated.get(REQUIREMENTS, b"" if python is None else None)
    if requirements is None:
        raise RequirementsMissing("there is no requirements.txt yet", where=app.path, hint="nox -s freeze")
    command = app.test.command or (("pytest",) if python is not None and has_tests(app, candidate) else ())
    outside = tuple((path, _object_at(git, candidate.commit, path)) for path in app.test.paths)
    subject = TestSubject(
        app_tree=ships or candidate.tree_id,
        requirements=hashlib.sha256(requirements).hexdigest(),
        python=f"{python.minor[0]}.{python.minor[1]}" if python else "",
        command=command,
        entrypoint=f"{app.mode or ''} {app.entrypoint or ''}".strip(),
        extra_trees=outside,
    )
    return TestPlan(subject=subject, command=command)


def has_tests(app: App, candidate: Candidate) -> bool:
    return bool(app.test.paths) or any(_TEST_FILE.search(path) for path in candidate.tree)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How the test command ended; `note` about its environment."""

    status: int
    lines: Sequence[str]
    note: str | None


@dataclass(frozen=True, kw_only=True)
class TestRun:
    """What a run has found out. `entrypoint`: as its import verified it; `ran` is None where there are no tests."""

    __test__ = False  # pytest must not collect it

    plan: TestPlan
    entrypoint: Entrypoint
    ran: Ran | None = None


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


def run_tests(
    app: App,
    prepared: PreparedTests,
    *,
    untracked: Callable[[], Collection[str]],
    progress: Callable[[str], object],
) -> TestRun:
    """Import the entrypoint and run the tests. Says nothing but to `progress`, line by line. `untracked`: the app's
    files that git does not track. Raises `EntrypointWrong`."""
    plan, imports, tests = prepared.plan, prepared.imports, prepared.tests

    def imported() -> Entrypoint:
        if imports is None:
            return prepared.entrypoint
        python = imports.environment.python
        return verify_entrypoint(python, imports.directory, app.mode, app.entrypoint, imports.env, untracked=untracked)

    def tested() -> Ran | None:
        return None if tests is None else _run_command(app, plan, tests, progress)

    # What is wrong with the import is the cause of whatever goes wrong in the tests, and told first.
    with beside(tested) as ran:
        return TestRun(plan=plan, entrypoint=imported(), ran=ran())


def judge(app: App, world: World, run: TestRun) -> Evidence:
    """Evidence of a pass, not kept yet. Raises `TestsFailed`, after the end of what a failing run said."""
    for note in (run.ran and run.ran.note, *run.entrypoint.notes):
        if note:
            world.console.note(note)
    summary = "no tests" if run.ran is None else _judge(app, world, run.plan, run.ran)
    return Evidence.of(run.plan.subject, world.console.clean(summary))  # it is the runner's last line, whatever that is


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
        cache=world.cache,
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


def _run_command(app: App, plan: TestPlan, stand: Stand, progress: Callable[[str], object]) -> Ran:
    environment, directory = stand.environment, stand.directory
    program, *rest = plan.command
    argv: list[str | Path] = [program, *rest]
    if program in {"pytest", "python"}:
        module = ("-m", "pytest") if program == "pytest" else ()
        argv = [environment.tools_python, *module, *rest]
    if program == "pytest":
        argv += [os.path.relpath(directory_of(app, path, directory), directory) for path in app.test.paths]
        if not _configures_pytest(directory):
            argv += ["-c", os.devnull, "--rootdir", directory]
    lines: list[str] = []

    def follow(line: str) -> None:
        lines.append(plain(line).rstrip())
        progress(line)

    done = process.run(
        argv,
        cwd=directory,
        env={**stand.env, "PYTHONPATH": str(directory)},  # the app's directory first, as on Connect
        timeout=app.test.timeout,
        on_line=follow,
    )
    return Ran(status=done.status, lines=lines, note=environment.note)


def _configures_pytest(directory: Path) -> bool:
    """Whether an export holds a configuration of pytest's. Where it doesn't, pytest would look for one in the
    directories above, and those of temporary files are everybody's."""
    found = (path for path in directory.rglob("*") if path.name in _PYTEST_FILES and path.is_file())
    return any(_PYTEST_FILES[path.name] in path.read_text(encoding="utf-8", errors="replace") for path in found)


def _judge(app: App, world: World, plan: TestPlan, ran: Ran) -> str:
    """The summary of a pass. Raises `TestsFailed`, after the end of what a failing run said."""
    if ran.status == 0:
        return _summary(ran.lines)
    if plan.command[0] == "pytest" and ran.status == NOTHING_COLLECTED and app.test.command is None:
        return "no tests"
    for line in ran.lines[-TAIL:]:
        world.console.line(f"   | {line}")
    raise TestsFailed(
        f"the app's tests failed: {_summary(ran.lines) or f'exit status {ran.status}'}",
        where=f"{' '.join(plan.command)} in an export of {app.path}",
        hint="mend the app or its tests, commit, and run the same command again",
    )


def _summary(lines: Sequence[str]) -> str:
    """The runner's last words: pytest's `4 passed in 0.1s`, without its frame."""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return last.strip("= ").strip()


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


def _object_at(git: Git, commit: str, path: str) -> str:
    """The id of a tree or blob, "" where there is none."""
    found = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
    return found.text.strip() if found.ok else ""
