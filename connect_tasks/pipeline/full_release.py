"""A release from source to a verified page: the stages' own functions, one after another, on one candidate."""

from __future__ import annotations

from collections.abc import Callable

from ..configuration import App
from ..content.candidate import Candidate, lay_over
from ..errors import HookRewrote
from ..outcome import Report, Result
from ..packages.requirements_file import PinChange
from ..repository.tree import MANIFEST, REQUIREMENTS
from ..world import World
from .preparation import Python, describe_candidate, freeze_candidate
from .release_facts import Facts, gather
from .shipping import ship


def release_from_source(app: App, world: World, report: Report) -> None:
    """Freeze, describe, test, commit, push, deploy and verify `app`; what is done already is not done again."""
    facts = find_facts(app, world, report)
    candidate, changes = generate(app, world, report, facts)
    try:
        ship(app, world, report, facts, candidate, changes)
    except HookRewrote as rewritten:
        ship_rewritten(app, world, report, facts, candidate, rewritten, changes)


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
    generated = {**candidate.generated, **rewritten.contents}
    again = lay_over(world.git, app.path, candidate.commit, candidate.tree, generated)
    described, _ = describe_candidate(app, world, again, facts.python)
    ship(app, world, report, facts, described, changes)


def find_facts(app: App, world: World, report: Report, *, ask: Callable[[App, World], Facts] = gather) -> Facts:
    """The facts pass as a stage of the report."""
    with world.console.stage(report, "facts") as stage:
        facts = ask(app, world)
        report.notes += facts.repository.warnings
        stage.detail = f"{facts.repository.branch} at {facts.candidate.commit[:10]}, {facts.connect.url}"
    return facts


def generate(app: App, world: World, report: Report, facts: Facts) -> tuple[Candidate, tuple[PinChange, ...]]:
    """The candidate with its generated files as they would ship, and the pins that moved. Writes to the scratch
    only."""
    candidate: Candidate = facts.candidate
    changes: tuple[PinChange, ...] = ()
    if facts.python is not None:
        candidate, changes = _freeze(app, world, report, facts, facts.python)
    with world.console.stage(report, "manifest") as stage:
        candidate, entrypoint = describe_candidate(app, world, candidate, facts.python)
        stage.result = _changed(facts.candidate, candidate, MANIFEST)
        stage.detail = f"{len(candidate.tree) - 1} files, {entrypoint.mode.title}"
    return candidate, changes


def _freeze(
    app: App, world: World, report: Report, facts: Facts, python: Python
) -> tuple[Candidate, tuple[PinChange, ...]]:
    with world.console.stage(report, "freeze") as stage:
        candidate, frozen = freeze_candidate(app, world, facts.candidate, python)
        stage.result = _changed(facts.candidate, candidate, REQUIREMENTS)
        stage.detail = f"{len(frozen.pins)} pins for Python {python.minor[0]}.{python.minor[1]}"
        if frozen.changes:
            stage.detail += f", {len(frozen.changes)} changed"
    for note in frozen.notes:
        world.console.note(note)
        report.notes.append(note)
    return candidate, frozen.changes


def _changed(before: Candidate, after: Candidate, name: str) -> Result:
    """Freeze and manifest write nothing by themselves here: `ok` is a change to come, `noop` none."""
    return Result.NOOP if before.generated.get(name) == after.generated.get(name) else Result.OK
