"""Calls that fail: what may be done again is, what may have happened is looked for before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import Problem, ServerRefused, ServerUnreachable

if TYPE_CHECKING:
    from tenacity import RetryCallState

Value = TypeVar("Value")
#: How often a call is tried, the pauses between (which double, with jitter), and all of it together, in seconds.
ATTEMPTS, PAUSE, LONGEST_PAUSE, TOTAL = 4, 0.5, 30.0, 60.0
#: How often a write is tried that must not be done twice, and how long we look for the trace of one, in seconds.
WRITES, PATIENCE, LOOK_AGAIN = 3, 20.0, 0.25
TOO_MANY, SERVER_ERROR = 429, 500


def is_passing(problem: BaseException) -> bool:
    """Whether a failure looks as if it will be gone in a moment: no whole answer, too many requests, a server's own
    fault."""
    if isinstance(problem, ServerUnreachable):
        return problem.passing
    if not isinstance(problem, ServerRefused) or problem.status is None:
        return False
    return problem.status == TOO_MANY or problem.status >= SERVER_ERROR


def is_doubtful(problem: BaseException) -> bool:
    """Whether the write behind a failure may have happened: also when the answer was a page of somebody else's."""
    return is_passing(problem) or (isinstance(problem, ServerRefused) and problem.status is None)


def patiently(act: Callable[[], Value], again: Callable[[BaseException], bool] = is_passing) -> Value:
    """Do what may be done twice: again while its failure is one of those. Raises the last problem."""
    try:
        return act()
    except Problem as problem:
        if not again(problem):
            raise
        failures = [problem]

    def act_again() -> Value:
        if failures:
            raise failures.pop()  # the first attempt is over: tenacity takes 13 ms to import, and is rarely needed
        return act()

    from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay

    retrying = Retrying(
        retry=retry_if_exception(again),
        wait=_pause,
        stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(TOTAL),
        reraise=True,
    )
    return retrying(act_again)


def _pause(state: RetryCallState) -> float:
    """As long as the server asks for, else longer each time."""
    from tenacity import wait_exponential, wait_random

    problem = state.outcome.exception() if state.outcome else None
    if isinstance(problem, ServerRefused) and problem.retry_after is not None:
        return problem.retry_after
    return (wait_exponential(multiplier=PAUSE, max=LONGEST_PAUSE) + wait_random(0, PAUSE))(state)


def settled(act: Callable[[], Value], trace: Callable[[], Value | None], *, patience: float | None = None) -> Value:
    """Do a write that must not be done twice. Where its answer is lost, return what `trace` finds of it.

    It is done again only after a look that saw the server without it. Raises the last problem of the write.
    """
    pause = PAUSE
    for attempt in range(1, WRITES + 1):
        try:
            return act()
        except (ServerUnreachable, ServerRefused) as problem:
            if not is_doubtful(problem):
                raise
            lost = problem
        try:
            found = looked_for(trace, patience=patience)
        except (ServerUnreachable, ServerRefused):
            raise lost from None  # in the dark it may have happened
        if found is not None:
            return found
        if attempt == WRITES:
            raise lost
        asked = lost.retry_after if isinstance(lost, ServerRefused) else None
        time.sleep(min(max(pause, asked or 0.0), LONGEST_PAUSE))
        pause *= 2
    raise AssertionError("unreachable: the last attempt returns or raises")


def looked_for(trace: Callable[[], Value | None], *, patience: float | None = None) -> Value | None:
    """Look for the trace of a write that the server may still be at work on: for `patience` seconds, PATIENCE if None.

    None: it was not there. Raises the problem of the last look if that one saw nothing at all.
    """
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            value = trace()
            if value is not None or time.monotonic() >= deadline:
                return value
        except (ServerUnreachable, ServerRefused):
            if time.monotonic() >= deadline:
                raise
        time.sleep(LOOK_AGAIN)
