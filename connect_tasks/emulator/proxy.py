"""From a visitor to a running app and back: HTTP streamed both ways, WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, cast

import aiohttp
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from connect_tasks.emulator.forwarding import handshake_headers, has_body, request_headers, response_headers, target
from connect_tasks.emulator.instance import Instance
from connect_tasks.emulator.static_files import serve_files

Call: TypeAlias = AbstractAsyncContextManager[aiohttp.ClientResponse]
WebSocket: TypeAlias = aiohttp.ClientWebSocketResponse[bool]

PRESENCE_CHECK = 1.0  # seconds; only a request still open by then pays for watching whether its visitor is there


class Unreachable(Exception):
    """The app's process was not there. Nothing was sent to it nor to the visitor: the caller may get() it again."""


class Proxy:
    """One pool of connections to all apps."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def http(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        instance: Instance,
        *,
        server_url: str,
        mount: str,
        credentials: str | None,
    ) -> None:
        """Pass a request on. `mount`: the content's path on the server, no trailing slash; `credentials`: the visitor,
        as JSON.

        A visitor who leaves ends the app's work on the request. Raises Unreachable.
        """
        with instance.lease():
            if instance.port is None:
                await serve_files(scope, receive, send, instance.launch)
                return
            visitor = _Visitor(receive, sends_body=has_body(scope))
            call = self._client().request(
                scope["method"],
                target(scope, instance, mount),
                headers=request_headers(scope, instance, server_url=server_url, mount=mount, credentials=credentials),
                data=visitor.body() if visitor.sends_body else None,
                allow_redirects=False,
                trace_request_ctx=visitor,
            )
            with visitor.watched():
                await self._exchange(call, visitor, scope, send, instance)

    async def _exchange(self, call: Call, visitor: _Visitor, scope: Scope, send: Send, instance: Instance) -> None:
        started = False
        try:
            async with call as response:
                headers = response_headers(response.raw_headers)
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                started = True
                async for chunk in response.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except aiohttp.ClientConnectorError as exc:
            instance.reachable = False
            if not visitor.asked:
                raise Unreachable(str(exc)) from exc
            await _broken_off(scope, visitor, send)
        except (aiohttp.ClientError, ConnectionError):
            if not started and not visitor.gone:
                await _broken_off(scope, visitor, send)
            # else an answer cut short: the front closes the connection, so the visitor sees that it is

    async def websocket(self, scope: Scope, receive: Receive, send: Send, instance: Instance, *, mount: str) -> None:
        """Pass a WebSocket on, with the subprotocols offered and the one chosen; a refusal keeps its status.

        Raises Unreachable.
        """
        with instance.lease():
            if instance.port is None:
                await _refuse(scope, receive, send, 404)
                return
            try:
                app = await self._client().ws_connect(
                    target(scope, instance, mount),
                    protocols=scope.get("subprotocols", ()),
                    headers=handshake_headers(scope, instance, mount=mount),
                    max_msg_size=0,
                    compress=0,
                    autoclose=False,
                )
            except aiohttp.ClientConnectorError as exc:
                instance.reachable = False
                raise Unreachable(str(exc)) from exc
            except aiohttp.WSServerHandshakeError as exc:
                await _refuse(scope, receive, send, exc.status)
                return
            except aiohttp.ClientError:
                await _refuse(scope, receive, send, 502)
                return
            await receive()  # websocket.connect
            await send({"type": "websocket.accept", "subprotocol": app.protocol, "headers": []})
            await _converse(app, receive, send)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                max_line_size=65_536,
                max_field_size=65_536,
                trace_configs=[_told_when_sent()],
            )
        return self._session


class _Visitor:
    """The visitor's side of one request: its body, and whether anyone still waits for the answer."""

    def __init__(self, receive: Receive, *, sends_body: bool) -> None:
        self.receive = receive
        self.sends_body = sends_body
        self._sent = asyncio.Event()
        if not sends_body:
            self._sent.set()
        self.gone = False
        self.asked = False  # whether the app has got the request, in part at least

    async def body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise ConnectionAbortedError("the visitor left")
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self._sent.set()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Give up what is inside when the visitor leaves."""
        task = cast("asyncio.Task[object]", asyncio.current_task())
        watch: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        timer = loop.call_later(PRESENCE_CHECK, lambda: watch.append(loop.create_task(self._watch(task))))
        try:
            yield
        except asyncio.CancelledError:
            if not self.gone:
                raise
            if sys.version_info >= (3, 11):
                task.uncancel()
        finally:
            timer.cancel()
            for each in watch:
                each.cancel()

    async def _watch(self, task: asyncio.Task[object]) -> None:
        await self._sent.wait()  # until then body() sees it
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()


def _told_when_sent() -> aiohttp.TraceConfig:
    """aiohttp repeats a GET when a pooled connection ends under it: "no connection" may then mean "crashed by this"."""

    async def sent(_session: aiohttp.ClientSession, context: Any, _sent: aiohttp.TraceRequestHeadersSentParams) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.asked = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(sent)
    return trace


async def _broken_off(scope: Scope, visitor: _Visitor, send: Send) -> None:
    answer = PlainTextResponse("The app broke off before it answered.\n", 502)
    await answer(scope, visitor.receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    await receive()  # websocket.connect
    if status != 403 and "websocket.http.response" in scope.get("extensions", {}):  # a plain close is a 403
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1000})


async def _converse(app: WebSocket, receive: Receive, send: Send) -> None:
    """Carry messages both ways until one side closes, then close the other with the same code."""
    ways = [asyncio.create_task(_to_app(app, receive)), asyncio.create_task(_to_visitor(app, send))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await app.close()


async def _to_app(app: WebSocket, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await app.send_str(message["text"])
        else:
            await app.send_bytes(message["bytes"])
    await app.close(code=_sendable(message.get("code")), message=(message.get("reason") or "").encode())


async def _to_visitor(app: WebSocket, send: Send) -> None:
    while True:
        message = await app.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
            case aiohttp.WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            case aiohttp.WSMsgType.CLOSE:
                await send({"type": "websocket.close", "code": _sendable(message.data), "reason": message.extra or ""})
                return
            case _:  # the connection broke
                await send({"type": "websocket.close", "code": 1011, "reason": "the app went away"})
                return


def _sendable(code: int | None) -> int:
    """1005 and 1006 only ever mean "no code" and "no close": no close frame may carry them."""
    return 1000 if code in (None, 0, 1005) else 1001 if code == 1006 else code
