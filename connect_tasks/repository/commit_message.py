"""The message of our commits (pure)."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping

from ..configuration import App
from ..errors import ConfigurationInvalid

FIELDS = ("app", "target", "mode", "path")
DEFAULT = "Release {app}"
HINT = f'message = "{DEFAULT}"'
#: What GitHub, GitLab, Azure and others look for.
SKIP_CI = "[skip ci]"


def commit_message(app: App, *, changes: Iterable[object] = (), trailers: Mapping[str, str] | None = None) -> str:
    """Subject by `app.message` (a template of `FIELDS`), one line for each change of a pin, trailers.

    Raises ConfigurationInvalid when the template names what does not exist.
    """
    subject = _filled(app)
    if app.skip_ci:
        subject = f"{subject} {SKIP_CI}"
    lines = [f"* {_one_line(str(change))}" for change in changes]
    ends = [f"{key}: {_one_line(value)}" for key, value in (trailers or {}).items()]
    paragraphs = (subject, "\n".join(lines), "\n".join(ends))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _filled(app: App) -> str:
    template = app.message or DEFAULT
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        asked = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        if asked - set(FIELDS):
            raise ConfigurationInvalid(f"message names {{{min(asked - set(FIELDS))}}}; there are {known}", hint=HINT)
        filled = template.format(app=app.name, target=app.target or "", mode=app.mode or "", path=app.path)
    except (ValueError, IndexError) as error:
        raise ConfigurationInvalid(f"message is no template: {error}; its fields are {known}", hint=HINT) from error
    return _one_line(filled)


def _one_line(text: str) -> str:
    return " ".join(text.split())
