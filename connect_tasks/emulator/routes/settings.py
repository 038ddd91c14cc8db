"""server_settings: what the server is. Readable without a key: clients check the server before the key."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, caller, context
from connect_tasks.emulator.interpreters import find_interpreters
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.rights import require_publisher


async def show(request: Request) -> Response:
    abilities = context(request).abilities
    about = f"Posit Connect v{abilities.version}" if abilities.version else "Posit Connect"
    return Answer(
        {
            "hostname": request.url.hostname or "",
            "version": abilities.version,
            "build": f"v{abilities.version}-0-g0000000" if abilities.version else "",
            "about": f"{about} (connect_tasks.emulator)",
            "authentication": {"handles_credentials": True, "name": "password"},
            "license": {"status": "activated", "expired": False},
            "git_enabled": abilities.git,
            "git_available": abilities.git,
            "runtimes": ["Python"],
            "dashboard_path": "/connect",
            "execution_type": "native",
            "system_display_name": "Local Connect",
            "prohibited_usernames": ["connect"],
        }
    )


async def python(request: Request) -> Response:
    require_publisher(caller(request))
    found = await asyncio.to_thread(find_interpreters)
    installations = [
        {"version": interpreter.version, "cluster_name": "Local", "image_name": "Local", "publishable": True}
        for interpreter in found
    ]
    return Answer({"installations": installations, "api_enabled": True})


async def nodejs(request: Request) -> Response:
    require_publisher(caller(request))
    if not context(request).abilities.nodejs:
        raise Problem(2)
    return Answer({"installations": [], "enabled": False})


routes = [
    Route("/server_settings", show),
    Route("/v1/server_settings/python", python),
    Route("/v1/server_settings/nodejs", nodejs),
]
