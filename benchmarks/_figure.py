"""What a benchmark found, kept for the table when `nox -s bench` asks for it (FIGURES: a file of JSON lines)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table. `value` is a ratio, or of `unit`; it is at most `limit`, or at least, where `at_least`."""

    benchmark: str
    what: str
    against: str = ""
    value: float
    unit: str = ""
    limit: float | None = None
    at_least: bool = False

    @property
    def within(self) -> bool:
        return self.limit is None or (self.value >= self.limit if self.at_least else self.value <= self.limit)

    @property
    def verdict(self) -> str:
        """For the end of a printed line."""
        if self.limit is None:
            return ""
        return f"  limit {self.limit:g}{'' if self.within else ' BROKEN'}"


def keep(figure: Figure) -> Figure:
    """Put it on record, if there is one -> the same."""
    if path := os.environ.get("FIGURES"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure)) + "\n")
    return figure


def kept(figures: Iterable[Figure]) -> int:
    """Put them all on record -> the exit status of the benchmark."""
    verdicts = [keep(figure).within for figure in figures]
    return int(not all(verdicts))
