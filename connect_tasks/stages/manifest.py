"""`manifest`: manifest.json in the work tree describes the files that git will ship."""

from __future__ import annotations

from ..configuration import App
from ..outcome import Report
from ..pipeline.preparation import describe_candidate, take
from ..repository.tree import MANIFEST
from ..world import World
from .freeze import put


def manifest(app: App, world: World, report: Report) -> None:
    """Write manifest.json of `app`."""
    with world.console.stage(report, "manifest") as stage:
        candidate = take(app, world)
        candidate, entrypoint = describe_candidate(app, world, candidate)
        put(world, app, MANIFEST, candidate.generated[MANIFEST], stage)
        stage.detail += f", {len(candidate.tree) - 1} files, {entrypoint.mode.title}"
        if entrypoint.entrypoint:
            stage.detail += f" at {entrypoint.entrypoint}"
    report.result = stage.result
