"""The next command, ready to be copied."""

from __future__ import annotations

import shlex

from ..configuration import App
from ..world import World


def next_command(app: App, world: World, verb: str, *arguments: str) -> str:
    """`nox -s VERB` for this app on this target, as it is called here: without `--app` a verb may move every app of the
    repository."""
    options = world.options
    which = ["--path", options.path] if options.path else []
    if not which and world.several_apps:
        which = ["--app", app.name]
    target = ["--target", app.target] if app.target else []
    words = [*which, *target, *arguments]
    return world.spelled(f"nox -s {verb}" + (f" -- {shlex.join(words)}" if words else ""))
