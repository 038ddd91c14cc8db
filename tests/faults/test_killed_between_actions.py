"""Killed or told to end at any point of a release: the same command finishes it, as if nothing had happened.

A failure prints what repeats it: CONNECT_TASKS_SEED=... with the test's name.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from connect_tasks.emulator import Running

from .killing import SIGNALS, Calm, any_death, calm, every_death, survive
from .ledger import Ledger
from .runs import Death, Zygote
from .scenes import SCENES, Scene
from .stage import Stage, set_stage

#: Deaths of each scene in CI; the long form has CONNECT_TASKS_DEATHS (1,000) in all.
IN_CI = {
    "release, update": 30,
    "release, first": 14,
    "release, deploy branch": 10,
    "release, tag": 6,
    "release, polled": 6,
    "release, lost race": 6,
    "release, python": 3,
    "release, pull request": 4,
    "release of two apps": 8,
    "rollback": 9,
    "promote": 4,
}
#: What the long form adds to those.
BESIDE = {"release of two apps, a commit each": 8}
#: To repeat a failure. (Read here: tests do not see such variables.)
SEED = os.environ.get("CONNECT_TASKS_SEED")
MANY = int(os.environ.get("CONNECT_TASKS_DEATHS", "1000"))


def survive_deaths(scene: Scene, place: Callable[[], Stage], zygote: Zygote, ledger: Ledger, plan: DeathPlan) -> None:
    """Chains of deaths: each on a stage of its own, where the scene is of a new item; else on one, until it fails."""
    first = place()
    quiet = calm(first, zygote)
    dice = random.Random(ledger.seed)
    deaths = plan.deaths(quiet, dice)
    failures = []
    stage = None if scene.new else first
    while chain := list(islice(deaths, 1 + dice.randrange(plan.longest))):
        stage = stage or place()
        try:
            survive(stage, zygote, quiet, chain, ledger, wait=dice.random() < 0.7)
        except (AssertionError, subprocess.CalledProcessError) as failure:
            where = [quiet.points[death.point] for death in chain]
            failures.append(failure)
            print(f"CONNECT_TASKS_SEED={ledger.seed} repeats this; {scene.name}: {chain}, {where}\n{failure}")
            stage = None
        stage = None if scene.new else stage
        ledger.keep()  # each time: whoever stops a long run keeps what it has shown
    assert not failures, f"{len(failures)} of {plan.number} deaths were not survived, see above"


@dataclass(frozen=True, kw_only=True)
class DeathPlan:
    """So many deaths: `every` border of a stage or action by these signals, as far as they go, and then anywhere."""

    number: int
    every: tuple[tuple[str, ...], ...]
    share: float  # of the borders, at most
    longest: int  # chain: the run after a death dies too

    def deaths(self, quiet: Calm, dice: random.Random) -> Iterator[Death]:
        borders = [death for signals in self.every for death in every_death(quiet, signals)]
        dice.shuffle(borders)
        borders = borders[: int(self.number * self.share)]
        yield from borders
        for _ in range(self.number - len(borders)):
            yield any_death(dice, quiet)


def seed() -> str:
    return SEED or str(random.SystemRandom().randrange(10**9))


@pytest.fixture
def place(
    connect_server: Running, tmp_path: Path, private_home: Path, request: pytest.FixtureRequest
) -> Callable[[Scene], Callable[[], Stage]]:
    numbers = iter(range(100_000))

    def of(scene: Scene) -> Callable[[], Stage]:
        other = request.getfixturevalue("other_server") if scene.elsewhere else None
        return lambda: set_stage(scene, connect_server, tmp_path / f"{next(numbers)}", private_home, other)

    return of


@pytest.mark.parametrize("name", IN_CI)
def test_the_next_run_finishes_it(name: str, forks: Zygote, place: Callable[[Scene], Callable[[], Stage]]) -> None:
    signals = ("KILL", "TERM", "KILL", "INT", "KILL", "INT INT")
    plan = DeathPlan(number=IN_CI[name], every=(signals,), share=0.6, longest=4)
    survive_deaths(SCENES[name], place(SCENES[name]), forks, Ledger(title=name, seed=seed()), plan)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", SCENES)
def test_a_thousand_deaths(name: str, forks: Zygote, place: Callable[[Scene], Callable[[], Stage]]) -> None:
    """Every border with every signal, and then anywhere."""
    shares = IN_CI | BESIDE
    number = max(1, math.ceil(MANY * shares[name] / sum(shares.values())))
    plan = DeathPlan(number=number, every=tuple((signal,) for signal in SIGNALS), share=0.5, longest=2)
    survive_deaths(SCENES[name], place(SCENES[name]), forks, Ledger(title=name, seed=seed()), plan)
