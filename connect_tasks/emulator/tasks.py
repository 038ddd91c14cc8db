"""Tasks: work that goes on after its request was answered. Their log is a file, their verdict a record.

A task ends in one commit together with what it changed, so that after a kill there is no half of the two.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Json, Record, Task
from connect_tasks.emulator.store import Store

LONGEST_WAIT: Final = 20  # seconds, the documented limit of `wait`
INTERRUPTED: Final = "The server was stopped while this task ran."

_logger = logging.getLogger(__name__)


class TaskFailed(Exception):
    """The work of a task cannot succeed; the text is what the client reads, `kind` the type of the task's result."""

    def __init__(self, message: str, *, kind: str = "build-failed-error") -> None:
        self.kind = kind
        super().__init__(message)


class Run:
    """A running task, as its work sees it."""

    def __init__(self, task: Task, store: Store, path: Path) -> None:
        self.task = task
        self.lines: list[str] = []
        self.made: set[str] = set()  # bundles that this task has in its hands
        self.ended = asyncio.Event()
        self._store = store
        # Line-buffered: each line is in the operating system's hands before the next step starts.
        self._file = path.open("a", buffering=1, encoding="utf-8", newline="\n")

    def log(self, text: str) -> None:
        for line in text.splitlines() or [""]:
            self.lines.append(line)
            self._file.write(line + "\n")

    def finish(
        self, *changed: Record, failure: str = "", kind: str = "", result: dict[str, Json] | None = None
    ) -> None:
        """Ends the task, well or with a failure, in one commit with the records it changed."""
        if failure:
            self.log(failure)
            result = {"type": kind, "data": failure}
        done = replace(self.task, finished=True, code=1 if failure else 0, error=failure, result=result)
        self._store.commit(done, *changed)
        self.task = done
        self._file.close()
        self.ended.set()


Work = Callable[[Run], Awaitable[None]]


class Tasks:
    def __init__(self, store: Store, folder: Path) -> None:
        """Tasks that an earlier server left unfinished are failed here, with the reason."""
        folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._folder = folder
        self._running: dict[str, Run] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._releasing = asyncio.Event()
        for task in list(store.state.table(Task).values()):
            if not task.finished:
                run = Run(task, store, self._path(task.id))
                run.finish(failure=INTERRUPTED, kind="interrupted-error")

    def start(self, work: Work, title: str, *, user_guid: str, content_guid: str | None = None) -> Task:
        """Starts the work; the tasks of one content item run one after another."""
        task = Task(
            id=secrets.token_hex(8),
            user_guid=user_guid,
            content_guid=content_guid,
            started_time=now(),
            title=title,
        )
        self._store.commit(task)
        run = Run(task, self._store, self._path(task.id))
        self._running[task.id] = run
        background = asyncio.get_running_loop().create_task(self._carry_out(run, work), name=f"task {task.id}")
        self._background.add(background)
        background.add_done_callback(self._background.discard)
        return task

    async def _carry_out(self, run: Run, work: Work) -> None:
        content_guid = run.task.content_guid
        turn = self._turns.setdefault(content_guid, asyncio.Lock()) if content_guid else nullcontext()
        try:
            async with turn:
                await work(run)
            if not run.task.finished:
                run.finish()
        except TaskFailed as failure:
            run.finish(failure=str(failure), kind=failure.kind)
        except Problem as problem:
            run.finish(failure=f"{problem.message} (Error code: {problem.code})", kind="build-failed-error")
        except Exception:
            _logger.exception("task %s", run.task.id)
            run.finish(failure="Something went wrong inside the server.", kind="internal-error")
        finally:
            self._running.pop(run.task.id, None)

    async def view(self, task_id: str, *, first: int, wait: int) -> dict[str, Json]:
        """The documented answer; held until the task ends or `wait` seconds are over. Raises Problem 141, 13."""
        run = self._running.get(task_id)
        if run is not None and wait:
            await self._held(run, wait)
        task = run.task if run is not None else self._store.state.find(Task, task_id)
        if task is None:
            raise Problem(141)
        lines = run.lines if run is not None else self._lines(task_id)
        if first > len(lines):
            raise Problem(13, f"The task has {len(lines)} lines: first cannot be {first}.")
        return {
            "id": task.id,
            "output": lines[first:],
            "last": len(lines),
            "finished": task.finished,
            "code": task.code,
            "error": task.error,
            "result": task.result,
        }

    async def _held(self, run: Run, wait: int) -> None:
        ends = [asyncio.ensure_future(event.wait()) for event in (run.ended, self._releasing)]
        await asyncio.wait(ends, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    def release(self) -> None:
        """Lets go of the requests that wait for a task: the server is about to end."""
        self._releasing.set()

    def unsettled(self, content_guid: str) -> set[str]:
        """Bundles of the content that running tasks have in their hands."""
        runs = (run for run in self._running.values() if run.task.content_guid == content_guid)
        return {bundle_id for run in runs for bundle_id in run.made}

    def log(self, task_id: str) -> list[str]:
        run = self._running.get(task_id)
        return run.lines if run is not None else self._lines(task_id)

    def _lines(self, task_id: str) -> list[str]:
        try:
            return self._path(task_id).read_text("utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return []

    def _path(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.log"

    async def close(self) -> None:
        """Stops the running ones; they are failed in the store by the next start, as after a kill."""
        for background in tuple(self._background):
            background.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
