"""From a candidate whose generated files are made to a live page: what is left is planned and performed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ..configuration import App
from ..content.candidate import Candidate
from ..outcome import Report, Result
from ..packages.requirements_file import PinChange
from ..repository.commit_message import commit_message
from ..repository.deploy_branch import DeployCommit, deploy_commit_for
from ..repository.release_notes import NOTHING_NEW, SHOWN, ReleaseNotes, notes_since
from ..repository.release_tag import ReleaseTag, plan_tag
from ..server.connect import RepositorySettings
from ..server.server_drift import VARIABLE
from ..world import World
from .actions import Action, SendVariables, Shipment
from .bundle_commits import BundleCommits
from .performance import Performance, RunAhead, journal_of, note_shipment, perform
from .release_facts import Facts, is_live
from .release_plan import Decided, plan_release
from .shipped_tree import shipped_tree
from .standstill import Record, digest_of, keep_record, link_of, shared_at
from .takeover import refuse_another_bundle, refuse_other_link
from .test_plan import TestPlan, plan_tests


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is done already: the commit on the remote that holds the tree, and whether it is live."""

    ship: str | None
    live: bool


def standing(app: App, world: World, facts: Facts, candidate: Candidate) -> Standing:
    """Derived from git and the server each time; HEAD is preferred to the remote's tip where both hold the tree."""
    repository, head = facts.repository, facts.candidate.commit
    tip = repository.deploy_tip if app.deploy_branch else repository.remote_tip
    ships = shipped_tree(app, world, candidate)
    ship = None
    if tip is not None and facts.shipped == ships:
        at_head = facts.head_tree == ships and not app.deploy_branch and world.git.is_ancestor(head, tip)
        ship = head if at_head else tip
    live = ship is not None and not world.options.force and is_live(app, world.git, facts, ships)
    return Standing(ship=ship, live=live)


def generated_branch(app: App, world: World, candidate: Candidate, changes: Sequence[PinChange] = ()) -> DeployCommit:
    """What the app's deploy branch shall hold."""
    message = commit_message(app, changes=changes, trailers=untested_trailer(world.options.no_test))
    return deploy_commit_for(app, tree=shipped_tree(app, world, candidate), source=candidate.commit, message=message)


def untested_trailer(reason: str | None) -> dict[str, str]:
    """What the commit says where tests were waived."""
    return {} if reason is None else {"Connect-Untested": reason}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A release as it was decided on: what is left to do, on what, and how far it has come already."""

    facts: Facts
    candidate: Candidate
    tests: TestPlan
    actions: tuple[Action, ...]
    shipment: Shipment
    live_bundle: str | None  # of what is live as it shall be
    notes: tuple[str, ...] = ()  # what is left as somebody made it
    news: ReleaseNotes = NOTHING_NEW


def ship(
    app: App,
    world: World,
    report: Report,
    facts: Facts,
    candidate: Candidate,
    changes: Sequence[PinChange] = (),
    *,
    proven: Callable[[], object] = lambda: None,
    run_ahead: RunAhead = lambda _candidate, _plan: None,
) -> None:
    """Plan what is left and perform it. Raises the `Problem` of the action that failed; the report says what is
    done. `proven` raises where the pins do not install: it is asked before they are committed. `run_ahead` gives tests
    that have begun already."""
    proposal = propose(app, world, facts, candidate, changes)
    begin(world, report, proposal)
    if not proposal.actions:
        end_as_it_was(app, world, report, proposal)
        return
    performance = replace(performance_of(app, world, proposal), proven=proven, run_ahead=run_ahead)
    done = perform(proposal.actions, proposal.shipment, performance, report)
    end_changed(app, world, report, proposal, done)


def propose(app: App, world: World, facts: Facts, candidate: Candidate, changes: Sequence[PinChange] = ()) -> Proposal:
    """What is left to do, decided and not done. Raises where somebody's decision on the server stands against it."""
    ships = shipped_tree(app, world, candidate)
    tests = plan_tests(app, world.git, candidate, facts.python, ships=ships)
    untested = world.options.no_test
    found = standing(app, world, facts, candidate)
    message = commit_message(app, changes=changes, trailers=untested_trailer(untested))
    news = NOTHING_NEW
    if not found.live:
        news = notes_since(world.git, facts.server.live_commit, candidate.commit, app.path)
    branch = None if app.deploy_branch is None else generated_branch(app, world, candidate, changes)
    decided = Decided(
        candidate=candidate,
        tests=tests,
        tested=untested is not None or world.evidence.find(tests.subject) is not None,
        message=message,
        in_sync=found.live,
        unverified=found.live and journal_of(app, world).is_unfinished(found.ship),
        ship=found.ship,
        generated_branch=branch,
        pull_request=world.options.pull_request,
        tag=_tag(app, world, candidate, message, news) if found.ship is None else None,
        differences=tuple(one for one in facts.differences if world.options.force or not one.by_hand),
    )
    actions = plan_release(app, facts, decided)
    notes = _left_alone(app, world, facts, decided, actions, ships)
    content = facts.server.content
    shipment = Shipment(
        app_tree=ships,
        commit=found.ship,
        pushed=found.ship,
        guid=content.guid if content else None,
        live_commit=facts.server.live_commit if found.live else None,
        notes=(f"not tested: {untested}",) if untested is not None else (),
    )
    return Proposal(
        facts=facts,
        candidate=candidate,
        tests=tests,
        actions=actions,
        shipment=shipment,
        live_bundle=content.bundle if content and found.live else None,
        notes=notes,
        news=news,
    )


