"""Which commit a bundle was made of: it never changes, so it is asked for once. A file per server, and no more than a
hint lost where it can't be kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..atomic_file import write_file


@dataclass(frozen=True, kw_only=True)
class BundleCommits:
    """The commits of one server's bundles that were heard of, by bundle id."""

    file: Path

    @classmethod
    def of(cls, cache: Path, server: str) -> BundleCommits:
        return cls(file=cache / "bundles" / f"{hashlib.sha256(server.encode()).hexdigest()[:32]}.json")

    def read(self) -> dict[str, str]:
        try:
            data = json.loads(self.file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(bundle): str(commit) for bundle, commit in data.items()} if isinstance(data, dict) else {}

    def add(self, heard: Mapping[str, str]) -> None:
        """Two that write at once lose an entry of one: it will be asked for again."""
        before = self.read()
        if heard.items() <= before.items():
            return
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.file, json.dumps({**before, **heard}, sort_keys=True).encode())
