"""Several deeds at the same time: a bounded number of threads, and an end when the run is interrupted.

The threads are daemons, not a pool: a pool waits at exit for whatever its threads wait for, and an interrupt reaches
the main thread only.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Generic, TypeVar

from .. import process
from ..interrupts import uninterrupted

Item = TypeVar("Item")
Done = TypeVar("Done")
#: Seconds between two looks up: an interrupt that another thread was woken by does not end a wait without a limit.
LOOK_UP = 1.0
#: Seconds that an interrupted run waits for its threads, which still write into its scratch directory.
PARTING, SOON = 2.0, 0.05


def do_each(items: Sequence[Item], deed: Callable[[Item], None], *, jobs: int) -> None:
    """Do the deed for each item, `jobs` of them at the same time. A deed accounts for its own problems; what it raises
    all the same is raised here, once the others are through."""
    if jobs == 1 or len(items) < 2:
        for item in items:
            deed(item)
        return
    todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        todo.put(item)
    failures: list[BaseException] = []
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                deed(item)
            except BaseException as failure:  # noqa: BLE001  # handed to the main thread
                failures.append(failure)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_UP)
    except BaseException:
        stopped.set()
        deadline = time.monotonic() + PARTING
        while time.monotonic() < deadline and any(thread.is_alive() for thread in threads):
            process.end_running()  # again: a thread may have started the next one
            time.sleep(SOON)
        raise
    if failures:
        raise failures[0]


class Begun(Generic[Done]):
    """A deed that is done in a thread of its own, in the context of who began it: whoever ends what we do ends what is
    done for us."""

    def __init__(self, deed: Callable[[], Done]) -> None:
        self._deed = deed
        self._stop, self._ended = threading.Event(), threading.Event()
        self._done: list[Done] = []
        self._failures: list[BaseException] = []
        threading.Thread(target=copy_context().run, args=(self._work,), daemon=True).start()

    def wait(self) -> None:
        """Until it is over, whatever came of it."""
        while not self._ended.wait(process.LOOK_UP):
            if process.stopped():
                raise process.Stopped

    def result(self) -> Done:
        """Wait for it. Raises what it raised."""
        self.wait()
        if self._failures:
            raise self._failures[0]
        return self._done[0]

    def end(self) -> None:
        """Nobody wants it any more: the program that it runs is ended."""
        self._stop.set()
        with uninterrupted():  # programs have a grace; whatever else the thread waits for ends with the process
            self._ended.wait(process.GRACE + LOOK_UP)

    def _work(self) -> None:
        try:
            with process.stoppable(self._stop):
                self._done.append(self._deed())
        except BaseException as failure:  # noqa: BLE001  # handed to the thread that waits
            self._failures.append(failure)
        finally:
            self._ended.set()


@contextmanager
def begun(deed: Callable[[], Done]) -> Iterator[Begun[Done]]:
    """Do a deed while the block goes on; what is still being done at its end is ended."""
    going = Begun(deed)
    try:
        yield going
    finally:
        going.end()


@contextmanager
def beside(deed: Callable[[], Done]) -> Iterator[Callable[[], Done]]:
    """Do a deed while the block goes on -> what waits for its result, and raises what it raised. The block ends when
    the deed is done; what raises in the block, an interrupt too, ends it."""
    with begun(deed) as going:
        yield going.result
        going.result()
