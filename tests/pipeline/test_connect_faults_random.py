"""Any fault at any call of a deploy, or the end of us there: a clean rerun ends where a run that never failed does."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import running
from connect_tasks.errors import Problem
from connect_tasks.server.connect_calls import ConnectCalls

from .site import PATIENCE, Site, acts, hurry

#: Of one CI run; the slow form makes a thousand. A failure prints its seed: CONNECT_TASKS_SEED repeats it.
RUNS, MANY_RUNS = 9, 1000
SEED = os.environ.get("CONNECT_TASKS_SEED")  # here: the tests' own environment has none of these variables
WITHOUT = {"commit": [], "draft": ["bundle-from-ref"], "branch": ["bundle-from-ref", "drafts"]}
#: How often something else than one answer is hit.
ALWAYS, KILLED, SLOW = 0.25, 0.15, 0.3
#: The server's fetch takes so long that what it makes is not there yet when we look for it first.
SLOW_GIT = {"pattern": "GET /git/", "delay": 0.8, "times": None}


class Killed(BaseException):
    """The end of our process, as far as it can be had within one: nothing of ours handles it."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that a deploy without faults makes. `made`: it was a POST, and the server did what it says."""

    target: str
    made: bool


def any_fault(dice: random.Random, number: int) -> dict[str, Any]:
    """A fault for the request of that number."""
    status = dice.choice([500, 502, 503, 504, 429])
    what: dict[str, Any] = dice.choice(
        [
            {"status": status},
            {"status": status, "headers": {"retry-after": "1"}},
            {"status": status, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
            {"reset": True},
            {"truncate": dice.randrange(30)},
            {"body": "<html>Log in to the WiFi</html>", "content_type": "text/html"},
            {"body": ""},
            {"body": '{"task_id": "'},
            {"delay": 0.2},
        ]
    )
    times = None if dice.random() < ALWAYS else 1
    return {"pattern": "", "offset": number, "times": times, "after_handler": dice.random() < 0.5, **what}


@contextmanager
def killed_at(number: int, *, after: bool) -> Iterator[None]:
    """End at our call of that number, before it is sent or when its answer has come."""
    once, counted = ConnectCalls._once, iter(range(10_000))

    def counting(self: ConnectCalls, *args: Any, **kwargs: Any) -> Any:
        hit = next(counted) == number
        if hit and not after:
            raise Killed
        answer = once(self, *args, **kwargs)
        if hit:
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ConnectCalls, "_once", counting)
        yield


def calls_of(site: Site) -> list[Call]:
    """What a deploy calls: from a run without faults."""
    site.commit_version()
    site.call("DELETE", "__emulator__/requests")
    site.deploy()
    calls = [
        Call(target=entry["target"], made=entry["method"] == "POST" and entry["status"] == 202)
        for entry in site.requests()
        if "__emulator__" not in entry["path"]
    ]
    site.converges()
    return calls


def survive(site: Site, calls: list[Call], seed: str, patience: Callable[[float], None]) -> None:
    """One deploy with one fault, or one end of us, and what must be true then and after a clean run."""
    dice = random.Random(seed)
    number = dice.randrange(len(calls))
    before, kept = site.live(), set(site.bundles())
    site.commit_version()
    fault, dies, late = any_fault(dice, number), dice.random() < KILLED, dice.random() < 0.5
    # What a lost write has made is looked for until it is there; where it made nothing, there is no need to wait.
    acted = late if dies else calls[number].made and acts(fault)
    patience(PATIENCE if acted and fault["times"] else 0.0)
    slow = [SLOW_GIT] if dice.random() < SLOW else []
    try:
        with killed_at(number, after=late) if dies else nullcontext(), site.faults(*([] if dies else [fault]), *slow):
            site.deploy()
    except (Problem, Killed):
        patience(PATIENCE if acted else 0.0)
    ours = site.bundles(site.commit)
    assert len(site.items()) == 1
    assert len(ours) <= 1, f"{len(ours)} bundles of one commit"
    assert site.live() in {before, *ours}
    assert site.page() in site.versions.values()
    site.converges()
    assert kept <= set(site.bundles()), "an old version is lost"


@pytest.fixture(params=WITHOUT)
def faulty_site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    hurry(monkeypatch)
    with running(tmp_path / "connect", options=["--faults"], without=WITHOUT[request.param]) as server:
        site = Site(server=server, name="random", place=tmp_path / "journal")
        site.commit_version()
        site.deploy()
        yield site


def survive_many(site: Site, runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = hurry(monkeypatch)
    calls = calls_of(site)
    wanted = SEED
    first = random.SystemRandom().randrange(10**9)
    for seed in [wanted] if wanted else [f"{first + run}" for run in range(runs)]:
        try:
            survive(site, calls, seed, patience)
        except BaseException:
            print(f"CONNECT_TASKS_SEED={seed} repeats this")
            raise


def test_a_deploy_survives_any_fault(faulty_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    survive_many(faulty_site, RUNS, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_deploy_survives_any_fault_a_thousand_times(faulty_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    survive_many(faulty_site, MANY_RUNS // len(WITHOUT) + 1, monkeypatch)
