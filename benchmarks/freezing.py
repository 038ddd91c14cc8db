"""What `freeze` costs on top of uv: `python -m benchmarks.freezing [ROUNDS]`.

The function in a warm process against the uv commands that it ran, run again bare and one after another, with the same
arguments, environment and inputs, each round in a directory that is new to both. They are printed, so that anybody can
see that none could be left out: a virtualenv, the pins, their installation, and the list of what is installed (limit
1.3). Flask with its closure, pandas and Dash, and a scientific stack; each with its pins already there, as a release
finds them, and without.

Median of the rounds' own ratios; both sides take turns, and uv's cache is warm for both. Needs a package index the
first time.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from _figure import Figure, keep

from connect_tasks import process
from connect_tasks.packages.dependencies import DependencySource, find_dependencies
from connect_tasks.packages.environment import Frozen, Upgrade, freeze
from connect_tasks.packages.interpreters import Interpreter, find_interpreter
from connect_tasks.packages.python_version import declared_python

ROUNDS = 9
LIMIT = 1.3
SCIENCE = ("dash", "fastapi", "matplotlib", "pandas", "pyarrow", "requests", "scikit-learn", "seaborn", "statsmodels")
APPS = {"flask": "flask\n", "dash": "dash\npandas\n", "a scientific stack": "\n".join(SCIENCE) + "\n"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, kw_only=True)
class Command:
    """A uv command as it was run."""

    argv: Sequence[str]
    directory: Path
    environment: Mapping[str, str]

    def again(self, was: Path, place: Path) -> None:
        """Run it with `place` for the scratch directory that it was recorded in."""
        argv = [str(word).replace(str(was), str(place)) for word in self.argv]
        subprocess.run(argv, cwd=self.directory, env=self.environment, capture_output=True, check=True)

    def __str__(self) -> str:
        return " ".join(["uv", *(Path(word).name if "/" in word else word for word in self.argv[1:])])


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An app in a directory, and what freezing it needs."""

    name: str
    directory: Path
    source: DependencySource
    interpreter: Interpreter
    pins: str | None = None

    @classmethod
    def of(cls, name: str, directory: Path) -> Bench:
        texts = {path.name: path.read_text() for path in directory.iterdir()}
        return cls(
            name=name,
            directory=directory,
            source=find_dependencies(frozenset(texts), texts.__getitem__, None),
            interpreter=find_interpreter(declared_python(texts, (), None), ENVIRONMENT),
        )

    def freeze(self, scratch: Path) -> Frozen:
        frozen = freeze(
            self.source,
            pins=self.pins,
            interpreter=self.interpreter,
            platform="x86_64-manylinux_2_28",
            upgrade=Upgrade(),
            directory=self.directory,
            place=scratch / "environment",
            scratch=scratch,
            environ=ENVIRONMENT,
        )
        frozen.prove()
        return frozen


def main(rounds: int) -> int:
    within = True
    with tempfile.TemporaryDirectory() as name:
        for app, declared in APPS.items():
            directory = Path(name, app)
            directory.mkdir()
            (directory / "requirements.in").write_text(declared)
            (directory / ".python-version").write_text(f"{sys.version_info.major}.{sys.version_info.minor}\n")
            first = Bench.of(f"{app}, no pins yet", directory)
            pins = first.freeze(Path(name, f"{app}-pins")).text.decode()
            again = replace(first, name=f"{app}, {pins.count('==')} pins", pins=pins)
            within &= compare(again, Path(name, f"{app}-again"), rounds)
            compare(
                first, Path(name, f"{app}-first"), rounds, limit=None
            )  # the index's answers take as long as they do
    return int(not within)


def compare(bench: Bench, place: Path, rounds: int, limit: float | None = LIMIT) -> bool:
    """Print one row, and the commands; False where the limit is broken."""
    place.mkdir()
    recorded = place / "recorded"
    commands = _commands(bench, recorded)
    inputs = [path for path in recorded.iterdir() if path.is_file()]

    def bare(scratch: Path) -> None:
        for command in commands:
            command.again(recorded, scratch)

    pairs = []
    for number in range(rounds):
        # Each into a directory that is new: uv remembers the Pythons that it has met by their paths, and asks a new
        # one, which takes a third of all. Nothing is removed meanwhile: whoever comes next would wait for that.
        scratch = place / f"bare{number}"
        scratch.mkdir()
        for path in inputs:
            shutil.copy2(path, scratch)
        turns: dict[str, Callable[[], object]] = {
            "ours": partial(bench.freeze, place / f"ours{number}"),
            "bare": partial(bare, scratch),
        }
        times = {}
        for name in sorted(turns, reverse=bool(number % 2)):
            started = time.perf_counter()
            turns[name]()
            times[name] = time.perf_counter() - started
        pairs.append((times["ours"], times["bare"]))
    ours, bare = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    against = "the uv commands that it runs, bare"
    figure = keep(
        Figure(benchmark="freezing", what=f"freeze of {bench.name}", against=against, value=ratio, limit=limit)
    )
    print(f"freeze of {bench.name:<24} {ours:6.0f} ms  bare {bare:6.0f} ms  ratio {ratio:4.2f}{figure.verdict}")
    for command in commands:
        print(f"    {command}")
    return figure.within


def _commands(bench: Bench, scratch: Path) -> list[Command]:
    """What one freezing runs: it is the recording of a real one. Commands that failed were none that it needed."""
    found = []
    run = process.run

    def listen(argv: Sequence[str | os.PathLike[str]], **settings: Any) -> process.Completed:
        done = run(argv, **settings)
        if done.ok:
            found.append(Command(argv=done.argv, directory=settings["cwd"], environment=settings["env"]))
        return done

    with patch.object(process, "run", listen):
        bench.freeze(scratch)
    return sorted(found, key=lambda command: "venv" not in command.argv)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
