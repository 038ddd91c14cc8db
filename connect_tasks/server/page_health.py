"""Visits a page until it is as `verify` demands, or it is clear that it is not."""

from __future__ import annotations

import time

from ..configuration import VerifySettings
from ..errors import ServerUnreachable
from .connect import Connect
from .health import complaint

#: Answers that may pass by themselves while an app starts: a proxy's.
STARTING = (502, 503, 504)
#: How often another sick answer is asked for again before it counts, and the first pause, in seconds.
ATTEMPTS, PAUSE, LONGEST_PAUSE = 3, 0.5, 5.0


def wait_until_healthy(connect: Connect, url: str, wanted: VerifySettings) -> str | None:
    """None once the page was healthy `streak` times in a row, else what was wrong with it last."""
    deadline = time.monotonic() + wanted.timeout
    sick, healthy, pause = 0, 0, PAUSE
    while True:
        wrong, starting = _visited(connect, url, wanted, timeout=max(1.0, deadline - time.monotonic()))
        if wrong is None:
            healthy += 1
            if healthy >= wanted.streak:
                return None
            continue
        healthy = 0
        sick += not starting
        if sick >= (wanted.attempts or ATTEMPTS) or time.monotonic() + pause >= deadline:
            return wrong
        with connect.waited.running():
            time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _visited(connect: Connect, url: str, wanted: VerifySettings, *, timeout: float) -> tuple[str | None, bool]:
    """What is wrong with the page, and whether the app may only be starting."""
    try:
        page = connect.visit(url, timeout=timeout)
    except ServerUnreachable as error:
        return error.message, error.passing
    return complaint(page, wanted), page.status in STARTING
