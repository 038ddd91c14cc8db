"""`python table.py LEDGERS FILE`: the table of what the long form has shown, for the documentation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FIGURES = ("runs", "lost", "duplicates", "wrong", "secrets", "failed", "visits")
SHOWN = {"lost": "lost", "duplicates": "doubled", "wrong": "wrong", "secrets": "secrets", "failed": "other"}
HEAD = """# Faults: what was tried, and what came of it

Made by `nox -s faults` (tests/faults). A *fault* is a signal (or another way to fail) and the place where it hit:
`in CommitGenerated` is somewhere inside that action of the plan, `before` and `after` are its borders, `INT INT` is a
second Ctrl-C while the first unwinds. After each fault the same command ran again, undisturbed, and everything was
compared with a run that nobody had disturbed: commits, refs, index, work tree, staged and unstaged edits, stash,
settings, remote refs, content item, bundles, the live one, its page, environment variables, link, temporary files,
processes. A visitor looked at each live page all the while, from before the fault until after the rerun.

*Lost*: runs after which anything of the user's was not as before. *Doubled*: a second commit, bundle or item. *Wrong*:
any other difference at the end. *Secrets*: outputs with a key or the value of a variable. *Other*: promises that were
not kept otherwise (a traceback, a process that stays, a visitor without an answer). *Visits*: answers that visitors had
meanwhile; each was the old version, or from some moment on the new one, and never the old one again. (Of a run that
chained several deaths they stand with the last; the first release of an item has no page to look at.)
"""


def merged(ledgers: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """Title -> fault -> figures."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for ledger in ledgers:
        rows = found.setdefault(ledger["title"], {})
        for fault, figures in ledger["rows"].items():
            row = rows.setdefault(fault, dict.fromkeys(figures, 0))
            for name, number in figures.items():
                row[name] += number
    return found


def lines(title: str, rows: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    yield f"\n## {title[:1].upper()}{title[1:]}\n"
    yield "| fault | runs | lost | doubled | wrong | secrets | other | visits |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for fault, row in sorted(rows.items(), key=lambda item: item[0].split(" ", 1)[::-1]):
        figures = (row[name] for name in FIGURES)
        yield f"| {fault} | {' | '.join(map(str, figures))} |"


def render(ledgers: list[Mapping[str, Any]]) -> str:
    found = merged(ledgers)
    every = [row for rows in found.values() for row in rows.values()]
    total = {name: sum(row[name] for row in every) for name in FIGURES}
    figures = ", ".join(f"{total[name]} {word}" for name, word in SHOWN.items())
    of = " and ".join(sorted({ledger["of"] for ledger in ledgers}))
    seeds = ", ".join(f"{ledger['title']} {ledger['seed']}" for ledger in ledgers if ledger["seed"])
    text = [
        HEAD,
        f"**{total['runs']:,} faults: {figures}; {total['visits']:,} visits.**\n",
        f"Run on {of}. Seeds (`CONNECT_TASKS_SEED` repeats one): {seeds}.",
    ]
    for title in sorted(found):
        text += lines(title, found[title])
    return "\n".join(text) + "\n"


def main(place: str, target: str) -> None:
    ledgers = [json.loads(path.read_text()) for path in sorted(Path(place).glob("*.json"))]
    Path(target).parent.mkdir(exist_ok=True)
    Path(target).write_text(render(ledgers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
