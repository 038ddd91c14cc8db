"""Whole processes, started as a user starts them, and a real `kill -9` at a random moment; or the power fails, which
takes git and whatever else they had started along."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connect_tasks.emulator import Running

from .killing import Calm, calm, disturb, next_version, orphans, visited, wait_for_orphans
from .ledger import Ledger
from .runs import Run, Zygote
from .scenes import SCENES
from .stage import CANARY, Stage, set_stage
from .test_killed_between_actions import seed

#: Kills in CI, where each costs a start of Python; the long form has CONNECT_TASKS_KILLS (200).
IN_CI = 20
MANY = int(os.environ.get("CONNECT_TASKS_KILLS", "200"))
#: A lock of git's own that a power failure leaves: whose it is can't be told, so a person removes it.
LOCKED = re.compile(r"(/\S+?\.lock)\b")


def start(stage: Stage) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "connect_tasks", *stage.command()]
    output = (stage.scratch.parent / "killed").open("wb")
    with output:
        return subprocess.Popen(
            command, cwd=stage.shop.root, env=stage.shop.environ, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )


def kill_at(stage: Stage, moment: float, *, power_failure: bool) -> int:
    """A release that is killed after so many seconds -> how it ended."""
    with start(stage) as child:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moment)
        child.kill()
        if power_failure:
            for pid in orphans(stage):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    return child.returncode


def finish(stage: Stage, zygote: Zygote, *, power_failure: bool) -> Run:
    """The same command again; where git's own lock is in the way it says so, and which, and a person removes it."""
    run = disturb(stage, zygote, again=True)
    for _ in range(3):
        locks = [] if not power_failure else LOCKED.findall(run.said)
        if not locks:
            break
        assert "next:" in run.said or "rm " in run.said, run.said
        for lock in locks:
            Path(lock).unlink(missing_ok=True)
        run = disturb(stage, zygote, again=True)
    return run


def survive_kills(stage: Stage, zygote: Zygote, quiet: Calm, number: int, ledger: Ledger) -> None:
    dice = random.Random(ledger.seed)
    next_version(stage, zygote)
    started = time.monotonic()
    with start(stage) as child:
        assert child.wait(60) == 0
    whole = time.monotonic() - started
    for kill in range(number):
        next_version(stage, zygote)
        before, moment, power_failure = stage.users_work(), dice.uniform(0, whole), dice.random() < 0.3
        live = stage.live()
        fault = "the power fails" if power_failure else "kill -9 of the process"
        with ledger.row(fault) as row, visited(stage) as visits:
            assert kill_at(stage, moment, power_failure=power_failure) in {-signal.SIGKILL, 0}
            assert all(bundle in live.values() or stage.may_be_live(bundle) for bundle in stage.live().values())
            wait_for_orphans(stage)
            row.lost += stage.users_work() != before
            last = finish(stage, zygote, power_failure=power_failure)
            told = f"kill {kill} of CONNECT_TASKS_SEED={ledger.seed}, after {moment:.3f} s: {last.said}"
            assert last.status == 0, told
            wait_for_orphans(stage)
            state, expected = stage.state(), quiet.states[stage.letter]
            row.lost += stage.users_work() != before
            row.duplicates += state["commits"] != expected["commits"]
            row.wrong += state != expected
            said = (stage.scratch.parent / "killed").read_text() + last.said
            row.secrets += CANARY in said or stage.shop.server.api_key in said
            different = {key: (value, state.get(key)) for key, value in expected.items() if state.get(key) != value}
            assert not different, f"{different}: {told}"
            assert (row.lost, row.secrets) == (0, 0), told
            row.visits += visits()
        ledger.keep()


def kill_many(number: int, server: Running, zygote: Zygote, place: Path, home: Path) -> None:
    stage = set_stage(SCENES["release, update"], server, place / "stage", home)
    ledger = Ledger(title="processes", seed=seed())
    try:
        survive_kills(stage, zygote, calm(stage, zygote), number, ledger)
    finally:
        ledger.keep()


def test_killed_at_any_moment(connect_server: Running, forks: Zygote, tmp_path: Path, private_home: Path) -> None:
    kill_many(IN_CI, connect_server, forks, tmp_path, private_home)


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_killed_at_two_hundred_moments(
    connect_server: Running, forks: Zygote, tmp_path: Path, private_home: Path
) -> None:
    kill_many(MANY, connect_server, forks, tmp_path, private_home)
