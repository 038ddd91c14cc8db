"""Die at a point of a release, run it again undisturbed, and compare with a run that was never disturbed."""

from __future__ import annotations

import http.client
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .ledger import Ledger
from .runs import Death, Run, Zygote
from .stage import CANARY, PROBE, Stage

#: How a run dies. A second INT comes while the first unwinds.
SIGNALS = ("KILL", "TERM", "INT", "INT INT")
#: Seconds within which what a dead run had started ends.
ORPHANS = 20.0
#: Exit statuses of a run that was told to end.
TOLD = (130, 1, 0, 2)


@dataclass(kw_only=True)
class Calm:
    """What runs that nobody disturbed have come to, and the points that they passed."""

    points: list[str]
    states: dict[str, dict[str, object]] = field(default_factory=dict)
    deploys: int = 0

    def numbers(self, place: str) -> list[int]:
        return [number for number, where in enumerate(self.points) if where == place]


def calm(stage: Stage, zygote: Zygote) -> Calm:
    """Both versions in turn; with a new item only the one."""
    found = None
    for _ in range(1 if stage.scene.new else 3):
        next_version(stage, zygote)
        before = stage.users_work()
        run = disturb(stage, zygote, traced=True)
        assert run.status == 0, run.said
        found = found or Calm(points=zygote.points())
        found.points = zygote.points()  # the later ones: the first fills caches
        found.states[stage.letter] = stage.state()
        found.deploys = stage.deploys()
        assert stage.users_work() == before
    assert found is not None
    return found


def next_version(stage: Stage, zygote: Zygote) -> None:
    """What there is to be done, up to the run that is disturbed."""
    if stage.scene.new:
        return
    stage.next_version()
    if stage.scene.first:
        ran = zygote.run(stage.scene.first, cwd=stage.shop.root, environ=stage.shop.environ)
        assert ran.status == 0, ran.said
        stage.look()


def disturb(
    stage: Stage,
    zygote: Zygote,
    *,
    death: Death | None = None,
    traced: bool = False,
    clock: float = 0.0,
    again: bool = False,
) -> Run:
    """The run, with a death in it or without. `again`: the one that finishes what others have begun."""
    root, environ = stage.shop.root, stage.shop.environ
    return zygote.run(stage.command(again=again), cwd=root, environ=environ, death=death, traced=traced, clock=clock)


def survive(
    stage: Stage, zygote: Zygote, quiet: Calm, deaths: Sequence[Death], ledger: Ledger, *, wait: bool = True
) -> None:
    """A death (or several: the run after it dies too), an undisturbed run, and everything that must be true then.
    `wait`: for what a dead run had started.
    """
    next_version(stage, zygote)
    before, head = stage.users_work(), stage.shop.head
    live = {} if stage.scene.new else stage.live()
    said = []
    with ExitStack() as stack:
        rows = [stack.enter_context(ledger.row(f"{death.signal} {quiet.points[death.point]}")) for death in deaths]
        row = rows[-1]
        visits = stack.enter_context(visited(stage))
        for number, death in enumerate(deaths):
            there = set(stage.scratch.rglob("*"))
            run = disturb(stage, zygote, death=death, again=number > 0)
            said.append(run.said)
            told(death, run, quiet.points[death.point])
            if wait:
                wait_for_orphans(stage)
                rows[number].lost += stage.users_work() != before
                assert stage.users_work() == before, "user's work after the death"
                assert stage.shop.git("merge-base", "--is-ancestor", head, "HEAD", ok=False) == ""
                if death.signal in {"TERM", "INT"} and run.status >= 0:
                    # What a killed run before it has left may be half removed: the run after it removes the rest.
                    new = set(stage.scratch.rglob("*")) - there
                    left = [str(path) for path in new if not PROBE.fullmatch(path.name)]
                    assert not left, f"a run that was told to end leaves {left}, and said {run}"
            now = stage.live() if live else {}
            assert all(now[item] == bundle or stage.may_be_live(now[item]) for item, bundle in live.items())
        last = disturb(stage, zygote, again=True)
        said.append(last.said)
        assert last.status == 0, f"the run after it: {said}"
        wait_for_orphans(stage)
        row.lost += stage.users_work() != before
        assert stage.users_work() == before, "user's work after the run after it"
        state = stage.state()
        row.secrets += sum(CANARY in text or stage.shop.server.api_key in text for text in said)
        expected = quiet.states[stage.letter]
        row.duplicates += state["commits"] != expected["commits"]
        row.wrong += state != expected
        different = {key: (value, state.get(key)) for key, value in expected.items() if state.get(key) != value}
        assert not different, "\n--- again ---\n".join([f"{different}", *said])
        extra = stage.deploys() - quiet.deploys
        allowed = sum(may_ask_again(quiet, death) for death in deaths) * len(stage.scene.apps)
        assert extra <= allowed, "the server was asked for more than once"
        assert row.secrets == 0
        row.visits += visits()


