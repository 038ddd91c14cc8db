"""How long somebody waited for the server: the server's share of a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class Stopwatch:
    """Seconds of waiting. Threads, and waits within a wait, that overlap are counted once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            if self._waiting == 0:
                self._since = monotonic()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                if self._waiting == 0:
                    self.seconds += monotonic() - self._since

    def add(self, seconds: float) -> None:
        """What was waited for this run together with others."""
        with self._lock:
            self.seconds += seconds
