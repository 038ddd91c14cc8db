"""Commands of the user's own around the stages of a release, and after its failure.

What they mean is theirs: a backup before a deploy, a message to colleagues. One before a stage has a veto; one after it
comes too late for that, and its failure is told. A rehearsal runs none: they reach beyond its scratch directory.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from .. import process
from ..configuration import App
from ..errors import Problem, StageHookFailed
from ..outcome import Report, Result
from ..world import World

#: Seconds that a command may take.
TIMEOUT = 600.0
ON_FAILURE = "on_failure"


@contextmanager
def hooked(app: App, world: World, report: Report, stage: str) -> Iterator[None]:
    """The commands before and after a stage. Raises `StageHookFailed` before it; one after it leaves a note."""
    for command in _commands(app, world, f"before_{stage}"):
        failure = _failure(command, app, world, report, stage)
        if failure is not None:
            raise StageHookFailed(
                f"`{shlex.join(command)}` {failure}; {stage} was not begun",
                where=f"hooks.before_{stage}",
                hint="mend what it complains about, and run the same command again: it goes on where this one stopped",
            )
    yield
    _run_and_note(f"after_{stage}", app, world, report, stage)


def hooks_commit_or_push(app: App) -> bool:
    """Whether commands stand around its commit or its push: a veto is its own, so they can't be shared with others."""
    return any(name.endswith(("_commit", "_push")) for name, _ in app.hooks)


def run_on_failure(app: App, world: World, report: Report) -> None:
    """The commands for a run that has failed; what becomes of them changes nothing."""
    stage = next((each.name for each in reversed(report.stages) if each.result is Result.FAILED), "")
    _run_and_note(ON_FAILURE, app, world, report, stage)


def _run_and_note(hook: str, app: App, world: World, report: Report, stage: str) -> None:
    for command in _commands(app, world, hook):
        failure = _failure(command, app, world, report, stage)
        if failure is not None:
            note = f"hooks.{hook}: `{shlex.join(command)}` {failure}"
            report.notes.append(note)
            world.console.note(note)


def _commands(app: App, world: World, hook: str) -> tuple[tuple[str, ...], ...]:
    return () if world.passing else dict(app.hooks).get(hook, ())


def _failure(command: tuple[str, ...], app: App, world: World, report: Report, stage: str) -> str | None:
    """Run it at the root of the work tree -> how it failed, None if it did not."""
    said = {
        "APP": app.name,
        "TARGET": app.target,
        "STAGE": stage,
        "SHA": report.live_commit or report.pushed or report.commit or world.git.resolve("HEAD"),
        "BUNDLE": report.bundle,
        "URL": report.url,
    }
    env = {**world.environ, **{f"CONNECT_TASKS_{name}": value or "" for name, value in said.items()}}
    try:
        done = process.run(command, cwd=world.git.root, env=env, timeout=TIMEOUT, on_line=world.console.log)
    except Problem as problem:  # it does not exist, or takes too long
        return f"failed: {problem.message}"
    return None if done.ok else f"ended with status {done.status}"
