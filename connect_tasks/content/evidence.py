"""Evidence that tests passed: for this tree, these pins, this Python, this command. Without it nothing is deployed.

It is a file per pass, named after what it proves, below git's common directory, so that every work tree of a clone
shares it; `--evidence DIR` carries it between the jobs of a CI run. A wrong or unreadable file is no evidence, and no
error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..atomic_file import write_private

#: Files kept; each is some 500 bytes, and the newest prove what is likely to be deployed.
KEPT = 200


@dataclass(frozen=True, kw_only=True)
class TestSubject:
    """What a test run speaks of. `extra_trees`: the ids of declared test paths outside the app's directory."""

    __test__ = False  # pytest must not collect it

    app_tree: str
    requirements: str  # sha256 of requirements.txt
    python: str  # X.Y
    command: tuple[str, ...]
    entrypoint: str
    extra_trees: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A pass on record: `summary` is the test runner's last line, or "no tests"."""

    subject: TestSubject
    summary: str
    passed_at: str  # ISO 8601, UTC

    @classmethod
    def of(cls, subject: TestSubject, summary: str) -> Evidence:
        return cls(subject=subject, summary=summary, passed_at=datetime.now(timezone.utc).isoformat(timespec="seconds"))


class EvidenceStore:
    """The files; `directories` are read in order, the first one is written too."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._directories = tuple(directories)

    def find(self, subject: TestSubject) -> Evidence | None:
        for directory in self._directories:
            record = _read(directory / f"{subject.digest}.json")
            if record is not None and record.get("subject") == json.loads(json.dumps(asdict(subject))):
                return Evidence(
                    subject=subject, summary=str(record.get("summary")), passed_at=str(record.get("passed_at"))
                )
        return None

    def keep(self, evidence: Evidence) -> Path:
        """Write a pass, whole or not at all, readable by its owner only."""
        directory = self._directories[0]
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{evidence.subject.digest}.json"
        write_private(path, json.dumps(asdict(evidence), indent=1, sort_keys=True))
        _forget_oldest(directory)
        return path


def _read(path: Path) -> Mapping[str, object] | None:
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _forget_oldest(directory: Path) -> None:
    files = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT]:
        path.unlink(missing_ok=True)
