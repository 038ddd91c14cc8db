"""Many apps: those that changed set out on a journey each, the others are accounted for at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..configuration import App
from ..errors import InternalError, Problem
from ..outcome import Report, Result
from ..repository.interrupted_run import finish_interrupted
from ..repository.repository_survey import Contact, ask_remote, tracked_branches
from ..server.connect import Connect
from ..server.stopwatch import Stopwatch
from ..world import World
from .fleet_survey import Finding, Fleet, survey_fleet

if TYPE_CHECKING:  # the heavy half of a release: not needed to find that nothing changed
    from ..packages.requirements_file import PinChange
    from .actions import Action, Shipment
    from .shipping import Proposal


@dataclass(kw_only=True)
class Journey:
    """One app that changed, on its way. Its world has a console with its name in front of each line."""

    app: App
    world: World
    report: Report
    because: str
    proposal: Proposal | None = None
    changes: tuple[PinChange, ...] = ()
    left: tuple[Action, ...] = ()  # to be performed
    alone: bool = False  # with a commit and a push of its own
    shipment: Shipment | None = None

    @property
    def proposed(self) -> Proposal:
        if self.proposal is None:
            raise LookupError("a journey that was not prepared")
        return self.proposal

    @property
    def shipped(self) -> Shipment:
        """How far it has come."""
        if self.shipment is None:
            raise LookupError("a journey that was not prepared")
        return self.shipment

    def attempt(self, step: Callable[[Journey], None]) -> None:
        """Take a step; a problem ends this journey, and is on its account."""
        if self.report.error is not None:
            return
        try:
            step(self)
        except Problem as problem:
            self.report.fail(problem)
        except Exception as error:  # noqa: BLE001  # a fault of ours in one app must not stop the others either
            hint = f"nox -s release -- --app {self.app.name}, with CONNECT_TASKS_DEBUG=1, and report the traceback"
            message = f"this is a fault of connect_tasks: {type(error).__name__}: {error}"
            self.report.fail(InternalError(message, where=self.app.name, hint=hint))


def find_changed(
    apps: Sequence[App], world: World, reports: Sequence[Report], *, settle: bool
) -> tuple[list[Journey], Fleet]:
    """Look at all apps in one pass; the journeys of those that changed, the others are accounted for.

    `settle`: finish what a killed run left in this clone (a plan must not).
    """
    whole = Report(verb="release", before=reports[0].before)
    shared = replace(world, connect=one_for_each_server(world.connect, whole.server))
    with world.console.stage(whole, "facts") as stage:
        fleet = survey_fleet(apps, shared)
        changed = [finding for finding in fleet.findings if finding.because is not None]
        stage.detail = f"{len(apps)} apps, {len(changed) or 'none'} of them changed"
        fleet = _asked_to_push(changed, shared, fleet, settle=settle)
    journeys = []
    for finding, report in zip(fleet.findings, reports, strict=True):
        report.stages += whole.stages
        report.server.add(whole.server.seconds)
        if finding.problem is not None:
            report.fail(finding.problem)
        elif finding.because is None:
            _note_unchanged(finding, report)
        else:
            own = replace(
                shared,
                console=world.console.of(finding.app.name),
                connect=partial(_watched, door=shared.connect, waited=report.server),
            )
            journeys.append(Journey(app=finding.app, world=own, report=report, because=finding.because))
            own.console.line(finding.because)
    return journeys, fleet


def _asked_to_push(changed: Sequence[Finding], world: World, fleet: Fleet, *, settle: bool) -> Fleet:
    """The fleet, where something changed: with the work tree's state and the remote's as a release needs them. Whether
    a branch may be pushed to is asked once for all its apps."""
    if not changed:
        return fleet
    contacts: dict[str, Contact] = dict(fleet.contacts)
    changes = fleet.changes
    if settle and any(_settled(finding.app, world, fleet) for finding in changed):
        changes = {}
    wanted = {(app.remote, tracked_branches(app, fleet.head)[-1:]) for app in (finding.app for finding in changed)}
    for remote, names in sorted(wanted):
        before = contacts.get(remote)
        missing = [] if before else [name for one in changed for name in tracked_branches(one.app, fleet.head)]
        found = ask_remote(world.git, remote, missing, head=fleet.head, pushing=next(iter(names), None))
        tips: Mapping[str, str | None] = {**(before.tips if before else {}), **found.tips}
        contacts[remote] = Contact(tips=tips, problem=(before.problem if before else None) or found.problem)
    return replace(fleet, contacts=contacts, changes=changes)


def _settled(app: App, world: World, fleet: Fleet) -> bool:
    contact = fleet.contacts.get(app.remote)
    branch = app.branch or fleet.head.branch
    notes = finish_interrupted(world.git, app, remote_tip=contact.tips.get(branch) if contact and branch else None)
    for note in notes:
        world.console.note(f"{app.name}: {note}")
    return bool(notes)


def _note_unchanged(finding: Finding, report: Report) -> None:
    report.result = Result.NOOP
    live = finding.live
    if live is not None:
        report.commit = report.pushed = report.live_commit = live.commit
        report.bundle, report.url = live.item.bundle, live.url


def _watched(app: App, *, door: Callable[[App], Connect], waited: Stopwatch) -> Connect:
    return door(app).watched_by(waited)


def one_for_each_server(connect: Callable[[App], Connect], waited: Stopwatch) -> Callable[[App], Connect]:
    """One door for all apps of a server: its settings are asked for once, its connections are used again."""
    doors: dict[tuple[str | None, str | None], Connect] = {}

    def door(app: App) -> Connect:
        key = (app.server, app.target)
        if key not in doors:
            doors[key] = connect(app).watched_by(waited)
        return doors[key]

    return door
