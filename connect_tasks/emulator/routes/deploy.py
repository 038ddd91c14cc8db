"""deploy, build, tasks: work that is started here and watched by its task."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, body, caller, context, number_parameter
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Task
from connect_tasks.emulator.rights import editable
from connect_tasks.emulator.tasks import LONGEST_WAIT


async def deploy(request: Request) -> Response:
    server, user = context(request), caller(request)
    guid = request.path_params["guid"]
    editable(server.store.state, user, guid)
    wanted = await body(request)
    if "activate" in wanted and not server.abilities.drafts:
        raise Problem(121, "Unknown keys: activate.")  # as servers before drafts do
    if not isinstance(wanted.get("activate", True), bool):
        raise Problem(25, "The field activate is true or false.")
    content = editable(server.store.state, user, guid)
    bundle_id = _bundle_id(wanted)
    task = server.deployments.deploy(content, bundle_id, user_guid=user.guid, activate=wanted.get("activate", True))
    return Answer({"task_id": task.id}, status_code=202)


async def build(request: Request) -> Response:
    server, user = context(request), caller(request)
    guid = request.path_params["guid"]
    editable(server.store.state, user, guid)
    wanted = await body(request)
    content = editable(server.store.state, user, guid)
    return Answer({"task_id": server.deployments.build(content, _bundle_id(wanted), user_guid=user.guid).id})


def _bundle_id(wanted: dict[str, Any]) -> str | None:
    value = wanted.get("bundle_id")
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Problem(25, "The field bundle_id is a string.")
    return value


async def task(request: Request) -> Response:
    server, user = context(request), caller(request)
    wait = number_parameter(request, "wait", 0, 0, LONGEST_WAIT)
    first = number_parameter(request, "first", 0, 0, 2**31)
    found = server.store.state.find(Task, request.path_params["task"])
    if found is None or (found.user_guid != user.guid and not user.administrator):
        raise Problem(141)
    return Answer(await server.tasks.view(found.id, first=first, wait=wait))


routes = [
    Route("/v1/content/{guid}/deploy", deploy, methods=["POST"]),
    Route("/v1/content/{guid}/build", build, methods=["POST"]),
    Route("/v1/tasks/{task}", task, methods=["GET"]),
]
