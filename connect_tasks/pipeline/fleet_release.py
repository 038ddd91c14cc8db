"""A release of many apps: each is prepared and tested by itself, they are committed and pushed together, then each is
deployed by itself. What happens to one does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..configuration import App
from ..errors import HookRewrote, Interrupted
from ..repository.repository_survey import NO_CHANGES, survey
from ..world import World
from .actions import Action, Shipment
from .crew import do_each
from .fleet import Journey
from .fleet_push import commit_and_push
from .fleet_survey import Fleet
from .full_release import find_facts, generate, ship_rewritten
from .performance import perform
from .release_facts import Facts, gather_around
from .shipping import begin, end_as_it_was, end_changed, performance_of, propose

#: Stages that come before anything is committed.
BEFORE = ("test", "polling")


def release_all(journeys: Sequence[Journey], fleet: Fleet, world: World) -> None:
    """Release the apps that changed. Every problem is put on the account of its app."""
    jobs = world.options.jobs
    try:
        do_each(journeys, lambda one: one.attempt(partial(_prepare_and_test, fleet=fleet)), jobs=jobs)
        commit_and_push(journeys, world)
        do_each(journeys, lambda one: one.attempt(_finish), jobs=jobs)
    except KeyboardInterrupt:
        for one in journeys:
            if one.report.error is None and (one.proposal is None or one.left):
                hint = "run the same command again: it goes on where this one stopped"
                one.report.fail(Interrupted("interrupted", hint=hint))
        raise


def prepare(journey: Journey, *, fleet: Fleet) -> None:
    """Facts, generated files, and what is left to do: decided and not done."""
    app, world, report = journey.app, journey.world, journey.report
    facts = find_facts(app, world, report, ask=partial(_facts, fleet=fleet))
    made = generate(app, world, report, facts)
    journey.changes = made.changes
    journey.proposal = propose(app, world, facts, made.candidate, made.changes)
    journey.left, journey.shipment = journey.proposal.actions, journey.proposal.shipment
    begin(world, report, journey.proposal)


def _prepare_and_test(journey: Journey, *, fleet: Fleet) -> None:
    prepare(journey, fleet=fleet)
    if not journey.left:
        end_as_it_was(journey.app, journey.world, journey.report, journey.proposed)
        return
    first = tuple(action for action in journey.left if action.stage in BEFORE)
    journey.shipment = _perform(journey, first)
    journey.left = journey.left[len(first) :]


def _finish(journey: Journey) -> None:
    """What is left: the server's part as a rule; the commit and the push too, of an app that goes by itself."""
    if not journey.left:
        return
    app, world, report, proposal = journey.app, journey.world, journey.report, journey.proposed
    try:
        done = _perform(journey, journey.left)
    except HookRewrote as rewritten:
        journey.left = ()
        ship_rewritten(app, world, report, proposal.facts, proposal.candidate, rewritten, journey.changes)
        return
    journey.left = ()
    end_changed(app, world, report, proposal, done)


def _perform(journey: Journey, actions: Sequence[Action]) -> Shipment:
    how = performance_of(journey.app, journey.world, journey.proposed)
    return perform(actions, journey.shipped, how, journey.report)


def _facts(app: App, world: World, *, fleet: Fleet) -> Facts:
    repository = survey(
        world.git,
        app,
        allow_dirty=world.options.allow_dirty,
        contact=fleet.contacts.get(app.remote),
        changes=fleet.changes.get(app.path, NO_CHANGES),
    )
    return gather_around(repository, app, world)
