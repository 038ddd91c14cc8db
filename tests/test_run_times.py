"""The times of the last run: kept small, for its owner only, and never in the way."""

from __future__ import annotations

import json
import stat
import threading
import time
from pathlib import Path

import pytest

from connect_tasks import run_times
from connect_tasks.errors import TestsFailed
from connect_tasks.outcome import Report, Result, StageOutcome, recorded
from connect_tasks.run_times import keep_times, read_times, times_of
from connect_tasks.server.stopwatch import Stopwatch

FILE = "connect-tasks/times.json"


def report(app: str = "shop", *, seconds: float = 2.0, result: Result = Result.CHANGED) -> Report:
    made = Report(verb="release", app=app, target="production", result=result)
    made.stages.append(StageOutcome(name="deploy", result=result, seconds=seconds))
    made.server.add(1.5)
    return made


def test_a_run_finds_the_times_of_the_one_before(tmp_path: Path) -> None:
    keep_times(tmp_path, [report()])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    before = times_of(read_times(tmp_path), "shop", "production")
    second = Report(verb="release", app="shop", result=Result.CHANGED, before=before)
    with recorded(second, "deploy"):
        pass
    assert (second.stages[0].before, second.servers_share.before) == (2.0, 1.5)
    with recorded(second, "test"):
        pass
    assert second.stages[1].before is None
    assert times_of(read_times(tmp_path), "shop", None) == {}


def test_a_run_that_found_nothing_to_do_is_compared_with_its_like(tmp_path: Path) -> None:
    keep_times(tmp_path, [report("shop")])
    still = Report(verb="release", app="shop", target="production", result=Result.NOOP)
    still.stages.append(StageOutcome(name="facts", result=Result.NOOP, seconds=0.2))
    keep_times(tmp_path, [still])
    times = times_of(read_times(tmp_path), "shop", "production")
    assert times == {
        "release deploy": 2.0,
        "release server": 1.5,
        "release facts noop": 0.2,
        "release server noop": 0.0,
    }


def test_what_failed_is_no_measure(tmp_path: Path) -> None:
    keep_times(tmp_path, [report()])
    broken = report(seconds=60.0, result=Result.FAILED)
    broken.stages.append(StageOutcome(name="commit", result=Result.CHANGED, seconds=0.5))
    broken.fail(TestsFailed("no"))
    keep_times(tmp_path, [broken])
    times = times_of(read_times(tmp_path), "shop", "production")
    assert times == {"release deploy": 2.0, "release server": 1.5, "release commit": 0.5}


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_times, "KEPT", 3)
    keep_times(tmp_path, [report(f"app{number}") for number in range(4)])
    keep_times(tmp_path, [report("app1")])
    assert list(read_times(tmp_path)) == ["app2@production", "app3@production", "app1@production"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shop@": 3}', '{"shop@": {"release deploy": "long"}}', "\x00"])
def test_a_broken_file_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "connect-tasks").mkdir()
    (tmp_path / FILE).write_text(text)
    assert read_times(tmp_path) == {}
    keep_times(tmp_path, [report()])
    assert json.loads((tmp_path / FILE).read_text())["shop@production"]["release deploy"] == 2.0


def test_a_place_that_can_not_be_written_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "connect-tasks").write_text("a file")
    keep_times(tmp_path, [report()])
    assert read_times(tmp_path) == {}


def test_waits_that_overlap_are_counted_once() -> None:
    watch, both = Stopwatch(), threading.Barrier(2)

    def wait() -> None:
        with watch.running(), watch.running():
            both.wait()
            time.sleep(0.02)
            both.wait()

    started = time.monotonic()
    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.02 <= watch.seconds <= time.monotonic() - started
