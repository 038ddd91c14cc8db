"""permissions, vanity, tags: what is attached to content."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.context import Answer, Context, body, caller, context
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Tag, Vanity
from connect_tasks.emulator.rights import editable, may_see, require_administrator, visible
from connect_tasks.emulator.routes.content import shown as shown_content
from connect_tasks.emulator.routes.content import shown_tag
from connect_tasks.emulator.sharing import (
    changed_tag,
    created_tag,
    descendants,
    found_tag,
    granted,
    permission_of,
    permissions_of,
    regranted,
    vanity_wanted,
)


async def permissions(request: Request) -> Response:
    content, server = _editable(request)
    return Answer([asdict(permission) for permission in permissions_of(server.store.state, content)])


async def grant(request: Request) -> Response:
    wanted = await body(request)
    content, server = _editable(request)
    permission = granted(server.store.state, content, number=server.store.number(), body=wanted)
    server.store.commit(permission)
    return Answer(asdict(permission))


async def permission(request: Request) -> Response:
    content, server = _editable(request)
    return Answer(asdict(permission_of(server.store.state, content, request.path_params["permission"])))


async def regrant(request: Request) -> Response:
    wanted = await body(request)
    content, server = _editable(request)
    changed = regranted(permission_of(server.store.state, content, request.path_params["permission"]), wanted)
    server.store.commit(changed)
    return Answer(asdict(changed))


async def revoke(request: Request) -> Response:
    content, server = _editable(request)
    server.store.commit(removes=[permission_of(server.store.state, content, request.path_params["permission"])])
    return Response(status_code=204)


async def vanity(request: Request) -> Response:
    content, server = _visible(request)
    found = server.store.state.find(Vanity, content.guid)
    if found is None:
        raise Problem(4, "The content has no vanity path.")
    return Answer(asdict(found))


async def set_vanity(request: Request) -> Response:
    wanted = await body(request)
    content, server = _editable(request)
    made, displaced = vanity_wanted(server.store.state, content, now=now(), body=wanted)
    server.store.commit(made, removes=[displaced] if displaced else [])
    for guid in (content.guid, *([displaced.content_guid] if displaced else [])):
        await server.launches.changed(guid)
    return Answer(asdict(made))


async def remove_vanity(request: Request) -> Response:
    content, server = _editable(request)
    found = server.store.state.find(Vanity, content.guid)
    if found is None:
        raise Problem(4, "The content has no vanity path.")
    server.store.commit(removes=[found])
    await server.launches.changed(content.guid)
    return Response(status_code=204)


async def vanities(request: Request) -> Response:
    require_administrator(caller(request))
    return Answer([asdict(vanity) for vanity in context(request).store.state.table(Vanity).values()])


async def tags(request: Request) -> Response:
    caller(request)
    name, parent = request.query_params.get("name"), request.query_params.get("parent_id")
    found = [
        tag
        for tag in context(request).store.state.table(Tag).values()
        if (name is None or tag.name == name) and (parent is None or tag.parent_id == parent)
    ]
    return Answer([shown_tag(tag) for tag in sorted(found, key=lambda tag: int(tag.id))])


async def create_tag(request: Request) -> Response:
    require_administrator(caller(request))
    server = context(request)
    tag = created_tag(server.store.state, number=server.store.number(), now=now(), body=await body(request))
    server.store.commit(tag)
    return Answer(shown_tag(tag))


async def tag(request: Request) -> Response:
    caller(request)
    return Answer(shown_tag(found_tag(context(request).store.state, request.path_params["tag"])))


async def change_tag(request: Request) -> Response:
    require_administrator(caller(request))
    server, wanted = context(request), await body(request)
    changed = changed_tag(server.store.state, found_tag(server.store.state, request.path_params["tag"]), wanted)
    server.store.commit(changed)
    return Answer(shown_tag(changed))


async def delete_tag(request: Request) -> Response:
    require_administrator(caller(request))
    server = context(request)
    found = found_tag(server.store.state, request.path_params["tag"])
    server.store.commit(removes=descendants(server.store.state, found).values())
    return Response(status_code=204)


async def tagged_content(request: Request) -> Response:
    user, server = caller(request), context(request)
    found = found_tag(server.store.state, request.path_params["tag"])
    items = [item for guid in found.content if (item := server.store.state.find(Content, guid))]
    return Answer([shown_content(server, user, item) for item in items if may_see(server.store.state, user, item)])


async def content_tags(request: Request) -> Response:
    content, server = _visible(request)
    return Answer([shown_tag(tag) for tag in server.store.state.table(Tag).values() if content.guid in tag.content])


async def attach_tag(request: Request) -> Response:
    wanted = await body(request)
    content, server = _editable(request)
    found = found_tag(server.store.state, str(wanted.get("tag_id")))
    if content.guid not in found.content:
        server.store.commit(replace(found, content=(*found.content, content.guid)))
    return Response(status_code=204)


async def detach_tag(request: Request) -> Response:
    content, server = _editable(request)
    found = found_tag(server.store.state, request.path_params["tag"])
    if content.guid not in found.content:
        raise Problem(4, "The content does not have this tag.")
    server.store.commit(replace(found, content=tuple(guid for guid in found.content if guid != content.guid)))
    return Response(status_code=204)


def _visible(request: Request) -> tuple[Content, Context]:
    server = context(request)
    return visible(server.store.state, caller(request), request.path_params["guid"]), server


def _editable(request: Request) -> tuple[Content, Context]:
    server = context(request)
    return editable(server.store.state, caller(request), request.path_params["guid"]), server


def _crud(path: str, **methods: Any) -> list[Route]:
    return [Route(path, endpoint, methods=[method.upper()]) for method, endpoint in methods.items()]


routes = [
    *_crud("/v1/content/{guid}/permissions", get=permissions, post=grant),
    *_crud("/v1/content/{guid}/permissions/{permission}", get=permission, put=regrant, delete=revoke),
    *_crud("/v1/content/{guid}/vanity", get=vanity, put=set_vanity, delete=remove_vanity),
    *_crud("/v1/vanities", get=vanities),
    *_crud("/v1/tags", get=tags, post=create_tag),
    *_crud("/v1/tags/{tag}", get=tag, patch=change_tag, delete=delete_tag),
    *_crud("/v1/tags/{tag}/content", get=tagged_content),
    *_crud("/v1/content/{guid}/tags", get=content_tags, post=attach_tag),
    *_crud("/v1/content/{guid}/tags/{tag}", delete=detach_tag),
]
