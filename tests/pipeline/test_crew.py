"""Several apps at the same time: bounded, each accounted for, and over at once when the run is interrupted."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from connect_tasks import process
from connect_tasks.pipeline.crew import begun, beside, do_each


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


def asleep(place: Path) -> int:
    """A program that runs until it is ended -> its status; its process id is in `place`/pid."""
    argv = [sys.executable, "-c", "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"]
    return process.run(argv, cwd=place, env=dict(os.environ), timeout=600).status


def wait_for_pid(place: Path) -> int:
    deadline = time.monotonic() + 20
    while not ((place / "pid").is_file() and (text := (place / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(text)


def raise_beside_a_program(place: Path, raised: type[BaseException]) -> None:
    with beside(lambda: asleep(place)):
        wait_for_pid(place)
        raise raised


def test_a_deed_goes_on_beside_the_block() -> None:
    meeting = threading.Barrier(2)
    with beside(lambda: meeting.wait(20) is None or "done") as result:
        meeting.wait(20)  # both are here at the same time, or this breaks
        assert result() == result() == "done"


def test_what_a_deed_raises_is_raised_at_the_end_of_the_block_at_the_latest() -> None:
    def fail() -> None:
        raise LookupError("beside")

    passed = []
    with pytest.raises(LookupError, match="beside"), beside(fail):
        passed.append("the block")
    assert passed == ["the block"]


@pytest.mark.parametrize("raised", [LookupError, KeyboardInterrupt])
def test_what_the_block_raises_ends_the_program_beside_it(tmp_path: Path, raised: type[BaseException]) -> None:
    with pytest.raises(raised):
        raise_beside_a_program(tmp_path, raised)
    with pytest.raises(ProcessLookupError):
        os.kill(wait_for_pid(tmp_path), 0)


def test_what_others_run_meanwhile_is_left_alone(tmp_path: Path) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    for place in (other, mine):
        place.mkdir()
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(asleep(other)))
    thread.start()
    pid = wait_for_pid(other)
    with pytest.raises(LookupError):
        raise_beside_a_program(mine, LookupError)
    os.kill(pid, 0)
    os.kill(pid, signal.SIGTERM)
    thread.join(20)
    assert statuses == [-signal.SIGTERM]


def test_an_interrupted_run_waits_for_its_threads_a_moment() -> None:
    """They write into the scratch directory that is removed next."""
    begun, over = threading.Barrier(3), []

    def deed(item: int) -> None:
        begun.wait(20)
        time.sleep(0.3)
        over.append(item)

    def interrupt() -> None:
        begun.wait(20)
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        do_each(range(2), deed, jobs=2)
    assert sorted(over) == [0, 1]


def test_what_nobody_waited_for_is_ended_with_the_block(tmp_path: Path) -> None:
    with begun(lambda: asleep(tmp_path)):
        pid = wait_for_pid(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_whoever_is_ended_ends_what_is_done_for_them(tmp_path: Path) -> None:
    """The inner deed waits for a program, the outer one for the inner: to end the outer ends both at once."""

    def outer() -> int:
        with beside(lambda: asleep(tmp_path)) as inner:
            return inner()

    started = time.monotonic()
    with begun(outer) as going:
        pid = wait_for_pid(tmp_path)
        going.end()
        with pytest.raises(process.Stopped):
            going.result()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert time.monotonic() - started < 60
