"""content: create, read, list, change, delete."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.context import Answer, Context, body, caller, context
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Tag, User, Vanity
from connect_tasks.emulator.rights import editable, may_see, require_publisher, role_on, visible
from connect_tasks.emulator.settings import OPTIONS, all_options
from connect_tasks.emulator.state import changed_content, created_content, removed_with, untagged

WRITABLE = frozenset({"name", "title", "description", "access_type", "owner_guid", *OPTIONS})


def shown(server: Context, user: User, content: Content, include: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The content object, with the extras that `include` names."""
    state = server.store.state
    deployed = "Local" if content.bundle_id else None
    answer: dict[str, Any] = {
        "guid": content.guid,
        "id": content.number,
        "name": content.name,
        "title": content.title,
        "description": content.description,
        "access_type": content.access_type,
        "created_time": content.created_time,
        "last_deployed_time": content.last_deployed_time,
        "bundle_id": content.bundle_id,
        "app_mode": content.app_mode,
        "content_category": content.content_category,
        "parameterized": False,
        "cluster_name": deployed,
        "image_name": deployed,
        "environment_guid": None,
        "r_version": None,
        "py_version": content.py_version,
        "quarto_version": None,
        "node_version": None,
        "r_environment_management": None,
        "py_environment_management": True if content.py_version else None,
        **all_options(content.options),
        "owner_guid": content.owner_guid,
        "content_url": f"{server.url}/content/{content.guid}/",
        "dashboard_url": f"{server.url}/connect/#/apps/{content.guid}",
        "app_role": role_on(state, user, content),
    }
    if "owner" in include:
        owner = state.find(User, content.owner_guid)
        names = ("guid", "username", "first_name", "last_name")
        answer["owner"] = {name: getattr(owner, name) for name in names} if owner else None
    if "tags" in include:
        tags = [shown_tag(tag) for tag in state.table(Tag).values() if content.guid in tag.content]
        if tags:
            answer["tags"] = tags
    vanity = state.find(Vanity, content.guid) if "vanity_url" in include else None
    if vanity:
        answer["vanity_url"] = f"{server.url}{vanity.path}"
    return answer


def shown_tag(tag: Tag) -> dict[str, Any]:
    return {
        "id": tag.id,
        "name": tag.name,
        "parent_id": tag.parent_id,
        "created_time": tag.created_time,
        "updated_time": tag.created_time,
    }


def included(request: Request) -> frozenset[str]:
    """The include options. Raises Problem 161."""
    known = {"owner", "tags"} | ({"vanity_url"} if context(request).abilities.vanity_include else set())
    wanted = {part.strip() for value in request.query_params.getlist("include") for part in value.split(",")} - {""}
    if not wanted <= known:
        raise Problem(161)
    return frozenset(wanted)


async def index(request: Request) -> Response:
    user, server, include = caller(request), context(request), included(request)
    name, owner_guid = request.query_params.get("name"), request.query_params.get("owner_guid")
    found = [
        content
        for content in server.store.state.table(Content).values()
        if (name is None or content.name == name)
        and (owner_guid is None or content.owner_guid == owner_guid)
        and may_see(server.store.state, user, content)
    ]
    # rsconnect's search expects the most recently deployed first.
    found.sort(key=lambda content: (content.last_deployed_time, int(content.number)), reverse=True)
    return Answer([shown(server, user, content, include) for content in found])


async def create(request: Request) -> Response:
    user, server = caller(request), context(request)
    require_publisher(user)
    wanted = await body(request, known=WRITABLE)
    if wanted.get("owner_guid") not in (None, user.guid) and not user.administrator:
        raise Problem(22, "Only administrators create content of others.")
    content = created_content(
        server.store.state,
        owner=user,
        guid=str(uuid.uuid4()),
        number=server.store.number(),
        now=now(),
        body={key: value for key, value in wanted.items() if value is not None or key != "owner_guid"},
    )
    server.store.commit(content)
    return Answer(shown(server, user, content))


async def show(request: Request) -> Response:
    user, server = caller(request), context(request)
    content = visible(server.store.state, user, request.path_params["guid"])
    return Answer(shown(server, user, content, included(request)))


async def change(request: Request) -> Response:
    user, server = caller(request), context(request)
    guid = request.path_params["guid"]
    editable(server.store.state, user, guid)
    wanted = await body(request, known=WRITABLE)
    content = changed_content(server.store.state, editable(server.store.state, user, guid), wanted)
    server.store.commit(content)
    return Answer(shown(server, user, content))


async def delete(request: Request) -> Response:
    user, server = caller(request), context(request)
    state = server.store.state
    content = editable(state, user, request.path_params["guid"])
    bundles = state.bundles(content.guid)
    server.store.commit(*untagged(state, content.guid), removes=removed_with(state, content))
    await server.launches.changed(content.guid)
    for bundle in bundles:
        server.builds.discard(bundle)
    return Response(status_code=204)


async def legacy(request: Request) -> Response:
    """The numeric id of old links: enough for `rsconnect deploy --app-id 42`."""
    user, server = caller(request), context(request)
    wanted = request.path_params["number"]
    for content in server.store.state.table(Content).values():
        if wanted in (content.number, content.guid):
            return Answer(shown(server, user, visible(server.store.state, user, content.guid)))
    raise Problem(4)


routes = [
    Route("/v1/content", index, methods=["GET"]),
    Route("/v1/content", create, methods=["POST"]),
    Route("/v1/content/{guid}", show, methods=["GET"]),
    Route("/v1/content/{guid}", change, methods=["PATCH"]),
    Route("/v1/content/{guid}", delete, methods=["DELETE"]),
    Route("/applications/{number}", legacy, methods=["GET"]),
]
