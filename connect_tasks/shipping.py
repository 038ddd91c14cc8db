"""From a candidate whose generated files are made to a live page: what is left is planned and performed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .actions import Shipment
from .app_tests import plan_tests
from .candidate import Candidate
from .commit_message import commit_message
from .configuration import App
from .outcome import Report, Result
from .performance import Performance, journal_of, note_shipment, perform
from .release_facts import Facts, is_live
from .release_plan import Decided, plan_release
from .requirements_file import PinChange
from .world import World


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is done already: the commit on the remote that holds the tree, and whether it is live."""

    ship: str | None
    live: bool


def standing(app: App, world: World, facts: Facts, candidate: Candidate) -> Standing:
    """Derived from git and the server each time; HEAD is preferred to the remote's tip where both hold the tree."""
    tip, head = facts.repository.remote_tip, facts.candidate.commit
    ship = None
    if tip is not None and facts.shipped == candidate.tree_id:
        ship = head if facts.head_tree == candidate.tree_id and world.git.is_ancestor(head, tip) else tip
    live = ship is not None and not world.options.force and is_live(app, world.git, facts, candidate.tree_id)
    return Standing(ship=ship, live=live)


def untested_trailer(reason: str | None) -> dict[str, str]:
    """What the commit says where tests were waived."""
    return {} if reason is None else {"Connect-Untested": reason}


def ship(
    app: App, world: World, report: Report, facts: Facts, candidate: Candidate, changes: Sequence[PinChange] = ()
) -> None:
    """Plan what is left and perform it. Raises the `Problem` of the action that failed; the report says what is
    done."""
    tests = plan_tests(app, world.git, candidate, facts.python)
    untested = world.options.no_test
    found = standing(app, world, facts, candidate)
    decided = Decided(
        candidate=candidate,
        tests=tests,
        tested=untested is not None or world.evidence.find(tests.subject) is not None,
        message=commit_message(app, changes=changes, trailers=untested_trailer(untested)),
        in_sync=found.live,
        unverified=found.live and journal_of(app, world).is_unfinished(found.ship),
        ship=found.ship,
    )
    actions = plan_release(app, facts, decided)
    content = facts.server.content
    shipment = Shipment(
        app_tree=candidate.tree_id,
        commit=found.ship,
        pushed=found.ship,
        guid=content.guid if content else None,
        live_commit=facts.server.live_commit if found.live else None,
        notes=(f"not tested: {untested}",) if untested is not None else (),
    )
    live_bundle = content.bundle if content and found.live else None
    note_shipment(report, replace(shipment, bundle=live_bundle), facts.connect)
    if not actions:
        report.result = Result.NOOP
        world.console.note(f"nothing to do: {report.live_commit} is live at {report.url}")
        return
    performance = Performance(
        app=app,
        world=world,
        candidate=candidate,
        python=facts.python,
        tests=tests,
        untracked=facts.repository.untracked,
        connect=facts.connect,
        drafts=facts.server.drafts,
        owner=facts.server.user.guid,
    )
    done = perform(actions, shipment, performance, report)
    report.result = Result.CHANGED
    for note in done.notes:
        world.console.note(note)
    world.console.note(f"{done.live_commit} is live at {report.url}")