def begin(world: World, report: Report, proposal: Proposal) -> None:
    """Put into the report what is known before anything is done."""
    report.notes += proposal.notes
    report.commits += proposal.news.commits
    for note in (*proposal.notes, *proposal.news.lines(SHOWN)):
        world.console.note(note)
    note_shipment(report, replace(proposal.shipment, bundle=proposal.live_bundle), proposal.facts.connect)


def performance_of(app: App, world: World, proposal: Proposal) -> Performance:
    """What the actions of a proposal need besides themselves."""
    facts = proposal.facts
    return Performance(
        app=app,
        world=world,
        candidate=proposal.candidate,
        python=facts.python,
        tests=proposal.tests,
        untracked=facts.repository.untracked,
        connect=facts.connect,
        drafts=facts.server.drafts,
        owner=facts.server.user.guid,
    )


def end_as_it_was(app: App, world: World, report: Report, proposal: Proposal) -> None:
    """The good end of a release that had nothing to do."""
    facts = proposal.facts
    if not proposal.notes:
        _remember(app, world, report, facts, tree=facts.head_tree, link=facts.server.repository)
    report.result = Result.NOOP
    world.console.note(f"nothing to do: {report.live_commit} is live at {report.url}")


def end_changed(app: App, world: World, report: Report, proposal: Proposal, done: Shipment) -> None:
    """The good end of a release whose actions are all performed."""
    facts = proposal.facts
    report.result = Result.CHANGED
    for note in done.notes:
        world.console.note(note)
    if done.live_commit is not None and not proposal.notes:
        tree = facts.head_tree if app.deploy_branch else proposal.shipment.app_tree
        _remember(app, world, report, facts, tree=tree, link=facts.server.wanted_link)


def _remember(
    app: App, world: World, report: Report, facts: Facts, *, tree: str, link: RepositorySettings | None
) -> None:
    """Leave a record of this good end, for the next run to find quickly that nothing is to be done."""
    if report.bundle is None or report.live_commit is None or report.commit is None or report.url is None:
        return
    record = Record(
        digest=digest_of(app, facts.connect.url, world.environ),
        tree=tree,
        ship=report.commit,
        guid=report.url.rstrip("/").rsplit("/", 1)[-1],
        bundle=report.bundle,
        url=report.url,
        link=link_of(link),
        shared=shared_at(app, world.git, facts.candidate.commit),
    )
    keep_record(app, world, record)
    BundleCommits.of(world.cache, facts.connect.url).add({report.bundle: report.live_commit})


def _left_alone(
    app: App, world: World, facts: Facts, decided: Decided, actions: Sequence[Action], ships: str
) -> tuple[str, ...]:
    """What somebody changed on the server and we leave. Raises where we can't go on without undoing it."""
    sent = {f"{VARIABLE} {name}" for action in actions if isinstance(action, SendVariables) for name in action.names}
    left = [one for one in facts.differences if one not in decided.differences and one.of not in sent]
    refuse_other_link(app, world, facts, actions, left)
    if not decided.in_sync and not world.options.force and not world.options.pull_request:
        refuse_another_bundle(app, world, facts, ships=ships, commit=decided.ship)
    return (*facts.server.notes, *(f"left as it is: {one}; --force sets it" for one in left))


def _tag(app: App, world: World, candidate: Candidate, message: str, news: ReleaseNotes) -> ReleaseTag | None:
    """The tag that is pushed with the branch; it says what is new. A deploy branch is its own list of releases."""
    if app.deploy_branch is not None or world.options.pull_request:
        return None
    today = datetime.now(timezone.utc).date()
    made = world.git.tree_id(candidate.commit, app.path) == candidate.tree_id  # else the commit is still to come
    said = "\n".join((message, *news.lines())).rstrip() + "\n"
    return plan_tag(world.git, app, candidate.commit if made else None, message=said, today=today)
