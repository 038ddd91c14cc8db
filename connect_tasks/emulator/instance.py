"""One running app: its process, its port, its log, the requests that it is serving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from connect_tasks.emulator import processes
from connect_tasks.emulator.environments import Environment
from connect_tasks.emulator.job_logs import JobLog, tail
from connect_tasks.emulator.modes import MODES, Mode

LAUNCHER = Path(__file__).with_name("launcher.py")
HOST = "127.0.0.1"
INHERITED = ("PATH", "TZ")  # all that an app gets of this server's own environment
KEY_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One bundle under one mount: what it takes to start it."""

    key: str  # unique: content, bundle and mount
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

    async def start(self, data: Path, *, timeout: float) -> None:
        """Start the process and wait for its first HTTP answer. Raises StartFailed; then nothing of it is left."""
        environment = self.launch.environment
        if environment is None:
            raise StartFailed(f"content of type {self.launch.mode!r} has no Python environment")
        if not environment.overlay.exists():
            raise StartFailed(f"the web servers for Python {environment.version} are gone: deploy the content again")
        reserved = reserve_port()
        self.port = reserved.getsockname()[1]
        order = {
            "mode": self.launch.mode,
            "entrypoint": self.launch.entrypoint,
            "prefix": self.launch.mount,
            "port": self.port,
            "overlay": str(environment.overlay),
        }
        self._process = await processes.spawn(
            [environment.python, "-u", LAUNCHER, json.dumps(order)],
            cwd=self.launch.directory,
            environment=variables(self.launch, self.job_key, data),
            data=data,
        )
        self.parent_pid = self._process.pid
        self._end = asyncio.create_task(self._outlive(self._process, reserved))
        try:
            await self._become_ready(self._end, timeout)
        except BaseException:
            await self.kill()
            raise

    async def _become_ready(self, end: asyncio.Task[None], patience: float) -> None:
        answer = asyncio.create_task(first_answer(self.port or 0, "/" if self.mode.strip else f"{self.launch.mount}/"))
        try:
            await asyncio.wait({answer, end}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if end.done():
            raise StartFailed(f"the app ended with exit code {self.exit_code} before it answered", log=tail(self.log))
        if not answer.done() or answer.cancelled():
            await self.kill()
            raise StartFailed(f"the app did not answer within {patience:g} s", log=tail(self.log))
        self.pid = processes.only_child(self.parent_pid or 0)
        self.last_used = time.monotonic()

    async def _outlive(self, process: asyncio.subprocess.Process, reserved: socket.socket) -> None:
        """Keep the log until the process ends, then write down how it ended."""
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
            reserved.close()

    async def stop(self) -> None:
        """SIGTERM, five seconds, SIGKILL, for the app and all of its descendants."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
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


def reserve_port() -> socket.socket:
    """A port that is ours as long as this socket is open: bound but not listening, so only one who names it gets it."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, 0))
    return reserved


async def first_answer(port: int, path: str) -> None:
    """Return as soon as a GET is answered by HTTP, whatever the status."""
    pause = 0.01
    while not await answers(port, path):
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, 0.1)


async def answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        return await reader.readexactly(5) == b"HTTP/"
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()
