"""Unified diffs of text files. Pure."""

from __future__ import annotations

import difflib


def diff_of(name: str, before: bytes | None, after: bytes | None) -> str:
    """What makes `after` of `before`, "" where nothing differs; None is a file that is not there."""
    old, new = (("" if data is None else data.decode("utf-8", "replace")).splitlines() for data in (before, after))
    lines = difflib.unified_diff(
        old,
        new,
        "/dev/null" if before is None else f"a/{name}",
        "/dev/null" if after is None else f"b/{name}",
        lineterm="",
    )
    return "".join(f"{line}\n" for line in lines)
