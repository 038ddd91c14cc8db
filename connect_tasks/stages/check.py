"""`check`: does what is committed describe its commit? Offline, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

from ..configuration import App
from ..errors import Drift
from ..manifest_changes import drifted
from ..manifest_check import check as find_changes
from ..outcome import Report, Result
from ..world import World

#: Differences that are spelled out on the terminal; the JSON report has all of them.
SHOWN = 20


def check(app: App, world: World, report: Report) -> None:
    """Compare facts, not bytes: a new version of ours is no drift. Raises `Drift` (exit code 2)."""
    index = world.environ.get("GIT_INDEX_FILE") if world.options.staged else None
    with world.console.stage(report, "check") as stage:
        changes = find_changes(
            app,
            world.git,
            staged=world.options.staged,
            index=Path(index).absolute() if index else None,
            configured=world.options.path is None,
        )
        report.changes = list(changes)
        stale = drifted(changes)
        stage.result = Result.FAILED if stale else Result.OK
        stage.detail = f"{len(changes)} differences" if changes else "requirements and manifest describe the commit"
    for change in changes[:SHOWN]:
        world.console.note(f"{change.kind}: {change.path or 'manifest'}: {change.detail}")
    if len(changes) > SHOWN:
        world.console.note(f"and {len(changes) - SHOWN} more")
    if stale:
        count = sum(not change.warning for change in changes)
        raise Drift(
            f"what is committed does not describe its commit: {count} difference{'s' if count > 1 else ''}",
            where=app.path,
            hint=_repair(world),
        )


def _repair(world: World) -> str:
    """The command that mends it."""
    if world.options.path is not None:
        return f"python -m connect_tasks manifest --path {world.options.path}"
    return "nox -s freeze manifest commit"
