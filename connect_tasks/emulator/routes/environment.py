"""Environment variables of content: names can be read, values only set."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, caller, context, json_body
from connect_tasks.emulator.records import Variables
from connect_tasks.emulator.rights import editable
from connect_tasks.emulator.variables import changed_variables


async def names(request: Request) -> Response:
    user, server = caller(request), context(request)
    content = editable(server.store.state, user, request.path_params["guid"])
    return Answer(sorted(server.store.state.variables(content.guid)))


async def change(request: Request) -> Response:
    user, server = caller(request), context(request)
    guid = request.path_params["guid"]
    editable(server.store.state, user, guid)
    wanted = await json_body(request)
    editable(server.store.state, user, guid)
    before = server.store.state.variables(guid) if request.method == "PATCH" else {}
    variables = changed_variables(before, wanted)
    server.store.commit(Variables(content_guid=guid, values=variables))
    await server.launches.changed(guid)
    return Answer(sorted(variables))


routes = [
    Route("/v1/content/{guid}/environment", names, methods=["GET"]),
    Route("/v1/content/{guid}/environment", change, methods=["PATCH", "PUT"]),
]
