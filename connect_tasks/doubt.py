"""Writes whose answer may be lost: look whether they happened before they are done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import Problem, ServerRefused, ServerUnreachable

Value = TypeVar("Value")
#: How often a write is tried, and the first pause between, in seconds.
ATTEMPTS, PAUSE = 3, 0.5
#: How long we look for the trace of a write whose answer was lost, in seconds.
PATIENCE = 20.0
TOO_MANY, SERVER_ERROR = 429, 500


def is_doubtful(problem: Problem) -> bool:
    """Whether the write behind this problem may have happened: no answer, an unreadable one, or a server's own
    fault."""
    if isinstance(problem, ServerUnreachable):
        return True
    return isinstance(problem, ServerRefused) and (problem.status is None or problem.status >= SERVER_ERROR)


def settled(
    act: Callable[[], Value], trace: Callable[[], Value | None], *, patience: float = PATIENCE, attempts: int = ATTEMPTS
) -> Value:
    """Do a write; where its answer is lost, return what `trace` finds of it within `patience`, else do it again.

    A refusal because of too many requests did not happen, and is tried again too. Raises the last problem.
    """
    pause = PAUSE
    for attempt in range(1, attempts + 1):
        try:
            return act()
        except (ServerUnreachable, ServerRefused) as problem:
            refused_for_now = isinstance(problem, ServerRefused) and problem.status == TOO_MANY
            if not refused_for_now and not is_doubtful(problem):
                raise
            found = None if refused_for_now else _found(trace, patience)
            if found is not None:
                return found
            if attempt == attempts:
                raise
        time.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable: the last attempt returns or raises")


def _found(trace: Callable[[], Value | None], patience: float) -> Value | None:
    deadline = time.monotonic() + patience
    while True:
        try:
            value = trace()
        except (ServerUnreachable, ServerRefused):
            value = None  # still in the dark
        if value is not None or time.monotonic() >= deadline:
            return value
        time.sleep(0.25)
