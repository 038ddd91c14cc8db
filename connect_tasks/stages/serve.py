"""`serve`: the local Connect server, until it is interrupted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..configuration import App
from ..errors import EmulatorMissing
from ..outcome import Report
from ..world import World
from .rehearse import require_emulator


def serve(app: App, world: World, report: Report) -> None:  # noqa: ARG001  # a deed like the others
    """Run the server in the foreground; its state stays below git's own directory unless `--data` says otherwise."""
    require_emulator()
