"""bundles: upload in the four forms that clients use, list, read, download, delete."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from connect_tasks.emulator.context import Answer, Context, caller, context
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Bundle, Content, Repository
from connect_tasks.emulator.rights import editable, visible

LARGEST_UPLOAD: Final = 2 * 2**30  # bytes
SOURCE_KEYS: Final = ("source", "source_repo", "source_branch", "source_commit")


def shown(content: Content, bundle: Bundle) -> dict[str, Any]:
    place = "Local" if bundle.prepared else None
    return {
        "id": bundle.id,
        "content_guid": bundle.content_guid,
        "created_time": bundle.created_time,
        "created_by": {"guid": bundle.created_by},
        "cluster_name": place,
        "image_name": place,
        "environment_guid": None,
        "r_version": None,
        "r_environment_management": None,
        "py_version": bundle.py_version,
        "py_environment_management": True if bundle.py_version else None,
        "quarto_version": None,
        "active": content.bundle_id == bundle.id,
        "size": bundle.size,
        "metadata": {
            **dict.fromkeys(SOURCE_KEYS),
            **bundle.metadata,
            "archive_md5": bundle.archive_md5,
            "archive_sha1": bundle.archive_sha1,
        },
    }


async def index(request: Request) -> Response:
    content, server = _readable(request)
    return Answer([shown(content, bundle) for bundle in server.store.state.bundles(content.guid)])


async def show(request: Request) -> Response:
    content, server = _readable(request)
    return Answer(shown(content, server.store.state.bundle(content.guid, request.path_params["bundle"])))


async def download(request: Request) -> Response:
    content, server = _editable(request)
    bundle = server.store.state.bundle(content.guid, request.path_params["bundle"])
    path = server.builds.archive(bundle.id)
    return FileResponse(path, media_type="application/gzip", filename=f"bundle-{bundle.id}.tar.gz")


async def delete(request: Request) -> Response:
    content, server = _editable(request)
    bundle = server.store.state.bundle(content.guid, request.path_params["bundle"])
    if content.bundle_id == bundle.id:
        raise Problem(75)
    server.store.commit(removes=[bundle])
    server.builds.discard(bundle)
    return Response(status_code=204)


async def create(request: Request) -> Response:
    content, server = _editable(request)
    if server.store.state.find(Repository, content.guid) is not None:
        raise Problem(144)
    upload = server.builds.archives / f"{secrets.token_hex(8)}.upload"
    try:
        metadata: dict[str, Any] = {}
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            metadata = await _multipart(request, upload)
        else:
            await _written(upload, request.stream(), request.headers.get("x-content-checksum"))
        content, server = _editable(request)  # a body takes its time: rights and content may be gone
        user = caller(request)
        bundle = await server.deployments.uploaded(content, upload, user_guid=user.guid, metadata=metadata)
    finally:
        upload.unlink(missing_ok=True)
    return Answer(shown(content, bundle))


async def _multipart(request: Request, upload: Path) -> dict[str, Any]:
    """rsconnect's form: a part `archive`, and a part `metadata` with one JSON object."""
    if not context(request).abilities.bundle_metadata:
        raise Problem(135, "This server takes no multipart bundles.")
    try:
        async with request.form(max_files=1, max_fields=1) as form:
            archive, metadata = form.get("archive"), form.get("metadata") or "{}"
            if not isinstance(archive, UploadFile) or not isinstance(metadata, str):
                raise Problem(87, "The form has no file part named archive.")
            await _written(upload, _chunks(archive), None)
    except (MultiPartException, HTTPException) as error:
        raise Problem(87) from error
    try:
        given = json.loads(metadata)
    except ValueError:
        raise Problem(121, "The part metadata is not JSON.") from None
    if not isinstance(given, dict):
        raise Problem(121, "The part metadata is not a JSON object.")
    return given


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(1 << 20):
        yield chunk


async def _written(path: Path, chunks: AsyncIterator[bytes], checksum: str | None) -> None:
    """The length is what arrives: rsconnect sends its archive chunked, without Content-Length."""
    size, md5 = 0, hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > LARGEST_UPLOAD:
                raise Problem(134, "The bundle is larger than 2 GiB.", status=413)
            md5.update(chunk)
            file.write(chunk)
    if not size:
        raise Problem(125)
    if checksum is not None and checksum.strip() != base64.b64encode(md5.digest()).decode():
        raise Problem(104)


def _readable(request: Request) -> tuple[Content, Context]:
    server = context(request)
    return visible(server.store.state, caller(request), request.path_params["guid"]), server


def _editable(request: Request) -> tuple[Content, Context]:
    server = context(request)
    return editable(server.store.state, caller(request), request.path_params["guid"]), server


routes = [
    Route("/v1/content/{guid}/bundles", index, methods=["GET"]),
    Route("/v1/content/{guid}/bundles", create, methods=["POST"]),
    Route("/v1/content/{guid}/bundles/{bundle}", show, methods=["GET"]),
    Route("/v1/content/{guid}/bundles/{bundle}", delete, methods=["DELETE"]),
    Route("/v1/content/{guid}/bundles/{bundle}/download", download, methods=["GET"]),
]
