"""Content without a process: the bundle's files as they are."""

from __future__ import annotations

from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from connect_tasks.emulator.instance import Launch
from connect_tasks.emulator.notebooks import PAGE, rendered


async def serve_files(scope: Scope, receive: Receive, send: Send, launch: Launch) -> None:
    """Answer from the bundle's directory (a notebook's page: from its own). `/` is the primary file.

    Links that leave the directory are not followed.
    """
    inside = str(scope["path"]).removeprefix(launch.mount)
    response = await _response(scope, inside.lstrip("/"), launch)
    await response(scope, receive, send)


async def _response(scope: Scope, path: str, launch: Launch) -> Response:
    notebook = launch.mode == "jupyter-static"
    primary = PurePosixPath(PAGE if notebook else launch.primary or PAGE)
    if not path and len(primary.parts) > 1:  # what it refers to lies beside it
        return RedirectResponse(f"{launch.mount}/{primary}")
    files = StaticFiles(directory=rendered(launch) if notebook else launch.directory, html=True, check_dir=False)
    try:
        return await files.get_response(path or str(primary), scope)
    except HTTPException as exc:
        return PlainTextResponse(f"{exc.detail}\n", exc.status_code)
