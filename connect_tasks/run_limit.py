"""A limit for a whole run: whatever hangs, in whatever library or child, ends."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import RunTooLong


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `RunTooLong` where the main thread stands after `seconds`; no limit for another thread.

    It comes by the way of a TERM, for which there must be a handler that raises `KeyboardInterrupt`: a signal wakes
    what waits in the system, and what unwinds for a cancelled run unwinds for this one. (Not by ALRM: test runners
    have their own use for that.)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    rung = threading.Event()
    timer = threading.Timer(seconds, _wake, args=(rung,))
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not rung.is_set():
            raise
        raise RunTooLong(
            f"the run took longer than {seconds:g} s and was stopped; what the stages above say is done",
            where="run_timeout",
            hint="run the same command again: it goes on where this one stopped; or raise `run_timeout`",
        ) from None
    finally:
        timer.cancel()


def _wake(rung: threading.Event) -> None:
    rung.set()
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    else:  # Windows: what waits in the system ends first
        _thread.interrupt_main(signal.SIGTERM)
