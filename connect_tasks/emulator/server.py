"""The server put together: its parts, its ASGI application, its life from first request to last."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connect_tasks.emulator.abilities import RECENT, abilities
from connect_tasks.emulator.builds import Builds
from connect_tasks.emulator.clock import now
from connect_tasks.emulator.context import Answer, Context
from connect_tasks.emulator.deployment import Deployments
from connect_tasks.emulator.environments import Environments
from connect_tasks.emulator.git_host import git_host
from connect_tasks.emulator.instances import Instances
from connect_tasks.emulator.keys import Keys
from connect_tasks.emulator.launches import Launches
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.proxy import Proxy
from connect_tasks.emulator.records import ApiKey, User
from connect_tasks.emulator.repositories import Repositories
from connect_tasks.emulator.routes import (
    bundles,
    content,
    deploy,
    environment,
    jobs,
    packages,
    people,
    repository,
    settings,
    sharing,
)
from connect_tasks.emulator.routes.visit import Visits
from connect_tasks.emulator.store import Store
from connect_tasks.emulator.tasks import Tasks

RESOURCES: Final = (settings, people, content, environment, bundles, repository, deploy, sharing, jobs, packages)
GRACE: Final = 3  # seconds that open requests get when the server ends

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line says."""

    data: Path
    git_root: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    ready_file: Path | None = None
    api_key: str | None = None
    connect_version: str = RECENT
    without: tuple[str, ...] = ()
    idle_timeout: float = 120.0
    startup_timeout: float = 60.0
    poll_interval: float = 900.0  # Connect's own default
    faults: bool = False
    stop_with_stdin: bool = False


@dataclass(frozen=True, kw_only=True)
class Application:
    """The whole as one ASGI application: visits first, they are the many; the rest through the router."""

    context: Context
    api_key: str
    visits: Visits
    router: Starlette
    faults: Faults | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and self.visits.claims(scope["path"]):
            await self.visits(scope, receive, send)
        else:
            await self.router(scope, receive, send)


def build(options: Settings, *, url: str) -> Application:
    """Opens the data directory and makes the server of it. Raises DataDirectoryRefused, ValueError (version, ability)."""
    data = options.data.resolve()
    able = abilities(options.connect_version, options.without)
    data.mkdir(parents=True, exist_ok=True)
    store = Store(data / "state.sqlite3")
    Instances.sweep(data)
    keys = Keys(store)
    api_key = _administrator(store, keys, data, options.api_key)
    tasks = Tasks(store, data / "tasks")
    environments = Environments(data / "environments")
    builds = Builds(data, environments, able)
    launches = Launches(
        data,
        store=store,
        builds=builds,
        url=url,
        owner_key=keys.passing,
        idle_timeout=options.idle_timeout,
        startup_timeout=options.startup_timeout,
    )
    repositories = Repositories(data / "repositories")
    server = Context(
        url=url,
        data=data,
        store=store,
        keys=keys,
        abilities=able,
        tasks=tasks,
        builds=builds,
        deployments=Deployments(store=store, tasks=tasks, repositories=repositories, builds=builds, launches=launches),
        launches=launches,
    )
    proxy = Proxy()
    git_root = options.git_root or data / "git"
    git_root.mkdir(parents=True, exist_ok=True)
    router = Starlette(
        routes=_routes(git_host(git_root, pusher=_pusher(keys))),
        exception_handlers={Problem: _refused, HTTPException: _unroutable, Exception: _failed},
        lifespan=_life(server, proxy),
    )
    router.router.redirect_slashes = False
    router.state.context = server
    return Application(context=server, api_key=api_key, visits=Visits(server, proxy), router=router)


def _routes(git: ASGIApp) -> list[BaseRoute]:
    api = [route for resource in RESOURCES for route in resource.routes]
    return [Mount("/__api__", routes=api), Mount("/git", app=git), Route("/__ping__", _ping)]


async def _ping(request: Request) -> Response:
    return Answer({})


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    headers = {"www-authenticate": "Key"} if problem.status == 401 else None
    return Answer(problem.body(), status_code=problem.status, headers=headers)


async def _unroutable(request: Request, problem: Exception) -> Response:
    return await _refused(request, Problem(2))


async def _failed(request: Request, problem: Exception) -> Response:
    return await _refused(request, Problem(1))


def _life(server: Context, proxy: Proxy) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        await server.tasks.close()
        await server.launches.close()
        await proxy.close()
        server.store.close()

    return life


def _pusher(keys: Keys) -> Callable[[Mapping[str, str]], str | None]:
    def pusher(headers: Mapping[str, str]) -> str | None:
        try:
            user = keys.visitor(headers)
        except Problem:
            return None
        return user.username if user is not None and user.publisher else None

    return pusher


def _administrator(store: Store, keys: Keys, data: Path, given: str | None) -> str:
    """The first user and its key: given, or the one of the last run with this data directory, or a new one."""
    admins = [user for user in store.state.table(User).values() if user.administrator and not user.locked]
    admin = min(admins, key=lambda user: user.created_time, default=None)
    if admin is None:
        admin = User(guid=str(uuid.uuid4()), username="admin", first_name="Local", last_name="Administrator",
                     email="admin@localhost", user_role="administrator", created_time=now())  # fmt: skip
        store.commit(admin)
    path = data / "api-key"
    key = given or (path.read_text("utf-8").strip() if path.exists() else "") or secrets.token_urlsafe(24)
    store.commit(keys.known(key, admin.guid))
    if given is None:
        write_private(path, key + "\n")
    return key


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


class _Server(uvicorn.Server):
    """uvicorn, which tells when it answers, and ends when its parent does where that is asked for."""

    def __init__(self, config: uvicorn.Config, options: Settings, url: str, api_key: str) -> None:
        super().__init__(config)
        self._options, self._url, self._api_key = options, url, api_key

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        if self._options.ready_file is not None:
            ready = {"url": self._url, "api_key": self._api_key, "pid": os.getpid()}
            write_private(self._options.ready_file, json.dumps(ready) + "\n")
        if self._options.stop_with_stdin:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._stop_at_end_of_input)

    def _stop_at_end_of_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 65536):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.should_exit = True


def serve(options: Settings, announce: Callable[[Application, str], None]) -> None:
    """Serves until a signal ends it. `announce` is told the URL before the first request.

    Raises OSError (address), DataDirectoryRefused, ValueError.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        application = build(options, url=url)
        announce(application, url)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            ws_max_size=2**40,
            ws_per_message_deflate=False,
        )
        server = _Server(config, options, url, application.api_key)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
