"""What an estate costs, of 1 to 1,000 apps of 23 files: `python benchmarks/fleet.py [ROUNDS]`, with the project
installed.

* `release`, `plan`, `check` and `nox -l` with nothing changed, for 1, 100, 500 and 1,000 apps: the plan of
  500 takes at most 1.0 s, warm; `nox -l` of 1,000 at most 1.5 times that of one;
* peak memory for 500; the limit is 300 MB;
* 10 changed apps of 500 at `-j 2`, against ten releases of one each: at least 1.6 times faster.

The smallest of ROUNDS, in turns: ms on the clock / ms of processor time, git's included. The local server is up already
and holds all apps; environments and bytecode are warm. Breaking a limit ends with status 1.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from _figure import Figure, kept

from connect_tasks.emulator import Running, running
from tests.estate import change_app, make_estate, seed_server

ROUNDS, SIZES, APPS, FILES, CHANGED = 3, (1, 100, 500, 1000), 500, 23, 10
PLAN_LIMIT, LISTING_LIMIT, MEMORY_LIMIT, SPEED_LIMIT = 1.0, 1.5, 300.0, 1.6
OURS = (sys.executable, "-m", "connect_tasks")
NOX = str(Path(sys.executable).with_name("nox"))


@dataclass(frozen=True, kw_only=True)
class Estate:
    """A clone whose apps are all live on a server that is up."""

    root: Path
    names: list[str]
    env: dict[str, str]
    server: Running

    def run(self, *argv: str, status: int = 0) -> None:
        done = subprocess.run(argv, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def change(self, names: list[str], version: int) -> None:
        for name in names:
            change_app(self.root, name, version)
        self.git("commit", "--quiet", "--all", "--message", f"version {version} of {len(names)} apps")
        self.git("push", "--quiet", "origin", "main")


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        estates = {size: stack.enter_context(estate(Path(scratch, str(size)), size)) for size in SIZES}
        print(f"{'apps':<14}" + "".join(f"{size:>16,}" for size in SIZES))
        figures: list[Figure] = []
        for verb in ("release", "plan", "check", "nox -l"):
            command = [NOX, "-l"] if verb == "nox -l" else [*OURS, verb]
            figures += grown(verb, measured(verb, command, estates, rounds))
        figures += [memory(estates[APPS], "plan"), memory(estates[APPS], "check"), releases(estates[APPS])]
    return kept(figures)


def measured(verb: str, command: list[str], estates: dict[int, Estate], rounds: int) -> dict[int, tuple[float, float]]:
    """Print the row of one command -> seconds on the clock and of processor time, by size."""
    for each in estates.values():  # warm
        each.run(*command)
    costs = [[cost(partial(each.run, *command)) for each in estates.values()] for _ in range(rounds)]
    best = [tuple(map(min, zip(*column, strict=True))) for column in zip(*costs, strict=True)]
    print(f"{verb:<14}" + "".join(f"{clock * 1000:>8.0f} /{processor * 1000:6.0f}" for clock, processor in best))
    return dict(zip(estates, best, strict=True))


def grown(verb: str, costs: dict[int, tuple[float, float]]) -> Iterator[Figure]:
    """How a command grows with the estate: by processor time, which other work on the machine changes least."""
    what, one, most = f"{verb}, nothing changed", costs[1][1], SIZES[-1]
    limit = LISTING_LIMIT if verb == "nox -l" else None
    value = costs[most][1] / one
    yield Figure(benchmark="fleet", what=f"{what}, {most:,} apps", against="one app", value=value, limit=limit)
    limit = PLAN_LIMIT if verb == "plan" else None
    yield Figure(benchmark="fleet", what=f"{what}, {APPS} apps", value=costs[APPS][0], unit="s", limit=limit)


def memory(many: Estate, verb: str) -> Figure:
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    argv = [sys.executable, "-c", code, *OURS, verb]
    done = subprocess.run(argv, cwd=many.root, env=many.env, check=True, capture_output=True, text=True)
    what = f"{verb}, {APPS} apps: memory"
    figure = Figure(benchmark="fleet", what=what, value=float(done.stdout), unit="MB", limit=MEMORY_LIMIT)
    print(f"{what:<30} {figure.value:.0f} MB{figure.verdict}")
    return figure


def releases(many: Estate) -> Figure:
    """Ten apps changed, released by one command, then ten others by ten commands; a first one of each warms up."""
    warm, together, single = many.names[:1], many.names[1 : 1 + CHANGED], many.names[1 + CHANGED : 1 + 2 * CHANGED]
    for version in (2, 3):
        many.change(warm, version)
        many.run(*OURS, "release")
    many.change(together, 2)
    at_once = clock(lambda: many.run(*OURS, "release", "-j", "2"))
    many.change(single, 2)
    one_by_one = sum(clock(partial(many.run, *OURS, "release", "--app", name)) for name in single)
    what = f"release of {CHANGED} changed apps of {APPS} at -j 2"
    figure = Figure(
        benchmark="fleet",
        what=what,
        against="one by one",
        value=one_by_one / at_once,
        unit="times faster",
        limit=SPEED_LIMIT,
        at_least=True,
    )
    print(f"{what} {at_once:.1f} s, one by one {one_by_one:.1f} s: {figure.value:.2f} times faster{figure.verdict}")
    return figure


def cost(deed: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock, and of processor time, children included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    deed()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, spent


def clock(deed: Callable[[], None]) -> float:
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started


@contextmanager
def estate(place: Path, count: int) -> Iterator[Estate]:
    """The apps in a clone, its remote on the local Connect's git host, all of them live."""
    place.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    (place / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n")
    env |= {"GIT_CONFIG_GLOBAL": str(place / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {"CONNECT_TASKS_CACHE": str(place / "cache"), "PYTHONPATH": str(Path(__file__).parents[1])}
    root, data = place / "clone", place / "connect"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    names = make_estate(root, count, files=FILES, env=env, python=python)
    (root / "noxfile.py").write_text("import connect_tasks\n\nconnect_tasks.register()\n")
    with running(data) as first:
        key, port = first.api_key, int(first.url.rsplit(":", 1)[1])
        made = Estate(root=root, names=names, env=env, server=first)
        made.git("add", "noxfile.py")
        made.git("commit", "--quiet", "--message", "the sessions")
        made.git("remote", "add", "origin", first.git_url("estate"))
        made.git("config", f"http.{first.url}/.extraHeader", f"Authorization: Key {key}")
        made.git("push", "--quiet", "origin", "main")
    seed_server(data, names, repository=first.git_url("estate"), commit=made.git("rev-parse", "HEAD"))
    with running(data, port=port, api_key=key) as server:
        env |= {"CONNECT_SERVER": server.url, "CONNECT_API_KEY": key}
        yield Estate(root=root, names=names, env=env, server=server)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
