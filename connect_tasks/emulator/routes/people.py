"""user, users, groups: who is who."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.clock import now
from connect_tasks.emulator.context import Answer, body, caller, context, number_parameter
from connect_tasks.emulator.people import (
    changed_user,
    created_group,
    created_user,
    found_group,
    found_user,
    going_with,
    joined,
    left,
    locked_user,
    with_status,
)
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Group, User
from connect_tasks.emulator.rights import require_administrator, require_publisher


def shown(user: User) -> dict[str, Any]:
    return {
        "guid": user.guid,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "user_role": user.user_role,
        "created_time": user.created_time,
        "updated_time": user.created_time,
        "active_time": user.created_time,
        "confirmed": True,
        "locked": user.locked,
    }


def paged(request: Request, items: list[dict[str, Any]]) -> Response:
    """One page, in the shape that every paged list has."""
    page = number_parameter(request, "page_number", 1, 1, 2**31)
    size = number_parameter(request, "page_size", 20, 1, 500)
    return Answer({"current_page": page, "total": len(items), "results": items[(page - 1) * size : page * size]})


async def me(request: Request) -> Response:
    return Answer(shown(caller(request)))


async def users(request: Request) -> Response:
    caller(request)
    everyone = sorted(context(request).store.state.table(User).values(), key=lambda user: user.username)
    prefix = request.query_params.get("prefix", "").lower()
    names = ("username", "first_name", "last_name", "email")
    found = [user for user in everyone if any(getattr(user, name).lower().startswith(prefix) for name in names)]
    return paged(request, [shown(user) for user in with_status(found, request.query_params.get("account_status"))])


async def user(request: Request) -> Response:
    caller(request)
    return Answer(shown(found_user(context(request).store.state, request.path_params["guid"])))


async def create_user(request: Request) -> Response:
    require_administrator(caller(request))
    server = context(request)
    made = created_user(server.store.state, guid=str(uuid.uuid4()), now=now(), body=await body(request))
    server.store.commit(made)
    return Answer(shown(made))


async def change_user(request: Request) -> Response:
    by, server = caller(request), context(request)
    wanted = await body(request)
    before = found_user(server.store.state, request.path_params["guid"])
    if not by.administrator and (by.guid != before.guid or "user_role" in wanted):
        raise Problem(22, "Only administrators change other users.")
    changed = changed_user(server.store.state, before, wanted)
    server.store.commit(changed)
    return Answer(shown(changed))


async def lock_user(request: Request) -> Response:
    by, server = caller(request), context(request)
    require_administrator(by)
    wanted = await body(request)
    server.store.commit(locked_user(found_user(server.store.state, request.path_params["guid"]), wanted, by=by))
    return Answer({})


def shown_group(group: Group) -> dict[str, Any]:
    return {"guid": group.guid, "name": group.name, "owner_guid": group.owner_guid}


async def groups(request: Request) -> Response:
    caller(request)
    prefix = request.query_params.get("prefix", "").lower()
    every = sorted(context(request).store.state.table(Group).values(), key=lambda group: group.name)
    return paged(request, [shown_group(group) for group in every if group.name.lower().startswith(prefix)])


async def group(request: Request) -> Response:
    caller(request)
    return Answer(shown_group(found_group(context(request).store.state, request.path_params["guid"])))


async def create_group(request: Request) -> Response:
    owner, server = caller(request), context(request)
    require_publisher(owner)
    made = created_group(server.store.state, guid=str(uuid.uuid4()), owner=owner, body=await body(request))
    server.store.commit(made)
    return Answer(shown_group(made))


async def delete_group(request: Request) -> Response:
    by, server = caller(request), context(request)
    found = _own(by, found_group(server.store.state, request.path_params["guid"]))
    server.store.commit(removes=going_with(server.store.state, found))
    return Response(status_code=204)


async def members(request: Request) -> Response:
    caller(request)
    state = context(request).store.state
    found = found_group(state, request.path_params["guid"])
    return paged(request, [shown(found_user(state, guid)) for guid in found.members])


async def add_member(request: Request) -> Response:
    by, server = caller(request), context(request)
    wanted = await body(request)
    found = _own(by, found_group(server.store.state, request.path_params["guid"]))
    member = found_user(server.store.state, wanted.get("user_guid"))
    server.store.commit(joined(found, member))
    return Answer(shown(member))


async def remove_member(request: Request) -> Response:
    by, server = caller(request), context(request)
    found = _own(by, found_group(server.store.state, request.path_params["guid"]))
    server.store.commit(left(found, request.path_params["member"]))
    return Response(status_code=204)


def _own(by: User, found: Group) -> Group:
    if not by.administrator and found.owner_guid != by.guid:
        raise Problem(22, "Only its owner and administrators change a group.")
    return found


routes = [
    Route("/v1/user", me, methods=["GET"]),
    Route("/v1/users", users, methods=["GET"]),
    Route("/v1/users", create_user, methods=["POST"]),
    Route("/v1/users/{guid}", user, methods=["GET"]),
    Route("/v1/users/{guid}", change_user, methods=["PUT"]),
    Route("/v1/users/{guid}/lock", lock_user, methods=["POST"]),
    Route("/v1/groups", groups, methods=["GET"]),
    Route("/v1/groups", create_group, methods=["POST"]),
    Route("/v1/groups/{guid}", group, methods=["GET"]),
    Route("/v1/groups/{guid}", delete_group, methods=["DELETE"]),
    Route("/v1/groups/{guid}/members", members, methods=["GET"]),
    Route("/v1/groups/{guid}/members", add_member, methods=["POST"]),
    Route("/v1/groups/{guid}/members/{member}", remove_member, methods=["DELETE"]),
]
