"""`release`: from source to a verified page. Where nothing is to be done, that is found first."""

from __future__ import annotations

from collections.abc import Sequence

from ..configuration import App
from ..errors import Problem
from ..outcome import Report, Result
from ..pipeline.standstill import Record, standing_still
from ..world import World


def release(apps: Sequence[App], world: World, reports: Sequence[Report]) -> None:
    """Freeze, describe, test, commit, push, deploy and verify; what is done already is not done again.

    Of several apps those that changed; a problem of one is on its own account and does not stop the others.
    """
    if is_fleet(apps, world):
        from ..pipeline.fleet import find_changed

        journeys, fleet = find_changed(apps, world, reports, settle=True)
        if journeys:
            from ..pipeline.fleet_release import release_all  # the heavy half

            release_all(journeys, fleet, world)
        return
    try:
        release_one(apps[0], world, reports[0])
    except Problem as problem:
        reports[0].fail(problem)


def is_fleet(apps: Sequence[App], world: World) -> bool:
    """Whether the apps have to be looked at together: one alone is released whatever changed since a commit."""
    return len(apps) > 1 or world.options.changed_since is not None


def say_still(world: World, report: Report, record: Record) -> None:
    """The good end of a run that finds all as the last release left it."""
    with world.console.stage(report, "facts") as stage:
        stage.result, stage.detail = Result.NOOP, "as the last release left it: tree, remote, server"
    report.result = Result.NOOP
    report.commit = report.pushed = report.live_commit = record.ship
    report.bundle, report.url = record.bundle, record.url
    world.console.note(f"nothing to do: {record.ship} is live at {record.url}")


def release_one(app: App, world: World, report: Report) -> None:
    """One app, whatever changed. Raises its `Problem`."""
    record = standing_still(app, world)
    if record is not None:
        say_still(world, report, record)
        return
    from ..pipeline.head_start import head_start  # not needed to find that nothing is to be done

    with head_start(app, world) as ahead:
        from ..pipeline.full_release import release_from_source  # the heavy half, while the tests run

        release_from_source(app, world, report, ahead)
