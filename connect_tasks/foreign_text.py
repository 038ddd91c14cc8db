"""Text of others: made harmless before it is shown."""

from __future__ import annotations

import re

#: How much of a foreign text is shown.
EXCERPT = 200
_UNPRINTABLE = re.compile(
    r"(?:\x1b\[|\x9b)[0-9;?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # titles, links: with what they carry
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)


def plain(text: str) -> str:
    """Text of a server, a commit or a program without terminal escapes, control characters and direction overrides."""
    return _UNPRINTABLE.sub("", text)


def excerpt(text: str) -> str:
    """The beginning of a foreign text, on one line and harmless."""
    return " ".join(plain(text[: 4 * EXCERPT]).split())[:EXCERPT]
