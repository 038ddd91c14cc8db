"""Follows a task of the server to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from .connect import Connect
from .connect_failures import plain
from .errors import DeployFailed, ServerRefused, TaskUnfinished

NOT_FOUND = 404


def follow(connect: Connect, task: str, *, timeout: float, say: Callable[[str], None]) -> None:
    """Hand on the lines of a task's log as they come; only `finished` with code 0 within `timeout` seconds is a
    success.

    Raises `DeployFailed` and `TaskUnfinished`, and what the door raises.
    """
    deadline = time.monotonic() + timeout
    first, tail = 0, ""
    while True:
        state = connect.task(task, first)
        for line in map(plain, state.lines):
            say(line)
            tail = line.strip() or tail
        first = max(first, state.last)  # a log that shrinks is not told twice
        if state.succeeded:
            return
        if state.finished:
            reason = plain(state.error).strip() or tail or "no reason given"
            raise DeployFailed(
                f"the server's deploy task failed: {reason}",
                where=f"task {task}",
                hint="the task's log is above; mend the cause and run the release again",
            )
        if time.monotonic() >= deadline:
            raise TaskUnfinished(
                f"the deploy task did not finish within {timeout:g} s",
                where=f"task {task}",
                hint="run the release again to go on with it, or raise `deploy_timeout`",
            )


def is_gone(problem: ServerRefused) -> bool:
    """Whether a task is unknown to the server (it was restarted, or another node of a cluster answers)."""
    return problem.status == NOT_FOUND
