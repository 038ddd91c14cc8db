"""Test a candidate: the entrypoint is imported and checked, the app's own tests run, and both are judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import process
from ..configuration import App
from ..content.entrypoint import Entrypoint, verify_entrypoint
from ..content.evidence import Evidence
from ..errors import TestsFailed
from ..foreign_text import plain
from ..world import World
from .crew import beside
from .test_plan import TestPlan
from .test_stands import PreparedTests, Stand, directory_of

#: pytest's exit status for "no test was collected".
NOTHING_COLLECTED = 5
#: Lines of a failing run that are shown.
TAIL = 60
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

    # What is wrong with the import is the cause of whatever goes wrong in the tests, and told first. It is shorter.
    with beside(tested) as ran, process.stepped_back():
        return TestRun(plan=plan, entrypoint=imported(), ran=ran())


def judge(app: App, world: World, run: TestRun) -> Evidence:
    """Evidence of a pass, not kept yet. Raises `TestsFailed`, after the end of what a failing run said."""
    for note in (run.ran and run.ran.note, *run.entrypoint.notes):
        if note:
            world.console.note(note)
    summary = "no tests" if run.ran is None else _judge(app, world, run.plan, run.ran)
    return Evidence.of(run.plan.subject, world.console.clean(summary))  # it is the runner's last line, whatever that is


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
