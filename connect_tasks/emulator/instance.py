"""One running app: its process and what is known of it, its log, the requests that it is serving."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from connect_tasks.emulator import processes
from connect_tasks.emulator.environments import Environment
from connect_tasks.emulator.job_logs import JobLog, tail
from connect_tasks.emulator.modes import MODES, Mode

INHERITED = ("PATH", "TZ")  # all that an app gets of this server's own environment
KEY_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One bundle, and the mount that it is started for: what it takes to start it."""

    key: str  # unique: content and bundle, and the mount where a process has but one
    guid: str
    bundle_id: str
    directory: Path
    mode: str  # the manifest's appmode
    entrypoint: str
    environment: Environment | None  # None for what needs no process
    mount: str  # "/content/<guid>", no trailing slash
    variables: Mapping[str, str]
    log: Path  # the job's key comes before the suffix
    primary: str | None = None
    hide_all_input: bool = False  # of a notebook: the manifest's jupyter table
    hide_tagged_input: bool = False


class StartFailed(Exception):
    """The app did not come up; `log` is the end of what it said."""

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


@dataclass(kw_only=True, eq=False)
class Instance:
    """A started app, a job in Connect's words. `port` is None for content that needs no process."""

    launch: Launch
    mode: Mode
    job_key: str
    log: Path
    port: int | None = None
    pid: int | None = None
    parent_pid: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    ended: datetime | None = None
    exit_code: int | None = None
    in_flight: int = 0
    reachable: bool = True
    last_used: float = field(default_factory=time.monotonic)
    _process: asyncio.subprocess.Process | None = None
    _end: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, launch: Launch) -> Instance:
        key = "".join(secrets.choice(KEY_ALPHABET) for _ in range(16))
        log = launch.log.with_name(f"{launch.log.stem}-{key}{launch.log.suffix}")
        return cls(launch=launch, mode=MODES[launch.mode], job_key=key, log=log)

    @property
    def alive(self) -> bool:
        return self.ended is None

    @property
    def serves(self) -> bool:
        """Whether a request may be sent to it: a process that just died is often noticed by a visitor first."""
        return self.alive and self.reachable

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Held while a request is served: a drained app is stopped after its last one is given back."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = time.monotonic()

    async def run(self, argv: Sequence[str | Path], data: Path, *, reserved: socket.socket | None = None) -> None:
        """Start a process for it and keep its log from now on; the socket is closed when the process has ended.

        Raises StartFailed.
        """
        environment = variables(self.launch, self.job_key, data)
        try:
            self._process = await processes.spawn(argv, cwd=self.launch.directory, environment=environment, data=data)
        except OSError as exc:
            raise StartFailed(f"the bundle cannot be started in {exc.filename}: {exc.strerror}") from exc
        self.parent_pid = self._process.pid
        self._end = asyncio.create_task(self._outlive(self._process, reserved))

    async def _outlive(self, process: asyncio.subprocess.Process, reserved: socket.socket | None) -> None:
        log = JobLog(self.log)
        try:
            await asyncio.gather(
                log.follow("stdout", processes.pipe(process.stdout)),
                log.follow("stderr", processes.pipe(process.stderr)),
            )
            self.exit_code = await process.wait()
        finally:
            self.ended = datetime.now(timezone.utc)
            log.close()
            if reserved is not None:
                reserved.close()

    async def stop(self) -> None:
        """SIGTERM, five seconds, SIGKILL, for the app and all of its descendants."""
        if self._process is not None and self._process.returncode is None:
            processes.ask_to_end(self._process)
        await self.over()

    async def kill(self) -> None:
        """End it now."""
        if self._process is not None:
            processes.drop_lifeline(self._process)
        await self.over()

    async def over(self) -> None:
        """Wait until the process has ended and its log is complete."""
        if self._end is not None:
            await asyncio.shield(self._end)

    def failed(self, message: str) -> StartFailed:
        return StartFailed(message, log=tail(self.log))

    def environment(self) -> Environment:
        """Raises StartFailed."""
        environment = self.launch.environment
        if environment is None:
            raise StartFailed(f"content of type {self.launch.mode!r} has no Python environment")
        return environment


def variables(launch: Launch, job_key: str, data: Path) -> dict[str, str]:
    """What the app sees: Connect's variables, its content's, and nothing of this server's but PATH and zone."""
    home = data / "homes" / launch.guid
    home.mkdir(parents=True, exist_ok=True)
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if launch.environment is not None:
        inherited["PATH"] = os.pathsep.join([str(launch.environment.python.parent), inherited.get("PATH", os.defpath)])
    return {
        **inherited,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "POSIT_PRODUCT": "CONNECT",
        "RSTUDIO_PRODUCT": "CONNECT",
        "CONNECT_CONTENT_GUID": launch.guid,
        "CONNECT_CONTENT_JOB_KEY": job_key,
        **launch.variables,
    }
