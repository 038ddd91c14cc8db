"""Faults on demand and a log of requests, for the tests of those who call this server. Only there with --faults.

`POST /__emulator__/fault` takes one fault, `DELETE` removes all; `GET /__emulator__/requests` tells what was called.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connect_tasks.emulator.context import Answer, body
from connect_tasks.emulator.problems import Problem

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
REMEMBERED: Final = 100_000  # requests; who counts them must not see the first ones go
OWN: Final = "/__emulator__/"


@dataclass(kw_only=True)
class Fault:
    """What happens to matching requests.

    `pattern` is searched in "METHOD /path?query". The first `offset` matches pass, then `times` are hit (None: all).
    `after_handler`: the handler acts first and its answer is lost. `truncate`: bytes of the body that still come.
    `reset`: the connection is cut. `kill`: this process id gets SIGKILL. `delay` in seconds comes before anything else.
    """

    pattern: str
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    offset: int = 0
    times: int | None = 1
    after_handler: bool = False
    delay: float = 0
    truncate: int | None = None
    reset: bool = False
    kill: int | None = None
    seen: int = 0

    def hits(self, target: str) -> bool:
        """Counts the request; True if it is to be hit."""
        if not re.search(self.pattern, target):
            return False
        self.seen += 1
        return self.seen > self.offset and (self.times is None or self.seen <= self.offset + self.times)

    @property
    def replaces(self) -> bool:
        return self.status is not None or self.body is not None or self.content_type is not None


class Faults:
    """ASGI middleware around the whole server."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self._faults: list[Fault] = []
        self._requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OWN):
            await self._inner(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        target = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        entry = self._logged(scope, target)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        hits = [fault for fault in self._faults if fault.hits(target)]
        if hits:
            await _suffer(hits[0], self._inner, scope, receive, noting)
        else:
            await self._inner(scope, receive, noting)

    def _logged(self, scope: Scope, target: str) -> dict[str, Any]:
        self._number += 1
        path = scope["path"]
        agent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"), "")
        entry = {
            "number": self._number,
            "method": scope["method"],
            "path": path,
            "target": target,
            "agent": agent,
            "status": None,
            "writing": _writes(scope["method"], path),
        }
        self._requests.append(entry)
        return entry

    def routes(self) -> list[Route]:
        return [
            Route(f"{OWN}fault", self._add, methods=["POST"]),
            Route(f"{OWN}fault", self._clear, methods=["DELETE"]),
            Route(f"{OWN}requests", self._list, methods=["GET"]),
            Route(f"{OWN}requests", self._forget, methods=["DELETE"]),
        ]

    async def _add(self, request: Request) -> Response:
        wanted = await body(request)
        known = {field.name for field in fields(Fault)} - {"seen"}
        try:
            if not wanted.keys() <= known:
                raise ValueError(f"unknown keys: {', '.join(sorted(wanted.keys() - known))}")
            fault = Fault(**wanted)
            re.compile(fault.pattern)
        except (TypeError, ValueError, re.error) as error:
            raise Problem(25, f"This is no fault: {error}.") from error
        self._faults.append(fault)
        return Answer({"faults": len(self._faults)})

    async def _clear(self, _: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _list(self, _: Request) -> Response:
        writing = [entry for entry in self._requests if entry["writing"]]
        return Answer({"total": self._number, "writing": len(writing), "requests": list(self._requests)})

    async def _forget(self, _: Request) -> Response:
        self._requests.clear()
        self._number = 0
        return Response(status_code=204)


def _writes(method: str, path: str) -> bool:
    """Whether the call changes the server's state: pages of content are the content's own business."""
    if path.startswith("/git/"):
        return path.endswith("/git-receive-pack")
    return method not in READING and path.startswith("/__api__/")


async def _suffer(fault: Fault, inner: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(fault.delay)
    if fault.after_handler:
        start, content = await _handled(inner, scope, receive)
    else:
        start, content = None, b""
    if fault.kill is not None:
        with suppress(ProcessLookupError):
            os.kill(fault.kill, signal.SIGKILL)
    if fault.reset:
        _reset(receive)
        return
    if not fault.replaces and start is None:
        start, content = await _handled(inner, scope, receive)
    if fault.replaces or start is None:
        start, content = _replacement(fault)
    await send(start)
    if fault.truncate is None:
        await send({"type": "http.response.body", "body": content})
        return
    # Fewer bytes than the header promises, then the end of the connection.
    await send({"type": "http.response.body", "body": content[: fault.truncate], "more_body": True})
    _close(receive)


def _replacement(fault: Fault) -> tuple[Message, bytes]:
    content = fault.body
    if content is None:
        content = json.dumps({"code": 1, "error": f"A fault was asked for: {fault.status}.", "payload": None})
    raw = content.encode()
    headers = {
        "content-type": fault.content_type or "application/json",
        "content-length": str(len(raw)),
    } | fault.headers
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": fault.status or 200, "headers": encoded}, raw


async def _handled(inner: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The handler's whole answer, kept back."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await inner(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def _transport(receive: Receive) -> Any:
    # ASGI has no word for cutting a connection: `receive` is a method of uvicorn's cycle, which has the transport.
    return getattr(getattr(receive, "__self__", None), "transport", None)


def _reset(receive: Receive) -> None:
    transport = _transport(receive)
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
    transport.abort()


def _close(receive: Receive) -> None:
    transport = _transport(receive)
    if transport is not None:
        transport.close()
