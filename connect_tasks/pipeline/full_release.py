"""A release from source to a verified page: the stages' own functions, one after another, on one candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..configuration import App
from ..content.candidate import Candidate, lay_over
from ..content.content_policy import load_detectors
from ..content.rsconnect_door import load_rsconnect
from ..errors import HookRewrote
from ..outcome import Report, Result
from ..packages.requirements_file import PinChange
from ..repository.tree import MANIFEST, REQUIREMENTS
from ..server.connect_calls import load_posit
from ..world import World
from .crew import beside
from .head_start import HeadStart
from .preparation import Python, describe_candidate, freeze_candidate
from .release_facts import Facts, gather
from .shipping import ship

if TYPE_CHECKING:
    from ..packages.environment import Frozen


#: `freeze_candidate`, or what gives the result of one that was begun already.
Freeze = Callable[[App, World, Candidate, Python], tuple[Candidate, "Frozen"]]


def release_from_source(app: App, world: World, report: Report, ahead: HeadStart) -> None:
    """Freeze, describe, test, commit, push, deploy and verify `app`; what is done already is not done again."""
    facts = find_facts(app, world, report, ask=partial(gather, meanwhile=_load))
    made = generate(app, world, report, facts, prove=False, freeze=ahead.freeze)
    with beside(made.prove) as proven:  # while the manifest is written and the tests run
        try:
            ship(app, world, report, facts, made.candidate, made.changes, proven=proven, run_ahead=ahead.run_of)
        except HookRewrote as rewritten:
            ship_rewritten(app, world, report, facts, made.candidate, rewritten, made.changes)


def _load() -> None:
    """Import what the next stages need: 0.2 s, in which the remote answers and the tests go on."""
    load_posit()
    load_detectors()
    load_rsconnect()


def ship_rewritten(
    app: App,
    world: World,
    report: Report,
    facts: Facts,
    candidate: Candidate,
    rewritten: HookRewrote,
    changes: tuple[PinChange, ...],
) -> None:
    """Once: a hook that has its own idea of a list of pins may have it; what it made is described and tested anew."""
    names = ", ".join(sorted(rewritten.contents))
    world.console.note(f"a commit hook rewrote {names}: that is described and tested instead")
    again = lay_over(candidate, world.git, {**candidate.generated, **rewritten.contents})
    described, _ = describe_candidate(app, world, again, facts.python)
    ship(app, world, report, facts, described, changes)


def find_facts(app: App, world: World, report: Report, *, ask: Callable[[App, World], Facts] = gather) -> Facts:
    """The facts pass as a stage of the report."""
    with world.console.stage(report, "facts") as stage:
        facts = ask(app, world)
        report.notes += facts.repository.warnings
        stage.detail = f"{facts.repository.branch} at {facts.candidate.commit[:10]}, {facts.connect.url}"
    return facts


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The candidate with its generated files as they would ship, and the pins that moved.

    `prove` raises where the pins do not install: to be called before they are committed, if it wasn't yet.
    """

    candidate: Candidate
    changes: tuple[PinChange, ...] = ()
    prove: Callable[[], None] = lambda: None


def generate(
    app: App, world: World, report: Report, facts: Facts, *, prove: bool = True, freeze: Freeze = freeze_candidate
) -> Generated:
    """Freeze and describe. Writes to the scratch only. `prove` False leaves the proof that the pins install to the
    caller."""
    made = Generated(candidate=facts.candidate)
    if facts.python is not None:
        made = _freeze(app, world, report, facts, facts.python, prove=prove, freeze=freeze)
    with world.console.stage(report, "manifest") as stage:
        candidate, entrypoint = describe_candidate(app, world, made.candidate, facts.python)
        stage.result = _changed(facts.candidate, candidate, MANIFEST)
        stage.detail = f"{len(candidate.tree) - 1} files, {entrypoint.mode.title}"
    return replace(made, candidate=candidate)


def _freeze(
    app: App, world: World, report: Report, facts: Facts, python: Python, *, prove: bool, freeze: Freeze
) -> Generated:
    with world.console.stage(report, "freeze") as stage:
        candidate, frozen = freeze(app, world, facts.candidate, python)
        if prove:
            frozen.prove()
        stage.result = _changed(facts.candidate, candidate, REQUIREMENTS)
        stage.detail = f"{len(frozen.pins)} pins for Python {python.minor[0]}.{python.minor[1]}"
        if frozen.changes:
            stage.detail += f", {len(frozen.changes)} changed"
    for note in frozen.notes:
        world.console.note(note)
        report.notes.append(note)
    return Generated(candidate=candidate, changes=frozen.changes, prove=frozen.prove)


def _changed(before: Candidate, after: Candidate, name: str) -> Result:
    """Freeze and manifest write nothing by themselves here: `ok` is a change to come, `noop` none."""
    return Result.NOOP if before.generated.get(name) == after.generated.get(name) else Result.OK
