"""`plan`: what `release` would do, by the very objects that it performs. Nothing is changed but remote-tracking refs,
which the facts pass of a release fetches too."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..configuration import App
from ..console import write
from ..diffs import diff_of
from ..errors import Problem
from ..outcome import EMPTY_PLAN, Report, Result
from ..pipeline.standstill import standing_still
from ..repository.git import full_path
from ..repository.tree import GENERATED
from ..world import World
from .release import is_fleet, say_still

if TYPE_CHECKING:
    from ..pipeline.fleet import Journey
    from ..pipeline.fleet_survey import Fleet
    from ..pipeline.planned import Planned
    from ..pipeline.shipping import Proposal

#: Lines of an app's plan that are shown; the JSON report has all of them.
SHOWN = 200


def plan(apps: Sequence[App], world: World, reports: Sequence[Report]) -> None:
    """Print the plan of each app's release. A report's exit code is 2 where its plan is not empty.

    With `--matrix` only the apps that changed are printed, to standard output.
    """
    if is_fleet(apps, world) or world.options.matrix is not None:
        _plan_fleet(apps, world, reports)
        return
    try:
        _plan_one(apps[0], world, reports[0])
    except Problem as problem:
        reports[0].fail(problem)


def _plan_fleet(apps: Sequence[App], world: World, reports: Sequence[Report]) -> None:
    from ..pipeline.crew import do_each
    from ..pipeline.fleet import find_changed
    from ..pipeline.matrix import Job, render_matrix

    journeys, fleet = find_changed(apps, world, reports, settle=False)
    if world.options.matrix is not None:
        jobs = [Job(app=one.app, because=one.because) for one in journeys]
        write(sys.stdout, render_matrix(world.options.matrix, jobs))
        return
    for report in reports:
        report.plan = EMPTY_PLAN
    do_each(journeys, lambda one: one.attempt(partial(_plan_journey, fleet=fleet)), jobs=world.options.jobs)


def _plan_journey(journey: Journey, *, fleet: Fleet) -> None:
    from ..pipeline.fleet_release import prepare

    journey.report.plan = None
    prepare(journey, fleet=fleet)
    _show(journey.world, journey.report, _planned(journey.app, journey.world, journey.proposed))


def _plan_one(app: App, world: World, report: Report) -> None:
    record = standing_still(app, world)
    if record is not None:
        say_still(world, report, record)
        report.plan = EMPTY_PLAN
        return
    from ..pipeline.full_release import find_facts, generate
    from ..pipeline.release_facts import gather_only
    from ..pipeline.shipping import begin, propose

    facts = find_facts(app, world, report, ask=gather_only)
    made = generate(app, world, report, facts)
    proposal = propose(app, world, facts, made.candidate, made.changes)
    begin(world, report, proposal)
    _show(world, report, _planned(app, world, proposal))


def _planned(app: App, world: World, proposal: Proposal) -> Planned:
    from ..pipeline.planned import Planned

    facts, content = proposal.facts, proposal.facts.server.content
    committed = facts.repository.deploy_tip or facts.candidate.commit
    return Planned(
        actions=proposal.actions,
        diffs=_diffs(app, world, committed, proposal.candidate.generated),
        guid=content.guid if content else None,
        drafts=facts.server.drafts,
    )


def _show(world: World, report: Report, planned: Planned) -> None:
    report.plan = planned.as_json()
    report.result = Result.CHANGED if planned.actions else Result.NOOP
    if not planned.actions:
        world.console.note(f"nothing to do: {report.live_commit} is live at {report.url}")
        return
    lines = list(planned.lines())
    for line in lines[:SHOWN]:
        world.console.note(line)
    if len(lines) > SHOWN:
        world.console.note(f"and {len(lines) - SHOWN} more lines: --json FILE has all of them")


def _diffs(app: App, world: World, commit: str, generated: Mapping[str, bytes]) -> dict[str, str]:
    """Of the generated files, against those that are committed."""
    tree = world.git.tree(commit, app.path)
    there = {name: tree[name].oid for name in GENERATED if name in tree}
    contents = world.git.read(there.values())
    diffs = {
        name: diff_of(full_path(app.path, name), contents[there[name]] if name in there else None, generated.get(name))
        for name in GENERATED
    }
    return {name: diff for name, diff in diffs.items() if diff}
