"""All running apps: started at the first visit, drained, stopped when idle, started again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from connect_tasks.emulator import processes
from connect_tasks.emulator.instance import Instance, Launch, StartFailed
from connect_tasks.emulator.job_logs import read_log
from connect_tasks.emulator.modes import unsupported
from connect_tasks.emulator.notebooks import render, rendered
from connect_tasks.emulator.starting import start

__all__ = ["Instance", "Instances", "Launch", "StartFailed", "read_log", "unsupported"]

REMEMBERED = 1000  # finished jobs
QUIET = 0.25  # seconds without a visit before a drained app is stopped: who was given it just now still comes
STARTS_AT_ONCE = 4 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class _Start:
    launch: Launch
    task: asyncio.Task[Instance]


class Instances:
    """The route table: at most one instance per launch key serves; others may still be draining."""

    def __init__(
        self,
        data: Path,
        *,
        idle_timeout: float,
        startup_timeout: float,
        changed: Callable[[Instance], None] = lambda _instance: None,
    ) -> None:
        """`changed` hears of every job: when it starts, when it answers, when it has ended. Timeouts in seconds."""
        self._data = data.resolve()
        self._idle_timeout = idle_timeout
        self._startup_timeout = startup_timeout
        self._changed = changed
        self._serving: dict[str, Instance] = {}
        self._starting: dict[str, _Start] = {}
        self._live: dict[str, Instance] = {}  # by job key: starting, serving and draining
        self._finished: deque[Instance] = deque(maxlen=REMEMBERED)
        self._turns = asyncio.Semaphore(STARTS_AT_ONCE)
        self._background: set[asyncio.Task[None]] = set()
        self._idle_watch: asyncio.Task[None] | None = None
        self._closed = False

    async def get(self, launch: Launch) -> Instance:
        """The instance that serves it, started now if none does; many visitors wait for one start.

        Returns without giving up control when one is running, so that its caller's lease comes before any drain.
        Raises StartFailed.
        """
        serving = self._serving.get(launch.key)
        if serving is not None and serving.serves:
            serving.last_used = time.monotonic()
            return serving
        if serving is not None:
            del self._serving[launch.key]
            self._in_background(serving.stop())
        starting = self._starting.get(launch.key)
        if starting is None:
            starting = _Start(launch, asyncio.create_task(self._start(launch), name=f"start {launch.key}"))
            self._starting[launch.key] = starting
            starting.task.add_done_callback(lambda done: self._started(launch.key, done))
        return await asyncio.shield(starting.task)  # a visitor who leaves does not stop the start for the others

    async def retire(self, predicate: Callable[[Launch], bool], *, drain: float = 30.0) -> None:
        """Take the matching instances out of service at once, and stop each when its last request is answered.

        After `drain` seconds open requests and WebSockets are cut off. Returns when all have ended.
        """
        going = [self._serving.pop(key) for key, instance in list(self._serving.items()) if predicate(instance.launch)]
        starting = [self._starting.pop(key) for key, each in list(self._starting.items()) if predicate(each.launch)]
        for each in starting:
            with contextlib.suppress(StartFailed):
                going.append(await asyncio.shield(each.task))
        await asyncio.gather(*(self._drain(instance, drain) for instance in going))

    def jobs(self) -> tuple[Instance, ...]:
        """Every job known since the server started, running and finished, newest first."""
        return tuple(sorted([*self._live.values(), *self._finished], key=lambda job: job.started, reverse=True))

    async def terminate(self, key: str) -> bool:
        """Stop the job with that key now; False if no such job is running."""
        instance = self._live.get(key)
        if instance is None:
            return False
        if self._serving.get(instance.launch.key) is instance:
            del self._serving[instance.launch.key]
        await instance.stop()
        return True

    async def close(self) -> None:
        """Kill everything; nothing can be started afterwards."""
        self._closed = True
        idle_watch = [self._idle_watch] if self._idle_watch else []
        going_on = [*(each.task for each in self._starting.values()), *idle_watch]
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        await asyncio.gather(*(instance.kill() for instance in list(self._live.values())))
        await asyncio.gather(*self._background)  # which only wait for the ends that have come

    @staticmethod
    def sweep(data: Path) -> None:
        """Kill what an earlier server with this data directory left behind."""
        processes.sweep(data)

    async def _start(self, launch: Launch) -> Instance:
        reason = unsupported(launch.mode)
        if reason or self._closed:
            raise StartFailed(reason or "the server is shutting down")
        instance = Instance.of(launch)
        if instance.mode.process:
            async with self._job(instance):
                await start(instance, self._data, patience=self._startup_timeout)
                self._changed(instance)
            self._in_background(self._bury(instance))
            self._watch_idle()
        elif launch.mode == "jupyter-static" and not rendered(launch).exists():
            job = Instance.of(launch)
            async with self._job(job):
                await render(job, self._data)
            self._end(job)
        mine = self._starting.get(launch.key)
        if mine is not None and mine.task is asyncio.current_task():  # else it was retired meanwhile
            self._serving[launch.key] = instance
        return instance

    @asynccontextmanager
    async def _job(self, instance: Instance) -> AsyncIterator[None]:
        """A start among the few at once, known as a job while it lasts and, if it fails, as a finished one after."""
        async with self._turns:
            self._live[instance.job_key] = instance
            self._changed(instance)
            try:
                yield
            except BaseException:
                self._end(instance)
                raise

    def _started(self, key: str, done: asyncio.Task[Instance]) -> None:
        mine = self._starting.get(key)
        if mine is not None and mine.task is done:
            del self._starting[key]
        if not done.cancelled():
            done.exception()  # seen, even if every visitor has left

    async def _bury(self, instance: Instance) -> None:
        """Whatever ends it, a crash too: the next visit starts a new one."""
        await instance.over()
        if self._serving.get(instance.launch.key) is instance:
            del self._serving[instance.launch.key]
        self._end(instance)

    def _end(self, instance: Instance) -> None:
        if self._live.pop(instance.job_key, None) is not None:
            instance.ended = instance.ended or datetime.now(timezone.utc)  # there may never have been a process
            self._finished.append(instance)
            self._changed(instance)

    async def _drain(self, instance: Instance, limit: float) -> None:
        deadline = time.monotonic() + limit
        while instance.alive and time.monotonic() < deadline:
            if instance.in_flight == 0 and time.monotonic() - instance.last_used >= QUIET:
                break
            await asyncio.sleep(0.02)
        await instance.stop()

    def _watch_idle(self) -> None:
        if self._idle_watch is None and self._idle_timeout > 0:
            self._idle_watch = asyncio.create_task(self._stop_idle(), name="stop idle apps")

    async def _stop_idle(self) -> None:
        while True:
            await asyncio.sleep(min(max(self._idle_timeout / 4, 0.05), 5))
            idle_since = time.monotonic() - self._idle_timeout
            for key, instance in list(self._serving.items()):
                if instance.port is not None and instance.in_flight == 0 and instance.last_used < idle_since:
                    del self._serving[key]
                    self._in_background(instance.stop())

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
