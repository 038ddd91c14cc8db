"""`check`: does what is committed describe its commit? Offline, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from ..configuration import App
from ..content.manifest_changes import drifted
from ..content.manifest_check import Checked, check_all
from ..errors import Drift, Problem
from ..outcome import Report, Result, StageOutcome
from ..repository.git import full_path
from ..repository.tree import GENERATED, MANIFEST
from ..world import World

#: Differences of an app that are spelled out on the terminal; the JSON report has all of them.
SHOWN = 20


def check(apps: Sequence[App], world: World, reports: Sequence[Report]) -> None:
    """Compare facts, not bytes: a new version of ours is no drift. A stale app's report ends with `Drift` (exit code
    2).

    All apps in one pass: git is asked as often for 500 as for one. Of several, a hook's commit concerns those that it
    touches.
    """
    staged, whole = world.options.staged, Report(verb="check")
    with world.console.stage(whole, "check") as stage:
        answers = check_all(
            apps,
            world.git,
            staged=staged,
            index=world.index if staged else None,
            configured=world.options.path is None,
            touched_only=staged and len(apps) > 1,
        )
        stale = sum(_result(answer) is Result.FAILED for answer in answers)
        stage.result = Result.FAILED if stale else Result.OK
        stage.detail = (
            _detail(answers[0]) if len(answers) == 1 else f"{len(answers)} apps, {stale or 'none'} of them stale"
        )
    for answer, report in zip(answers, reports, strict=True):
        seconds = whole.stages[0].seconds
        report.stages.append(
            StageOutcome(name="check", result=_result(answer), seconds=seconds, detail=_detail(answer))
        )
        report.changes = list(answer.changes)
        if answer.changes and len(answers) > 1:
            world.console.line(f"{answer.app.name}:")
        _show(answer, world)
        if problem := answer.problem or _drift(answer, world):
            report.fail(problem)


def _result(answer: Checked) -> Result:
    return Result.FAILED if answer.problem or drifted(answer.changes) else Result.OK


def _detail(answer: Checked) -> str:
    if answer.problem is not None:
        return answer.problem.message
    return _counted(len(answer.changes)) if answer.changes else "requirements and manifest describe the commit"


def _show(answer: Checked, world: World) -> None:
    for change in answer.changes[:SHOWN]:
        warning = "warning, " if change.warning else ""
        world.console.note(f"{warning}{change.kind}: {change.path or 'manifest'}: {change.detail}")
    if len(answer.changes) > SHOWN:
        world.console.note(f"and {len(answer.changes) - SHOWN} more")


def _drift(answer: Checked, world: World) -> Problem | None:
    count = sum(not change.warning for change in answer.changes)
    if not count:
        return None
    message = f"what is committed does not describe its commit: {_counted(count)}"
    return Drift(message, where=answer.app.path, hint=_repair(answer, world))


def _counted(count: int) -> str:
    return f"{count} difference{'' if count == 1 else 's'}"


def _repair(answer: Checked, world: World) -> str:
    """The command that mends it."""
    if world.options.path is not None:
        return f"python -m connect_tasks manifest --path {world.options.path}"
    if not world.options.staged:
        return "nox -s freeze manifest commit"
    pins = any(change.kind in {"pins", "requirements"} for change in answer.changes)
    verbs = ["freeze", "manifest"] if pins else ["manifest"]
    files = " ".join(full_path(answer.app.path, name) for name in (GENERATED if pins else (MANIFEST,)))
    return " && ".join([*(f"python -m connect_tasks {verb} --staged" for verb in verbs), f"git add {files}"])
