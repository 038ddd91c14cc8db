"""Runs the real nox on a noxfile of `tests/noxfiles`, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOXFILES = Path(__file__).parent / "noxfiles"


@dataclass(frozen=True, kw_only=True)
class NoxRun:
    """How a run of nox ended; `out` is what sessions printed and `err` what nox said."""

    status: int
    out: str
    err: str

    def listed(self) -> dict[str, str]:
        """The sessions of `nox -l` with their text; those that are not selected too."""
        lines = [line[2:] for line in self.out.splitlines() if line.startswith(("* ", "- "))]
        return {name.split(" [")[0]: text for name, _, text in (line.partition(" -> ") for line in lines)}

    def selected(self) -> set[str]:
        """Those of them that a bare `nox` would run."""
        return {line[2:].split(" ->")[0].split(" [")[0] for line in self.out.splitlines() if line.startswith("* ")}


def place(noxfile: str, directory: Path) -> Path:
    """Copy `noxfile` (a file, or a directory with a noxfile.py and what it imports) to `directory`."""
    source = NOXFILES / noxfile
    if source.is_dir():
        shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.with_suffix(".py"), directory / "noxfile.py")
    return directory


def environment(**changes: str) -> dict[str, str]:
    """Ours, with this checkout importable, and the Python that runs the tests first on PATH."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return env | {"PYTHONPATH": str(ROOT), "PATH": path, "NOX_SCRIPT_MODE": "", **changes}


def run_nox(directory: Path, *arguments: str, **changes: str) -> NoxRun:
    """Run nox in `directory`; `changes` are environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", "nox", *arguments],
        cwd=directory,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return NoxRun(status=done.returncode, out=done.stdout, err=done.stderr)


class Nox:
    """A fixture's value: `nox("t06_order", "-s", "test")` in a fresh directory, or in the one of the call before."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._placed: str | None = None

    def __call__(self, noxfile: str, *arguments: str, **changes: str) -> NoxRun:
        if noxfile != self._placed:
            place(noxfile, self.directory)
            self._placed = noxfile
        return run_nox(self.directory, *arguments, **changes)
