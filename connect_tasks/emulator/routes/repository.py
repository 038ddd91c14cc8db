"""repository: the git settings of content, and bundles from any ref of it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, Context, body, caller, context
from connect_tasks.emulator.deployment import Location
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Repository
from connect_tasks.emulator.rights import editable, require_publisher
from connect_tasks.emulator.state import changed_repository, linked_repository, repository_directory, repository_url

FIELDS = frozenset({"repository", "branch", "directory", "polling"})


def shown(repository: Repository) -> dict[str, Any]:
    return {
        "repository": repository.repository,
        "branch": repository.branch,
        "directory": repository.directory,
        "polling": repository.polling,
        "last_error": repository.last_error,
        "last_known_commit": repository.last_known_commit,
    }


async def show(request: Request) -> Response:
    content, server = _managed(request)
    return Answer(shown(server.store.state.repository(content.guid)))


async def link(request: Request) -> Response:
    content, server = _managed(request)
    repository = linked_repository(content.guid, await body(request, known=FIELDS))
    server.store.commit(repository)
    return Answer(shown(repository))


async def change(request: Request) -> Response:
    content, server = _managed(request)
    wanted = await body(request, known=FIELDS)
    repository = changed_repository(server.store.state.repository(content.guid), wanted)
    server.store.commit(repository)
    return Answer(shown(repository))


async def unlink(request: Request) -> Response:
    content, server = _managed(request)
    server.store.commit(removes=[server.store.state.repository(content.guid)])
    return Response(status_code=204)


async def bundle(request: Request) -> Response:
    content, server = _managed(request)
    if not server.abilities.bundle_from_ref:
        raise Problem(2)
    wanted = await body(request, known=frozenset({"repository", "ref", "directory"}))
    stored = server.store.state.find(Repository, content.guid)
    if stored is None and not wanted.get("repository"):
        raise Problem(143)
    location = Location(
        repository=repository_url(wanted.get("repository") or (stored and stored.repository)),
        ref=_ref(wanted.get("ref") or (stored.branch if stored else "main")),
        directory=repository_directory(wanted.get("directory") or (stored.directory if stored else ".")),
    )
    number, task = server.deployments.bundle_from(content.guid, location, user_guid=caller(request).guid)
    return Answer({"bundle_id": number, "task_id": task.id, "location": vars(location)}, status_code=202)


def _ref(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or value.startswith("-") or len(value) > 1024:
        raise Problem(25, "The field ref is not accepted.")
    return value


def _managed(request: Request) -> tuple[Content, Context]:
    server, user = context(request), caller(request)
    require_publisher(user)
    content = editable(server.store.state, user, request.path_params["guid"])
    if not server.abilities.git:
        raise Problem(2) if request.method == "GET" else Problem(145)
    return content, server


routes = [
    Route("/v1/content/{guid}/repository", show, methods=["GET"]),
    Route("/v1/content/{guid}/repository", link, methods=["PUT"]),
    Route("/v1/content/{guid}/repository", change, methods=["PATCH"]),
    Route("/v1/content/{guid}/repository", unlink, methods=["DELETE"]),
    Route("/v1/content/{guid}/repository/bundle", bundle, methods=["POST"]),
]
