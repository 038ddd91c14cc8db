"""Where a deploy stands, for the run that comes after one that was killed.

A hint only: what it says is looked up on the server before it is believed, and without it the same end is reached, at
worst with one more bundle. One file per app and target, below git's common directory, readable by its owner only.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A deploy under way. `task` is followed from line `first`; `released`: it came to its good end."""

    commit: str
    guid: str
    bundle: str | None = None
    previous: str | None = None
    task: str | None = None
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

    def write(self, entry: Entry) -> Entry:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".journal-")  # 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(entry), file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        return entry

    def note(self, **changes: str | bool | None) -> None:
        """Change the entry that is there."""
        entry = self.read()
        if entry is not None:
            self.write(replace(entry, **changes))  # type: ignore[arg-type]  # fields of Entry, by our own callers
