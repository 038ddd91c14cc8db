"""packages, lockfile, runtime caches: what was installed."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, Context, body, caller, context
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Bundle, Content
from connect_tasks.emulator.rights import editable, may_see, require_administrator, visible
from connect_tasks.emulator.routes.people import paged
from connect_tasks.emulator.tasks import Run


async def packages(request: Request) -> Response:
    server = context(request)
    content = visible(server.store.state, caller(request), request.path_params["guid"])
    _require(server.abilities.packages)
    bundle = _active(server, content)
    return Answer(_packages(bundle) if bundle else [])


async def all_packages(request: Request) -> Response:
    user, server = caller(request), context(request)
    _require(server.abilities.packages)
    found: list[dict[str, Any]] = []
    for content in server.store.state.table(Content).values():
        bundle = _active(server, content)
        if bundle and may_see(server.store.state, user, content):
            place = {
                "language_version": bundle.py_version,
                "bundle_id": bundle.id,
                "app_id": content.number,
                "app_guid": content.guid,
            }
            found += [{**package, **place} for package in _packages(bundle)]
    return paged(request, found)


async def lockfile(request: Request) -> Response:
    server = context(request)
    content = editable(server.store.state, caller(request), request.path_params["guid"])
    _require(server.abilities.lockfile)
    bundle = _active(server, content)
    if bundle is None or bundle.environment_key is None:
        raise Problem(4, "The content has no lock file: it is not deployed, or has no packages.")
    text = "".join(f"{name}=={version}\n" for name, version in bundle.packages)
    return PlainTextResponse(text, headers={"generated-by": f"connect; python={bundle.py_version}"})


async def caches(request: Request) -> Response:
    require_administrator(caller(request))
    versions = context(request).builds.cached_versions()
    return Answer(
        {"caches": [{"language": "Python", "version": version, "image_name": "Local"} for version in versions]}
    )


async def clear_cache(request: Request) -> Response:
    user, server = caller(request), context(request)
    require_administrator(user)
    wanted = await body(request)
    version, dry_run = wanted.get("version"), wanted.get("dry_run", False)
    if wanted.get("language") != "Python" or wanted.get("image_name", "Local") != "Local":
        raise Problem(4, "There is no such cache.")
    if not isinstance(version, str) or version not in server.builds.cached_versions():
        raise Problem(4, "There is no such cache.")
    answer = {"language": "Python", "version": version, "image_name": "Local", "task_id": None}
    if dry_run:
        return Answer(answer)

    async def work(run: Run) -> None:
        for key in await server.builds.clear_cache(version):
            run.log(f"Removed environment: {key}")

    return Answer(
        {
            **answer,
            "task_id": server.tasks.start(work, f"Removal of the Python {version} cache", user_guid=user.guid).id,
        },
        status_code=202,
    )


def _active(server: Context, content: Content) -> Bundle | None:
    return server.store.state.find(Bundle, content.bundle_id) if content.bundle_id else None


def _packages(bundle: Bundle) -> list[dict[str, Any]]:
    return [{"language": "python", "name": name, "version": version, "hash": None} for name, version in bundle.packages]


def _require(ability: bool) -> None:
    if not ability:
        raise Problem(2)


routes = [
    Route("/v1/content/{guid}/packages", packages, methods=["GET"]),
    Route("/v1/packages", all_packages, methods=["GET"]),
    Route("/v1/content/{guid}/lockfile", lockfile, methods=["GET"]),
    Route("/v1/system/caches/runtime", caches, methods=["GET"]),
    Route("/v1/system/caches/runtime", clear_cache, methods=["DELETE"]),
]
