"""Several apps at the same time: bounded, each accounted for, and over at once when the run is interrupted."""

from __future__ import annotations

import _thread
import os
import sys
import threading
from pathlib import Path

import pytest

from connect_tasks import process
from connect_tasks.pipeline.crew import do_each


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_at_a_time_than_asked_for(jobs: int) -> None:
    lock, at_work, most, done = threading.Lock(), 0, 0, []
    meeting = threading.Barrier(jobs)

    def deed(item: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        meeting.wait(20)  # all of a round are here at the same time, or this breaks
        with lock:
            at_work -= 1
            done.append(item)

    do_each(range(6), deed, jobs=jobs)
    assert (most, sorted(done)) == (jobs, list(range(6)))


def test_a_fault_is_told_when_the_others_are_through() -> None:
    done = []

    def deed(item: int) -> None:
        if item == 0:
            raise LookupError("a fault")
        done.append(item)

    with pytest.raises(LookupError, match="a fault"):
        do_each(range(4), deed, jobs=2)
    assert sorted(done) == [1, 2, 3]


def test_an_interrupt_ends_the_programs_of_all_threads(tmp_path: Path) -> None:
    begun, over = threading.Semaphore(0), threading.Semaphore(0)
    statuses = []

    def deed(item: int) -> None:
        begun.release()
        try:
            argv = [sys.executable, "-c", "import time; time.sleep(600)"]
            statuses.append(process.run(argv, cwd=tmp_path, env=dict(os.environ), timeout=600).status)
        finally:
            over.release()

    def interrupt() -> None:
        begun.acquire(timeout=20)
        begun.acquire(timeout=20)
        while len(process._running) < 2:
            threading.Event().wait(0.01)
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        do_each(range(4), deed, jobs=2)
    assert over.acquire(timeout=20)
    assert over.acquire(timeout=20)
    assert len(statuses) == 2  # the two that were waiting for their turn never began
    assert 0 not in statuses
