"""`git status --porcelain=v2 -z`, read (pure)."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What differs from HEAD below a directory; paths relative to it, sorted."""

    staged: tuple[str, ...] = ()
    unstaged: tuple[str, ...] = ()
    unmerged: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    @property
    def tracked(self) -> tuple[str, ...]:
        """Every tracked path that differs from HEAD, in the index or in the work tree."""
        return tuple(sorted({*self.staged, *self.unstaged, *self.unmerged}))


def read_status(output: bytes, directory: str) -> Changes:
    """The records of a status call without renames, those below `directory` only."""
    prefix = b"" if directory == "." else os.fsencode(directory) + b"/"
    found: dict[str, list[str]] = {"staged": [], "unstaged": [], "unmerged": [], "untracked": []}
    for record in output.split(b"\0")[:-1]:
        kind, rest = record[:1], record[2:]
        fields = {b"1": 7, b"u": 9, b"?": 0}.get(kind)
        if fields is None:
            continue
        parts = rest.split(b" ", fields)
        if not parts[-1].startswith(prefix):
            continue
        path = os.fsdecode(parts[-1][len(prefix) :])
        if kind == b"?":
            found["untracked"].append(path)
        elif kind == b"u":
            found["unmerged"].append(path)
        else:
            staged, unstaged = parts[0][:1], parts[0][1:]
            if staged != b".":
                found["staged"].append(path)
            if unstaged != b".":
                found["unstaged"].append(path)
    return Changes(**{name: tuple(sorted(paths)) for name, paths in found.items()})
