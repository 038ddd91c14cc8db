"""`manifest`: manifest.json in the work tree describes the files that git will ship."""

from __future__ import annotations

from pathlib import Path

from ..candidate import Candidate, take_candidate, take_staged
from ..configuration import App
from ..outcome import Report
from ..preparation import describe_candidate
from ..tree import MANIFEST
from ..world import World
from .freeze import put


def manifest(app: App, world: World, report: Report) -> None:
    """Write manifest.json of `app`."""
    with world.console.stage(report, "manifest") as stage:
        candidate = _staged(app, world) if world.options.staged else take_candidate(world.git, app)
        candidate, entrypoint = describe_candidate(app, world, candidate)
        put(world, app, MANIFEST, candidate.generated[MANIFEST], stage)
        stage.detail += f", {len(candidate.tree) - 1} files, {entrypoint.mode.title}"
        if entrypoint.entrypoint:
            stage.detail += f" at {entrypoint.entrypoint}"
    report.result = stage.result


def _staged(app: App, world: World) -> Candidate:
    index = world.environ.get("GIT_INDEX_FILE")
    return take_staged(world.git, app, index=Path(index).absolute() if index else None)