def may_ask_again(quiet: Calm, death: Death) -> bool:
    """A deploy of the same bundle may be asked for again where its answer was lost: that is harmless, and no bundle."""
    place = quiet.points[death.point]
    return (
        death.delay > 0
        or death.signal != "KILL"
        or any(word in place for word in ("PrepareBundle", "VisitDraft", "Activate", "VerifyLive", "deploy", "verify"))
    )


def told(death: Death, run: Run, place: str) -> None:
    """How a run may end by that signal; it may also have been over before, or not have come to listen to TERM yet."""
    if death.signal == "KILL":
        assert run.status in {-signal.SIGKILL, 0}, run.said
    else:
        assert run.status in TOLD or (run.status, place) == (-signal.SIGTERM, "start"), run.said
    assert "Traceback" not in run.said, run.said
    assert "CT999" not in run.said, run.said


def orphans(stage: Stage) -> list[int]:
    """Processes that a run of this stage has started: by their environment, or by the directory in which they work."""
    mark, place = f"CONNECT_TASKS_TEST={stage.scratch.parent}".encode(), str(stage.scratch.parent)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes() or str((entry / "cwd").readlink()).startswith(place):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_for_orphans(stage: Stage) -> None:
    deadline = time.monotonic() + ORPHANS
    while left := orphans(stage):
        assert time.monotonic() < deadline, (
            f"processes are left: {[Path(f'/proc/{pid}/cmdline').read_bytes() for pid in left]}"
        )
        time.sleep(0.01)


def any_death(dice: random.Random, quiet: Calm) -> Death:
    """Anywhere: at a point, or a moment after it."""
    delay = 0.0 if dice.random() < 0.6 else dice.uniform(0.001, 0.06)
    which = dice.choice(["KILL", "KILL", *SIGNALS])
    return Death(point=dice.randrange(len(quiet.points)), signal=which, delay=delay, later=dice.randrange(12))


def every_death(quiet: Calm, signals: tuple[str, ...]) -> Iterator[Death]:
    """Before, inside and after each stage and each action; the signals take turns."""
    number = 0
    for place in dict.fromkeys(quiet.points):
        points = quiet.numbers(place)
        inside = [points[len(points) // 2]] if len(points) > 1 else []
        for point in (points[0], *inside):
            yield Death(point=point, signal=signals[number % len(signals)], later=number % 5)
            number += 1


@contextmanager
def visited(stage: Stage) -> Iterator[Callable[[], int]]:
    """Visitors who look at each live page all the while -> how often they did so far. They see the old version, and
    from some moment on the new one; never anything else, and never the old one again."""
    if stage.scene.new:
        yield lambda: 0
        return
    over, server, key = threading.Event(), urlsplit(stage.there.server.url), stage.there.server.api_key
    seen: dict[str, list[tuple[int, str]]] = {item["guid"]: [] for item in stage.items()}

    def look(guid: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(server.netloc, timeout=30)
        try:
            connection.request("GET", f"/content/{guid}/", headers={"Authorization": f"Key {key}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def visit() -> None:
        while not over.is_set():
            for guid, answers in seen.items():
                answers.append(look(guid))
            over.wait(0.02)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield lambda: sum(map(len, seen.values()))
    finally:
        over.set()
        visitor.join()
    for answers in seen.values():
        assert answers
        versions = [answer for answer, _ in itertools.groupby(answers)]
        allowed = [(200, f"version {stage.other_letter}"), (200, f"version {stage.letter}")]
        assert versions in (allowed, allowed[:1], allowed[1:]), f"a visitor saw {versions}"
