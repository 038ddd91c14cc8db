"""The message of our commit. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .configuration import App
from .requirements_file import PinChange

#: Pins that are spelled out; the rest is counted.
SHOWN = 30


def commit_message(app: App, changes: Sequence[PinChange], *, untested: str | None = None) -> str:
    """Subject, the pins that changed, trailers. `untested`: the reason of `--no-test`.

    `app.message` replaces the subject; `{app}` and `{target}` in it are filled in.
    """
    subject = (app.message or "Describe {app} for Posit Connect").replace("{app}", app.name)
    subject = subject.replace("{target}", app.target or "")
    if app.skip_ci:
        subject += " [skip ci]"
    lines = [subject]
    if changes:
        lines += ["", *(f"* {change}" for change in changes[:SHOWN])]
        if len(changes) > SHOWN:
            lines.append(f"* and {len(changes) - SHOWN} more")
    trailers = [f"Connect-App: {app.name}"]
    if untested is not None:
        trailers.append(f"Connect-Untested: {' '.join(untested.split())}")
    return "\n".join([*lines, "", *trailers]) + "\n"
