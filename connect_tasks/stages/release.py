"""`release`: from source to a verified page. Where nothing is to be done, that is found first."""

from __future__ import annotations

from ..configuration import App
from ..outcome import Report, Result
from ..pipeline.standstill import Record, standing_still
from ..world import World


def release(app: App, world: World, report: Report) -> None:
    """Freeze, describe, test, commit, push, deploy and verify `app`; what is done already is not done again."""
    record = standing_still(app, world)
    if record is not None:
        say_still(world, report, record)
        return
    from ..pipeline.full_release import (
        release_from_source,  # the heavy half: not needed to find that nothing is to be done
    )

    release_from_source(app, world, report)


def say_still(world: World, report: Report, record: Record) -> None:
    """The good end of a run that finds all as the last release left it."""
    with world.console.stage(report, "facts") as stage:
        stage.result, stage.detail = Result.NOOP, "as the last release left it: tree, remote, server"
    report.result = Result.NOOP
    report.commit = report.pushed = report.live_commit = record.ship
    report.bundle, report.url = record.bundle, record.url
    world.console.note(f"nothing to do: {record.ship} is live at {record.url}")
