"""The runtime pieces without the API in front: real environments, processes, servers and git, all on loopback."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from connect_tasks.emulator.environments import Environment, Environments
from connect_tasks.emulator.instances import Instances, Launch, StartFailed
from connect_tasks.emulator.interpreters import Interpreter
from connect_tasks.emulator.proxy import Proxy, Unreachable


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _bytecode_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


@pytest.fixture(scope="session")
def own_python() -> Interpreter:
    version = ".".join(map(str, sys.version_info[:3]))
    return Interpreter(version, Path(sys._base_executable).resolve())  # type: ignore[attr-defined]  # typeshed leaves it out


@pytest.fixture(scope="session")
def environment_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once per test run: the cache is what makes that possible."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def build(environment_root: Path, own_python: Interpreter) -> Callable[..., Awaitable[Environment]]:
    """An environment from requirement lines."""
    environments = Environments(environment_root)

    async def build(*requirements: str, interpreter: Interpreter = own_python) -> Environment:
        text = "\n".join(requirements)
        return await environments.prepare(interpreter, text, lambda _line: None, directory=environment_root)

    return build


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """A bundle's directory from file names and texts."""
    return lambda files, name="bundle": write(tmp_path / name, files)


def write(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
    return directory


@dataclass
class Front:
    """A server in front of the apps, as the API half's is: one app per mount, anyone may visit."""

    instances: Instances
    proxy: Proxy
    logs: Path
    visitor: aiohttp.ClientSession
    url: str = ""

    def __post_init__(self) -> None:
        self.launches: dict[str, Launch] = {}
        self.credentials: str | None = None

    def mount(
        self,
        directory: Path,
        environment: Environment | None,
        *,
        mode: str = "python-api",
        entrypoint: str = "app",
        guid: str = "11111111-2222-3333-4444-555555555555",
        bundle_id: str = "1",
        mount: str | None = None,
        key: str | None = None,
        primary: str | None = None,
        **variables: str,
    ) -> Launch:
        mount = mount or f"/content/{guid}"
        launch = Launch(
            key=key or f"{guid}-{bundle_id}-{mount}",
            guid=guid,
            bundle_id=bundle_id,
            directory=directory,
            mode=mode,
            entrypoint=entrypoint,
            environment=environment,
            mount=mount,
            variables=variables,
            log=self.logs / f"{guid}-{bundle_id}.log",
            primary=primary,
        )
        self.launches[mount] = launch
        return launch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        matching = [mount for mount in self.launches if scope["path"].startswith(f"{mount}/")]
        launch = self.launches[max(matching, key=len)]
        try:
            try:
                await self._visit(scope, receive, send, launch)
            except Unreachable:
                await self._visit(scope, receive, send, launch)
        except StartFailed as exc:
            await plain(send, 503, f"{exc}\n{exc.log}")

    async def _visit(self, scope: Scope, receive: Receive, send: Send, launch: Launch) -> None:
        instance = await self.instances.get(launch)
        if scope["type"] == "websocket":
            await self.proxy.websocket(scope, receive, send, instance, mount=launch.mount)
        else:
            await self.proxy.http(
                scope,
                receive,
                send,
                instance,
                server_url=self.url,
                mount=launch.mount,
                credentials=self.credentials,
            )

    def at(self, launch: Launch, path: str = "/") -> str:
        return f"{self.url}{launch.mount}{path}"

    async def get(self, launch: Launch, path: str = "/", **options: Any) -> tuple[int, str]:
        async with self.visitor.get(self.at(launch, path), **options) as answer:
            return answer.status, await answer.text()


async def plain(send: Send, status: int, text: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a free port of loopback; its URL."""
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws_max_size=2**31, server_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
        if serving.done():
            serving.result()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await serving


@pytest.fixture
async def front(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        instances = Instances(tmp_path / "data", idle_timeout=60, startup_timeout=30)
        stack.push_async_callback(instances.close)
        proxy = Proxy()
        stack.push_async_callback(proxy.close)
        visitor = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        front = Front(instances=instances, proxy=proxy, logs=tmp_path / "logs", visitor=visitor)
        front.url = await stack.enter_async_context(served(front))
        yield front


@pytest.fixture
def serve() -> Callable[[ASGIApp], AbstractAsyncContextManager[str]]:
    return served


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process runs: a zombie does not."""

    def alive(pid: int) -> bool:
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            return False

    return alive


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until something is so."""

    async def until(so: Callable[[], object]) -> None:
        give_up = time.monotonic() + 30
        while not so():
            assert time.monotonic() < give_up, "it did not come to be"
            await asyncio.sleep(0.01)

    return until
