"""From the figures of a run to the page of the documentation, and to a verdict on them.

`python benchmarks/_table.py FIGURES show` prints one table. `... write` writes docs/speed.md and docs/speed.json too.
`... check` fails where a ratio is worse than the one in docs/speed.json by more than SLACK: only ratios of one run,
which a shared and busy machine changes least, and never a figure in seconds.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from _figure import Figure

DOCS = Path(__file__).parents[1] / "docs"
#: A regression is half as much again.
SLACK = 1.5
HEAD = """# Speed: measured, as ratios

`nox -s bench` measures each of these, both sides of a ratio in one run and in turns, since a shared machine is noisy;
breaking a limit ends with status 1. `nox -s bench -- write` writes this page, and CI runs a short form of it that
fails where a ratio has become half as much again (`nox -s bench_check`). What is warm, and what exactly is compared,
stands at the head of each file of `benchmarks/`.

"""


def read(path: Path) -> list[Figure]:
    return [Figure(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def rows(figures: Iterable[Figure]) -> Iterable[Sequence[str]]:
    yield ("what", "against", "figure", "limit", "benchmark")
    for figure in figures:
        limit = "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {figure.limit:g}"
        value = f"{figure.value:.2f}" if figure.value < 10 else f"{figure.value:,.0f}"
        shown = f"{value} {figure.unit}".strip() + ("" if figure.within else " (over)")
        yield (figure.what, figure.against, shown, limit, f"`{figure.benchmark}`")


def plain(figures: Iterable[Figure]) -> str:
    table = list(rows(figures))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def markdown(figures: Iterable[Figure]) -> str:
    head, *body = rows(figures)
    lines = [head, ("---", "---", "--:", "--:", "---"), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def machine() -> str:
    """Where and when, for whoever compares."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    uv = subprocess.run(["uv", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    day = datetime.now(timezone.utc).strftime("%d %B %Y").lstrip("0")
    return (
        f"{day}: {os.cpu_count()} virtual cores, {platform.system()} {platform.machine()}, CPython "
        f"{platform.python_version()}, git {git}, uv {uv}; load before: {os.environ.get('LOAD', 'unknown')}."
    )


def regressions(figures: Iterable[Figure], known: Iterable[Figure]) -> Iterable[str]:
    before = {(each.benchmark, each.what, each.against): each for each in known}
    for figure in figures:
        old = before.get((figure.benchmark, figure.what, figure.against))
        if old is None or figure.unit not in {"", "times faster"}:
            continue
        worse = old.value / figure.value if figure.at_least else figure.value / old.value
        if worse > SLACK:
            yield f"{figure.what}: {figure.value:.2f}, and {old.value:.2f} in docs/speed.json"


def main(path: str, deed: str) -> int:
    figures = read(Path(path))
    print(plain(figures))
    if deed == "write":
        where = machine()
        (DOCS / "speed.md").write_text(f"{HEAD}{markdown(figures)}\n\n{where}\n", encoding="utf-8")
        kept = {"machine": where, "figures": [asdict(figure) for figure in figures]}
        (DOCS / "speed.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if deed == "check":
        known = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))["figures"]
        worse = list(regressions(figures, (Figure(**each) for each in known)))
        print("\n".join(worse) or f"no ratio is worse than it was by more than {SLACK:g} times")
        return int(bool(worse))
    return int(not all(figure.within for figure in figures))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
