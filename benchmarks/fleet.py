"""What an estate of 500 apps (11,500 files) costs: `python benchmarks/fleet.py [ROUNDS]`, with the project installed.

* `plan`, `check` and `nox -l` of all of them unchanged, against the same for one app; the plan's limit is 1.0 s, warm;
* their peak memory; the limit is 300 MB;
* 10 changed apps of 500 at `-j 2`, against ten releases of one each: at least 1.6 times faster.

The smallest of ROUNDS, both sides of a ratio in turns: ms on the clock / ms of processor time, git's included. As in
`checking`, processor time decides for commands, since other work on the machine does not change it much; the releases
wait for pages, and the clock decides. The local server is up already and holds all apps; environments and bytecode are
warm. Breaking a limit ends with status 1.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from connect_tasks.emulator import Running, running
from tests.estate import change_app, make_estate, seed_server

ROUNDS, APPS, FILES, CHANGED = 3, 500, 23, 10
PLAN_LIMIT, MEMORY_LIMIT, SPEED_LIMIT = 1.0, 300.0, 1.6
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
    with (
        tempfile.TemporaryDirectory() as scratch,
        estate(Path(scratch, "one"), 1) as one,
        estate(Path(scratch, "many"), APPS) as many,
    ):
        broken = [
            compare("plan", one, many, [*OURS, "plan"], rounds, limit=PLAN_LIMIT),
            compare("check", one, many, [*OURS, "check"], rounds),
            compare("nox -l", one, many, [NOX, "-l"], rounds),
            memory(many, "plan"),
            memory(many, "check"),
            releases(many),
        ]
    return int(any(broken))


def compare(
    what: str, one: Estate, many: Estate, command: list[str], rounds: int, *, limit: float | None = None
) -> bool:
    """Print the row of one command -> whether its limit is broken."""
    for each in (one, many):  # warm
        each.run(*command)
    costs = [(cost(lambda: one.run(*command)), cost(lambda: many.run(*command))) for _ in range(rounds)]
    few, lot = (tuple(map(min, zip(*column, strict=True))) for column in zip(*costs, strict=True))
    judged = "" if limit is None else f"  limit {limit:g} s{' BROKEN' if lot[1] > limit else ''}"
    shown = (f"{clock * 1000:5.0f} /{processor * 1000:5.0f}" for clock, processor in (lot, few))
    print(f"{what:<8} {APPS} apps {next(shown)}, one {next(shown)}: {lot[1] / few[1]:4.2f} times{judged}")
    return limit is not None and lot[1] > limit


def memory(many: Estate, verb: str) -> bool:
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    argv = [sys.executable, "-c", code, *OURS, verb]
    done = subprocess.run(argv, cwd=many.root, env=many.env, check=True, capture_output=True, text=True)
    peak = float(done.stdout)
    print(f"{verb:<8} peak memory {peak:.0f} MB  limit {MEMORY_LIMIT:g} MB{' BROKEN' if peak > MEMORY_LIMIT else ''}")
    return peak > MEMORY_LIMIT


def releases(many: Estate) -> bool:
    """Ten apps changed, released by one command, then ten others by ten commands; a first one of each warms up."""
    warm, together, single = many.names[:1], many.names[1 : 1 + CHANGED], many.names[1 + CHANGED : 1 + 2 * CHANGED]
    for version in (2, 3):
        many.change(warm, version)
        many.run(*OURS, "release")
    many.change(together, 2)
    at_once = clock(lambda: many.run(*OURS, "release", "-j", "2"))
    many.change(single, 2)
    one_by_one = sum(clock(partial(many.run, *OURS, "release", "--app", name)) for name in single)
    ratio = one_by_one / at_once
    judged = f"limit {SPEED_LIMIT}{' BROKEN' if ratio < SPEED_LIMIT else ''}"
    print(
        f"release  {CHANGED} changed of {APPS} at -j 2 {at_once:5.1f} s, one by one {one_by_one:5.1f} s: "
        f"{ratio:4.2f} times faster  {judged}"
    )
    return ratio < SPEED_LIMIT


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
