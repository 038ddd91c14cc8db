"""Follows a task of the server to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import DeployFailed, ServerRefused, TaskUnfinished
from ..foreign_text import plain
from .connect import Connect, TaskState
from .connect_failures import NOT_FOUND

BAD_REQUEST = 400
#: A server may answer at once although asked to wait; it is not asked more often than this, in seconds.
INTERVAL = 0.2


def follow(
    connect: Connect,
    task: str,
    *,
    timeout: float,
    say: Callable[[str], None],
    told: int = 0,
    note: Callable[[int], None] = lambda _: None,
) -> None:
    """Hand on the lines of a task's log as they come; only finished, code 0 and no error within `timeout` is a success.

    The first `told` lines were handed on before; `note` gets the number whenever it has grown. Raises `DeployFailed`,
    `TaskUnfinished`, and what the door raises.
    """
    deadline = time.monotonic() + timeout
    first, tail = told, ""
    while True:
        asked = time.monotonic()
        first, state = _state(connect, task, first)
        for line in map(plain, state.lines[max(0, told - first) :]):  # a log that shrank is not told twice
            say(line)
            tail = line.strip() or tail
        if first + len(state.lines) > told:
            told = first + len(state.lines)
            note(told)
        if state.succeeded:
            return
        if state.finished:
            raise _failed(task, state, tail)
        if time.monotonic() >= deadline:
            raise TaskUnfinished(
                f"the deploy task did not finish within {timeout:g} s",
                where=f"task {task}",
                hint="run the release again to go on with it, or raise `deploy_timeout`",
            )
        first = max(0, state.last)
        with connect.waited.running():
            time.sleep(max(0.0, asked + INTERVAL - time.monotonic()))


def state_of(connect: Connect, task: str) -> TaskState | None:
    """How a task stands; None where the server knows it no more."""
    try:
        return connect.task(task, 0)
    except ServerRefused as error:
        if error.status != NOT_FOUND:
            raise
        return None


def _state(connect: Connect, task: str, first: int) -> tuple[int, TaskState]:
    """How the task stands, with the lines from `first` on, or from 0 where the log has shrunk."""
    try:
        try:
            return first, connect.task(task, first)
        except ServerRefused as error:
            if error.status != BAD_REQUEST or first == 0:
                raise
            return 0, connect.task(task, 0)
    except ServerRefused as error:
        if error.status != NOT_FOUND:
            raise
        raise TaskUnfinished(
            "the server knows nothing of the deploy task any more: it was restarted, or another of its nodes answers",
            where=f"task {task}",
            hint="run the release again: it goes on with what the task has made",
        ) from None


def _failed(task: str, state: TaskState, tail: str) -> DeployFailed:
    reason = plain(state.error).strip() or tail or f"it ended with code {state.code}"
    return DeployFailed(
        f"the server's deploy task failed: {reason}",
        where=f"task {task}",
        hint="the task's log is above; mend the cause and run the release again",
    )
