"""What `check` costs on top of reading the blobs, which nobody can spare: `python -m benchmarks.checking [ROUNDS]`.

Three rows have limits; breaking one ends with status 1.

* one app: the command against `python -c` with the same imports, then `git ls-tree -r | git cat-file --batch` (1.5);
* 500 apps of 23 files each: the command, in seconds (1.0);
* one app of 20,000 files: the function in a warm process against `git cat-file --batch | md5sum` (1.5).

The smallest of ROUNDS is taken, each round measuring both sides one after the other, so that a busy moment of the
machine meets both. Processor time of all that took part decides, since other work on the machine does not change it;
the time on the clock is shown beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connect_tasks.app_mode import FLASK
from connect_tasks.configuration import load, resolve_all
from connect_tasks.connect_manifest import render_manifest
from connect_tasks.git import Git
from connect_tasks.manifest_check import check_all
from connect_tasks.rsconnect_door import ManifestRequest, write_manifest

ROUNDS = 9
APP = "from flask import Flask\n\napp = Flask(__name__)\n"
PINS = ("blinker==1.9.0", "click==8.3.1", "flask==3.1.2", "itsdangerous==2.2.0", "jinja2==3.1.6", "markupsafe==3.0.3")
TABLE = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\n'
#: Prints what `check` has imported, in an order in which it can be imported again.
MODULES = """
import sys
from connect_tasks.cli import main
assert main(["check"]) == 0
print("import " + ", ".join(name for name in sys.modules if "__mypyc" not in name and name != "__main__"))
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds on the clock, and of processor time, children included."""

    clock: float
    processor: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `limit` None: shown, not judged."""

    name: str
    ours: Cost
    bare: Cost | None = None
    limit: float | None = None

    @property
    def value(self) -> float:
        return self.ours.processor / self.bare.processor if self.bare else self.ours.clock

    @property
    def within(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        figures = f"{self.name:<46} {_shown(self.ours)}"
        if self.bare:
            figures += f"  bare {_shown(self.bare)}  ratio {self.value:4.2f}, on the clock "
            figures += f"{self.ours.clock / self.bare.clock:4.2f}"
        if self.limit is None:
            return figures
        return f"{figures}  limit {self.limit}{'' if self.within else ' BROKEN'}"


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        _configure_git(place)
        rows = [
            one_app(place / "one", rounds),
            many_apps(place / "many", rounds),
            large_app(place / "small files", rounds, size=250),
            large_app(place / "larger files", rounds, size=5000),
            whole_command(place / "larger files", rounds),
        ]
    print(f"smallest of {rounds}; ms on the clock / ms of processor time")
    print("\n".join(map(str, rows)))
    return int(not all(row.within for row in rows))


def one_app(root: Path, rounds: int) -> Row:
    _repository(root, {".": _app(17)})
    imports = subprocess.run([sys.executable, "-c", MODULES], cwd=root, env=ENVIRONMENT, capture_output=True, check=True)
    statement = imports.stdout.decode().splitlines()[-1]
    ids = _ids(root)

    def bare() -> None:
        _run([sys.executable, "-c", statement], root)
        _pipe(f"git ls-tree -r HEAD | git cat-file --batch < {ids}", root)

    ours, floor = _compared(lambda: _check(root), bare, rounds)
    return Row(name="check of one app of 23 files", ours=ours, bare=floor, limit=1.5)


def many_apps(root: Path, rounds: int) -> Row:
    _repository(root, {f"apps/app{number}": _app(17, number) for number in range(500)})
    (ours,) = _compared(lambda: _check(root), rounds=rounds)
    return Row(name="check of 500 apps, 11,500 files (in seconds)", ours=ours, limit=1.0)


def large_app(root: Path, rounds: int, *, size: int) -> Row:
    _repository(root, {".": _app(20_000, size=size)})
    ids = _ids(root)
    apps, environ = resolve_all(load(root), None, {}), {**ENVIRONMENT}

    def ours() -> None:
        (checked,) = check_all(apps, Git.discover(root, environ))
        assert checked.changes == () and checked.problem is None

    cost, floor = _compared(ours, lambda: _pipe(f"git cat-file --batch < {ids} | md5sum", root), rounds)
    limit = 1.5 if size > 1000 else None
    return Row(name=f"check() of 20,000 files of {size:,} bytes", ours=cost, bare=floor, limit=limit)


def whole_command(root: Path, rounds: int) -> Row:
    ids = _ids(root)
    ours, floor = _compared(
        lambda: _check(root), lambda: _pipe(f"git cat-file --batch < {ids} | md5sum", root), rounds
    )
    return Row(name="  the same, as a command with its imports", ours=ours, bare=floor)


# measuring ------------------------------------------------------------------------------------------------------------


def _compared(*deeds: Callable[[], None], rounds: int) -> list[Cost]:
    ...
