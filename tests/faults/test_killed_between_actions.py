"""Killed or told to end at any point of a release: the same command finishes it, as if nothing had happened.

A failure prints what repeats it: CONNECT_TASKS_SEED=... with the test's name.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from connect_tasks.emulator import Running

from .killing import SIGNALS, Calm, any_death, calm, every_death, survive
from .ledger import Ledger
from .runs import Death, Zygote
from .scenes import SCENES, Scene, Stage, set_stage

#: Deaths of each scene in CI; the long form has CONNECT_TASKS_DEATHS (1,000) in all.
IN_CI = {
    "update": 40,
    "first": 20,
    "deploy branch": 12,
    "tag": 8,
    "polled": 6,
    "lost race": 8,
    "python": 3,
    "pull request": 4,
}
MANY = int(os.environ.get("CONNECT_TASKS_DEATHS", "1000"))


def survive_deaths(
    scene: Scene,
    deaths: Iterator[Death],
    quiet: Calm,
    stages: Iterator[Stage],
    zygote: Zygote,
    ledger: Ledger,
    dice: random.Random,
    *,
    longest: int,
) -> None:
    """Chains of up to `longest` deaths: on a stage of its own each, where the scene is of a new item; else on one."""
    stage = None
    while some := list(islice(deaths, 1 + dice.randrange(longest))):
        stage = next(stages) if stage is None or scene.new else stage
        try:
            survive(stage, zygote, quiet, some, ledger, wait=dice.random() < 0.7)
        except BaseException:
            where = [quiet.points[death.point] for death in some]
            print(f"CONNECT_TASKS_SEED={ledger.seed} repeats this; {scene.name}: {some}, {where}")
            raise


def seed() -> str:
    return os.environ.get("CONNECT_TASKS_SEED") or str(random.SystemRandom().randrange(10**9))


@pytest.mark.parametrize("name", SCENES)
def test_the_next_run_finishes_it(
    name: str, connect_server: Running, forks: Zygote, tmp_path: Path, private_home: Path
) -> None:
    scene, numbers = SCENES[name], iter(range(10_000))
    stages = iter(lambda: set_stage(scene, connect_server, tmp_path / f"{next(numbers)}", private_home), None)
    first = next(stages)
    quiet = calm(first, forks)
    ledger = Ledger(title=name, seed=seed())
    dice = random.Random(ledger.seed)
    every = list(every_death(quiet, ("KILL", "TERM", "KILL", "INT", "KILL", "INT INT")))
    some = dice.sample(every, min(len(every), IN_CI[name] * 2 // 3))
    deaths = islice(iter([*some, *(any_death(dice, quiet) for _ in range(IN_CI[name]))]), IN_CI[name])
    others = stages if scene.new else iter([first])
    survive_deaths(scene, deaths, quiet, others, forks, ledger, dice, longest=4)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", SCENES)
def test_a_thousand_deaths(
    name: str, connect_server: Running, forks: Zygote, tmp_path: Path, private_home: Path
) -> None:
    """Every border with every signal, and then anywhere."""
    scene, numbers = SCENES[name], iter(range(10_000))
    stages = iter(lambda: set_stage(scene, connect_server, tmp_path / f"{next(numbers)}", private_home), None)
    first = next(stages)
    quiet = calm(first, forks)
    ledger = Ledger(title=name, seed=seed())
    dice = random.Random(ledger.seed)
    share = max(1, MANY * IN_CI[name] // sum(IN_CI.values()))
    every = [death for signal in SIGNALS for death in every_death(quiet, (signal,))]
    dice.shuffle(every)
    deaths = islice(iter([*every, *(any_death(dice, quiet) for _ in range(share))]), share)
    try:
        survive_deaths(scene, deaths, quiet, stages if scene.new else iter([first]), forks, ledger, dice, longest=1)
    finally:
        ledger.keep()
