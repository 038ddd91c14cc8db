"""Visits of content: /content/{guid}/, its drafts, its vanity path; handed to the process that answers them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from connect_tasks.emulator.context import Context
from connect_tasks.emulator.instance import Instance, StartFailed
from connect_tasks.emulator.keys import COOKIE, without_session
from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.proxy import Proxy, Unreachable
from connect_tasks.emulator.records import Bundle, Content, Group, User, Vanity
from connect_tasks.emulator.rights import may_edit, may_see

ATTEMPTS: Final = 3
_PATH: Final = re.compile(r"/content/(?P<guid>[^/]+)(?:/_bundle(?P<bundle>\d+))?(?P<rest>/.*)?", re.DOTALL)


class Refused(Exception):
    """The visitor gets a page instead of the content."""

    def __init__(self, status: int, title: str, detail: str = "", log: str = "") -> None:
        self.status, self.title, self.detail, self.log = status, title, detail, log
        super().__init__(title)


@dataclass(frozen=True)
class Visit:
    content: Content
    bundle: Bundle
    mount: str
    visitor: User | None


class Visits:
    """An ASGI application outside of the router: a visit costs a dictionary look-up or two."""

    def __init__(self, server: Context, proxy: Proxy) -> None:
        self._server = server
        self._proxy = proxy

    def claims(self, path: str) -> bool:
        return path.startswith("/content/") or self._vanity(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            visit = self._visit(scope)
            if visit is None:
                query = scope["query_string"].decode("latin-1")
                target = scope["path"] + "/" + (f"?{query}" if query else "")
                await RedirectResponse(target)(scope, receive, send)
                return
            await self._serve(visit, scope, receive, send)
        except Refused as refused:
            await _refuse(refused, scope, receive, send)

    async def _serve(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        scope = _without_session(scope)
        for _ in range(ATTEMPTS):
            instance = await self._instance(visit)
            # A process may end between our look and our call: then nothing was sent, and a new one is started.
            with suppress(Unreachable):
                await self._passed_on(visit, instance, scope, receive, send)
                return
        raise Refused(502, "The content keeps ending")

    async def _instance(self, visit: Visit) -> Instance:
        try:
            return await self._server.launches.instance(visit.content, visit.bundle, visit.mount)
        except StartFailed as failure:
            log = failure.log if may_edit(self._server.store.state, visit.visitor, visit.content) else ""
            raise Refused(502, "The content did not start", str(failure), log) from failure

    async def _passed_on(self, visit: Visit, instance: Instance, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._proxy.websocket(scope, receive, send, instance, mount=visit.mount)
            return
        await self._proxy.http(
            scope,
            receive,
            send,
            instance,
            server_url=self._server.url,
            mount=visit.mount,
            credentials=self._credentials(visit),
        )

    def _visit(self, scope: Scope) -> Visit | None:
        """Who visits what; None where the path lacks the slash that relative links need. Raises Refused."""
        state, path = self._server.store.state, scope["path"]
        match = _PATH.fullmatch(path)
        if match is None:
            vanity = self._vanity(path)
            if vanity is None:
                raise Refused(404, "There is nothing here")
            guid, draft, mount, slash = (
                vanity.content_guid,
                None,
                vanity.path.rstrip("/"),
                path != vanity.path.rstrip("/"),
            )
        else:
            guid, draft, slash = match["guid"], match["bundle"], match["rest"] is not None
            mount = f"/content/{guid}" + (f"/_bundle{draft}" if draft else "")
        try:
            content, visitor = state.content(guid), self._visitor(Headers(scope=scope))
        except Problem as problem:
            raise Refused(problem.status if problem.status != 400 else 404, problem.message) from problem
        if not may_see(state, visitor, content):
            raise Refused(
                401 if visitor is None else 403, "This content is private", "Log in at /connect/, or send an API key."
            )
        bundle_id = draft or content.bundle_id
        if draft and not may_edit(state, visitor, content):
            raise Refused(403 if visitor else 401, "Drafts are for collaborators")
        bundle = state.find(Bundle, bundle_id) if bundle_id else None
        if bundle is None or bundle.content_guid != content.guid or not bundle.prepared:
            raise Refused(404, "This content is not deployed")
        return Visit(content, bundle, mount, visitor) if slash else None

    def _visitor(self, headers: Headers) -> User | None:
        """By the dashboard's cookie, or by a key. Raises Problem 30."""
        return self._server.keys.person(headers) or self._server.keys.visitor(headers)

    def _vanity(self, path: str) -> Vanity | None:
        vanities: Mapping[str, Vanity] = self._server.store.state.table(Vanity)
        if not vanities:
            return None
        return next((item for item in vanities.values() if f"{path}/".startswith(item.path)), None)

    def _credentials(self, visit: Visit) -> str | None:
        """The value of RStudio-Connect-Credentials: who visits; None for the anonymous."""
        if visit.visitor is None:
            return None
        groups = [
            group.name
            for group in self._server.store.state.table(Group).values()
            if visit.visitor.guid in group.members
        ]
        return json.dumps({"user": visit.visitor.username, "groups": groups})


def _without_session(scope: Scope) -> Scope:
    """The dashboard's cookie opens the server: the app does not get it."""
    if not any(name == b"cookie" and COOKIE.encode() in value for name, value in scope["headers"]):
        return scope
    headers = []
    for name, value in scope["headers"]:
        kept = without_session(value.decode("latin-1")).encode("latin-1") if name == b"cookie" else value
        if kept or name != b"cookie":
            headers.append((name, kept))
    return {**scope, "headers": headers}


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refused.title[:120]})
        return
    await page(refused)(scope, receive, send)


def page(refused: Refused) -> Response:
    log = f"<pre>{html.escape(refused.log)}</pre>" if refused.log else ""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(refused.title)}</title>"
        '<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 45rem; margin: 4rem auto; padding: 0 1rem">'
        f"<h1>{html.escape(refused.title)}</h1><p>{html.escape(refused.detail)}</p>{log}"
    )
    headers = {"www-authenticate": "Key"} if refused.status == 401 else {}
    return HTMLResponse(text, status_code=refused.status, headers=headers)
