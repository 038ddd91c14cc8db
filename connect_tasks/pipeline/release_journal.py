"""Where a deploy stands, for the run that comes after one that was killed.

A hint only: what it says is looked up on the server before it is believed, and without it the same end is reached, at
worst with one more bundle. One file per app and target, below git's common directory, readable by its owner only.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..atomic_file import write_private


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A deploy under way. `released`: it came to its good end.

    `task` is that of `step`, and its first `told` lines were shown. `asked`: when the server was asked for a bundle and
    had not answered yet, in seconds of the wall clock, since another process reads it.
    """

    commit: str
    guid: str
    bundle: str | None = None
    previous: str | None = None
    step: str | None = None
    task: str | None = None
    told: int = 0
    asked: float | None = None
    released: bool = False


class Journal:
    """Reads and writes one entry; never an error: who can't keep a journal works without one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, directory: Path, app: str, target: str | None) -> Journal:
        name = "".join(char if char.isalnum() or char in "-_." else f"%{ord(char):02x}" for char in app)
        return cls(directory / f"{name}@{target or ''}.json")

    def read(self) -> Entry | None:
        try:
            data = json.loads(self._path.read_text("utf-8"))
            known = {field.name for field in fields(Entry)}
            return Entry(**{key: value for key, value in data.items() if key in known})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def is_unfinished(self, commit: str | None) -> bool:
        """Whether the last deploy was of this commit and did not come to its end."""
        entry = self.read()
        return entry is not None and entry.commit == commit and not entry.released

    def resume(self, *, commit: str, guid: str, live: str | None) -> Entry:
        """The entry of an unfinished deploy of this commit, else a new one; `live` is the bundle to return to, unless
        it is the deploy's own."""
        entry = self.read()
        if entry is None or entry.released or (entry.commit, entry.guid) != (commit, guid):
            entry = Entry(commit=commit, guid=guid)
        return self.write(entry if live is not None and live == entry.bundle else replace(entry, previous=live))

    def write(self, entry: Entry) -> Entry:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, json.dumps(asdict(entry)))
        return entry

    def note(self, **changes: Any) -> None:
        """Change fields of the entry that is there."""
        entry = self.read()
        if entry is not None:
            self.write(replace(entry, **changes))
