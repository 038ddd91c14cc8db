"""What the deaths have come to, as a table: fault, runs, and how often something was lost, doubled, wrong or told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: Names a directory in which each test leaves its part of the table; table.py puts them together.
#: (Read when this is imported: tests do not see such variables.)
LEDGER = os.environ.get("CONNECT_TASKS_LEDGER")
#: What was looked at, as git names it.
_DESCRIBED = subprocess.run(
    ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
)


@dataclass(kw_only=True)
class Row:
    """Of one fault: all but `runs` and `visits` should be zero."""

    runs: int = 0
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0
    secrets: int = 0
    failed: int = 0  # any other promise that was not kept
    visits: int = 0  # answers that visitors had meanwhile: each the old version or the new one; may be anything


@dataclass(kw_only=True)
class Ledger:
    """The rows of one test, by fault."""

    title: str
    seed: str = ""
    rows: dict[str, Row] = field(default_factory=dict)

    @contextmanager
    def row(self, fault: str) -> Iterator[Row]:
        row = self.rows.setdefault(fault, Row())
        row.runs += 1
        try:
            yield row
        except BaseException:
            row.failed += 1
            raise

    def keep(self) -> None:
        """Write it down, where somebody collects."""
        if LEDGER:
            name = "".join(letter if letter.isalnum() else "-" for letter in self.title)
            rows = {fault: asdict(row) for fault, row in self.rows.items()}
            content = {"title": self.title, "seed": self.seed, "of": _DESCRIBED.stdout.strip(), "rows": rows}
            Path(LEDGER, f"{name}-{os.getpid()}.json").write_text(json.dumps(content, indent=1))
