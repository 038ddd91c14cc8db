"""The server put together: its parts, its routes, its one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connect_tasks.emulator.abilities import RECENT, abilities
from connect_tasks.emulator.builds import Builds
from connect_tasks.emulator.context import Answer, Context, body, caller, context
from connect_tasks.emulator.deployment import Deployments
from connect_tasks.emulator.environments import Environments
from connect_tasks.emulator.faults import Faults
from connect_tasks.emulator.git_host import git_host
from connect_tasks.emulator.instances import Instances
from connect_tasks.emulator.keys import Keys, administrator
from connect_tasks.emulator.launches import Launches
from connect_tasks.emulator.people import found_user
from connect_tasks.emulator.poller import Poller
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.proxy import Proxy
from connect_tasks.emulator.repositories import Repositories
from connect_tasks.emulator.rights import require_administrator
from connect_tasks.emulator.routes import (
    bundles,
    content,
    dashboard,
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
    restart_on_activation: bool = False
    poll_interval: float = 900.0  # Connect's own default
    faults: bool = False
    stop_with_stdin: bool = False


@dataclass(frozen=True, kw_only=True)
class Application:
    """The whole as one ASGI application: visits first, they are the many; the rest through the router."""

    visits: Visits
    router: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and self.visits.claims(scope["path"]):
            await self.visits(scope, receive, send)
        else:
            await self.router(scope, receive, send)


@dataclass(frozen=True, kw_only=True)
class Built:
    application: ASGIApp
    context: Context
    api_key: str


def build(options: Settings, *, url: str) -> Built:
    """Opens the data directory and makes the server of it. Raises DataDirectoryRefused; ValueError for options."""
    data = options.data.resolve()
    able = abilities(options.connect_version, options.without)
    data.mkdir(parents=True, exist_ok=True)
    store = Store(data / "state.sqlite3")
    Instances.sweep(data)  # only now: the store's lock says that no other server lives here
    keys = Keys(store)
    api_key = administrator(store, keys, data, options.api_key)
    tasks = Tasks(store, data / "tasks")
    builds = Builds(data, Environments(data / "environments"), able)
    launches = Launches(
        data,
        store=store,
        builds=builds,
        url=url,
        owner_key=keys.passing,
        idle_timeout=options.idle_timeout,
        startup_timeout=options.startup_timeout,
        restart_on_activation=options.restart_on_activation,
    )
    repositories = Repositories(data / "repositories")
    deployments = Deployments(store=store, tasks=tasks, repositories=repositories, builds=builds, launches=launches)
    server = Context(
        url=url,
        store=store,
        keys=keys,
        abilities=able,
        tasks=tasks,
        builds=builds,
        deployments=deployments,
        launches=launches,
    )
    poller = Poller(store=store, repositories=repositories, deployments=deployments)
    application = _application(server, poller if able.git else None, options)
    return Built(application=application, context=server, api_key=api_key)


def _application(server: Context, poller: Poller | None, options: Settings) -> ASGIApp:
    proxy = Proxy()
    git_root = options.git_root or options.data / "git"
    git_root.mkdir(parents=True, exist_ok=True)
    polling = (poller, options.poll_interval) if poller and options.poll_interval > 0 else None
    router = Starlette(
        routes=_routes(git_host(git_root, pusher=_pusher(server.keys))),
        exception_handlers={
            Problem: _refused,
            HTTPException: _unroutable,
            dashboard.LoggedOut: dashboard.refused,
            Exception: _failed,
        },
        lifespan=_life(server, proxy, polling),
    )
    router.router.redirect_slashes = False
    router.state.context = server
    whole = Application(visits=Visits(server, proxy), router=router)
    if not options.faults:
        return whole
    faults = Faults(whole)
    router.routes.extend(faults.routes())
    return faults


def _routes(git: ASGIApp) -> list[BaseRoute]:
    return [
        *(_below("/__api__", route) for resource in RESOURCES for route in resource.routes),
        *(_below("/connect", route) for route in dashboard.routes),
        Mount("/git", app=git),
        Route("/connect", _to_dashboard),
        Route("/favicon.ico", dashboard.icon),
        Route("/", _to_dashboard),
        Route("/__ping__", _ping),
        Route("/__emulator__/key", _key, methods=["POST"]),
    ]


def _below(prefix: str, route: Route) -> Route:
    """One flat list: a mounted router would send redirects for slashes, which the clients re-issue as GET."""
    return Route(prefix + route.path, route.endpoint, methods=list(route.methods or ()))


async def _key(request: Request) -> Response:
    """An API key of any user, for tests of roles; people get theirs from the dashboard of a real server."""
    require_administrator(caller(request))
    server = context(request)
    user = found_user(server.store.state, (await body(request)).get("user_guid"))
    return Answer({"api_key": server.keys.made(user.guid)})


async def _ping(_: Request) -> Response:
    return Answer({})


async def _to_dashboard(_: Request) -> Response:
    return RedirectResponse("/connect/")


async def _refused(request: Request, problem: Exception) -> Response:
    if request.url.path.startswith("/connect/"):
        return await dashboard.refused(request, problem)
    assert isinstance(problem, Problem)  # noqa: S101  # what the router maps to us
    headers = {"www-authenticate": "Key"} if problem.status == 401 else None
    return Answer(problem.body(), status_code=problem.status, headers=headers)


async def _unroutable(request: Request, _: Exception) -> Response:
    return await _refused(request, Problem(2))


async def _failed(request: Request, _: Exception) -> Response:
    return await _refused(request, Problem(1))


def _life(
    server: Context, proxy: Proxy, polling: tuple[Poller, float] | None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        polled = asyncio.create_task(polling[0].run(polling[1])) if polling else None
        yield
        if polled is not None:
            polled.cancel()
            with suppress(asyncio.CancelledError):
                await polled
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
