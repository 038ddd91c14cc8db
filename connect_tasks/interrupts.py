"""Being told to end: a CI system cancels with TERM, a person with Ctrl-C, and neither gets lost."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds after which an interrupt that was thrown away is sent again.
AGAIN = 0.01


@contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """TERM raises `KeyboardInterrupt` as INT does, so that both unwind: children end and files are put away."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
        raise KeyboardInterrupt

    try:
        previous = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread: whoever runs us handles signals
        yield
        return
    try:
        with _none_lost():
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """An interrupt waits until the block has ended: for what is half done at each of its lines, and soon over.

    By the handlers, since a mask of this thread's signals leaves them to any other, for which Python then interrupts
    this one.
    """
    if threading.current_thread() is not threading.main_thread():  # interrupts reach the main thread alone
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _none_lost() -> Iterator[None]:
    """An interrupt that comes while a library's finalizer runs (a connection's, GitPython's) is thrown away by Python
    with a traceback, and the run goes on: it is sent again instead."""
    previous, over = sys.unraisablehook, threading.Event()

    def send_again() -> None:
        if not over.wait(AGAIN):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is KeyboardInterrupt and hasattr(signal, "pthread_kill"):
            threading.Thread(target=send_again, daemon=True).start()
        else:
            previous(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        over.set()
        sys.unraisablehook = previous
