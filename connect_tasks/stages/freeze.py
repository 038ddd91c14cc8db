"""`freeze`: requirements.txt in the work tree holds exactly what a fresh environment of the declared dependencies
holds."""

from __future__ import annotations

from ..atomic_file import write_file
from ..configuration import App
from ..outcome import Report, Result, Stage
from ..pipeline.performance import keep_edits
from ..pipeline.preparation import find_python, freeze_candidate, take
from ..repository.tree import REQUIREMENTS
from ..world import World


def freeze(app: App, world: World, report: Report) -> None:
    """Write requirements.txt of `app`; existing pins are kept unless an upgrade is asked for."""
    with world.console.stage(report, "freeze") as stage:
        candidate = take(app, world)
        python = find_python(world.git, app, candidate, world.environ)
        if python is None:
            stage.result, stage.detail = Result.NOOP, "this content has no Python"
            report.result = Result.NOOP
            return
        candidate, frozen = freeze_candidate(app, world, candidate, python)
        frozen.prove()
        for line in (*frozen.changes, *frozen.notes):
            world.console.note(str(line))
        report.notes += frozen.notes
        put(world, app, REQUIREMENTS, candidate.generated[REQUIREMENTS], stage)
        stage.detail = f"{len(frozen.pins)} pins for Python {python.minor[0]}.{python.minor[1]}; {stage.detail}"
    report.result = stage.result


def put(world: World, app: App, name: str, content: bytes, stage: Stage) -> None:
    """Write a generated file to the work tree if it differs, whole or not at all."""
    path = world.git.root / app.path / name
    if path.is_file() and path.read_bytes() == content:
        stage.result, stage.detail = Result.NOOP, f"{name} is as it should be"
        return
    keep_edits(app, world, {name: content})
    write_file(path, content)
    stage.result, stage.detail = Result.CHANGED, f"{name} written"
