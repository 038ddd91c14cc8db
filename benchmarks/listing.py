"""What it costs a noxfile to have our sessions: `nox -l` with and without, with one app and with a thousand.

Prices T16, T24 and T25 of nox, as ratios taken in one run. Two of them have limits; breaking one ends with status 1.
Processor time is compared, so that a busy machine may run it (POSIX). With the project installed:
`python benchmarks/listing.py [ROUNDS]`; with ROUNDS the two that have limits alone.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from _figure import Figure, keep

ROUNDS = 15
NOX = (sys.executable, "-m", "nox", "-l")
NOXFILE = "import nox\n\n\n@nox.session\ndef lint(session):\n    pass\n"
OURS = NOXFILE + "\n\nimport connect_tasks\n\nconnect_tasks.register()\n"
SCRIPT = '# /// script\n# dependencies = ["nox", "tomli"]\n# ///\n' + NOXFILE
ELSEWHERE = SCRIPT.replace("tomli", "toposort")  # which nobody has; made in the warm-up
#: 16 sessions for each app, as if every verb were one: what T25 spares us.
EVERYTHING = (
    NOXFILE
    + """

for number in range(16_000):
    nox.session(name=f"verb_{number}", default=False)(lambda session: None)
"""
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A directory with a noxfile, and how `nox -l` is run in it."""

    name: str
    directory: Path
    argv: tuple[str, ...] = NOX

    def once(self) -> float:
        """Seconds of processor time."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(self.argv, cwd=self.directory, env=ENVIRONMENT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# Bytecode is what a user's second run finds; without it every run compiles again.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(*cases: Case, rounds: int = ROUNDS) -> list[float]:
    """The best of `rounds` for each case, in turn, so that a busy moment of the machine meets all of them."""
    for case in cases:
        case.once()  # warm
    times = [[case.once() for case in cases] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def ratio(what: str, case: Case, base: Case, *, limit: float | None = None, rounds: int = ROUNDS) -> bool:
    """Measure and print one line; False where the limit is broken."""
    slow, fast = measure(case, base, rounds=rounds)
    figure = Figure(benchmark="listing", what=what, value=slow / fast, limit=limit)
    if limit is not None:
        keep(figure)
    print(f"{what:<58} {slow * 1000:7.0f} ms / {fast * 1000:5.0f} ms = {slow / fast:5.2f}{figure.verdict}")
    return figure.within


def main(rounds: int, *, short: bool) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        without = _place(root / "without", NOXFILE)
        ours = _place(root / "ours", OURS, apps=1)
        many = _place(root / "many", OURS, apps=1000)
        kept = [
            ratio("nox -l, all our sessions against none", ours, without, limit=1.5, rounds=rounds),
            ratio("nox -l, 1,000 apps against one (T25)", many, ours, limit=1.5, rounds=rounds),
        ]
        if short:
            return 0 if all(kept) else 1
        ratio("nox -l, 16,000 sessions against one (T25)", _place(root / "all", EVERYTHING), without, rounds=3)
        ratio("nox -l, script mode, nothing missing (T24)", _place(root / "script", SCRIPT), without)
        try:
            ratio(
                "nox -l, script mode, an environment of its own (T24)",
                _place(root / "own", ELSEWHERE),
                without,
                rounds=5,
            )
        except subprocess.CalledProcessError:
            print("nox -l, script mode, an environment of its own (T24): needs a package index")
        nothing = Case(name="python", directory=root, argv=(sys.executable, "-c", "pass"))
        for library in ("nox", "rich.live", "git", "posit.connect", "rsconnect.bundle"):
            argv = (sys.executable, "-c", f"import {library}")
            ratio(
                f"import {library} against nothing (T16)",
                Case(name=library, directory=root, argv=argv),
                nothing,
                rounds=5,
            )
    return 0 if all(kept) else 1


def _place(directory: Path, noxfile: str, *, apps: int = 0) -> Case:
    directory.mkdir()
    (directory / "noxfile.py").write_text(noxfile)
    tables = (f'[tool.connect-tasks.apps.app{number}]\npath = "apps/{number}"\n' for number in range(apps))
    (directory / "pyproject.toml").write_text("\n".join(tables))
    return Case(name=directory.name, directory=directory)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, short=len(sys.argv) > 1))
