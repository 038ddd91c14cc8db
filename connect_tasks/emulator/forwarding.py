"""What goes on to an app and what comes back: URLs and headers, byte for byte where they are not ours. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from multidict import CIMultiDict
from starlette.types import Scope
from yarl import URL

from connect_tasks.emulator.instance import Instance
from connect_tasks.emulator.modes import MOUNT_HEADER
from connect_tasks.emulator.starting import HOST

Header = tuple[bytes, bytes]

# RFC 9110, 7.6.1: between two neighbours only. Expect is answered by the server in front.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection "
    b"te trailer transfer-encoding upgrade expect".split()
)
# Only the server says these to an app. CGI's names, which WSGI has too, know no difference between - and _.
OURS = re.compile(rb"rstudio[-_]connect[-_]|posit[-_]connect[-_]|x[-_]rsc[-_]|x[-_]connect[-_]tasks[-_]")
HANDSHAKE = re.compile(rb"sec-websocket-")
AS_WRITTEN = "!$%&'()*+,-./:;=@_~[]|^`{}\"<>\\"  # all but #, ? and what no request line holds


def target(scope: Scope, instance: Instance, mount: str) -> URL:
    """The app's own URL for a request: the bytes that the visitor wrote, less the mount where the mode wants that."""
    path = raw_path(scope)
    if instance.mode.strip:
        path = path.removeprefix(quote(mount)) or "/"
    scheme = "ws" if scope["type"] == "websocket" else "http"
    return URL(f"{scheme}://{HOST}:{instance.port}{path}{query(scope)}", encoded=True)


def raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    return quote(raw, safe=AS_WRITTEN) if raw is not None else quote(scope["path"])


def query(scope: Scope) -> str:
    return "?" + quote(scope["query_string"], safe=AS_WRITTEN + "?") if scope["query_string"] else ""


def has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def request_headers(
    scope: Scope, instance: Instance, *, server_url: str, mount: str, credentials: str | None
) -> CIMultiDict[str]:
    """What the app gets: the visitor's headers, Host and Origin among them, and Connect's own."""
    kept = (header for header in end_to_end(scope["headers"]) if not _for_us(header))
    headers = _placed(pairs(kept), instance, mount)
    server = urlsplit(server_url)
    headers["RStudio-Connect-App-Base-URL"] = f"{server_url}{mount}"
    headers["X-RSC-Request"] = f"{server.scheme}://{server.netloc}{raw_path(scope)}{query(scope)}"
    headers["X-Forwarded-Proto"] = server.scheme
    if scope.get("client"):
        headers["X-Forwarded-For"] = scope["client"][0]
    if credentials is not None:
        headers["RStudio-Connect-Credentials"] = credentials
    return headers


def response_headers(raw: Iterable[Header]) -> list[Header]:
    """What the visitor gets; date and server are said by the server in front."""
    return [header for header in end_to_end(raw) if header[0] not in {b"date", b"server"}]


def _for_us(header: Header) -> bool:
    """The visitor's key is for this server, and nobody else speaks in its name."""
    name, value = header
    return bool(OURS.match(name)) or (name == b"authorization" and value[:4].lower() == b"key ")


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """The headers that go beyond the next neighbour, their names in lower case."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lowered if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in lowered if name not in HOP_BY_HOP and name not in named]


def handshake_headers(scope: Scope, instance: Instance, *, mount: str) -> CIMultiDict[str]:
    """What the app gets of a WebSocket's opening, Host and Origin among them; the handshake itself is made anew."""
    kept = (header for header in end_to_end(scope["headers"]) if not (HANDSHAKE.match(header[0]) or _for_us(header)))
    return _placed(pairs(kept), instance, mount)


def _placed(headers: CIMultiDict[str], instance: Instance, mount: str) -> CIMultiDict[str]:
    if instance.mode.anywhere:
        headers[MOUNT_HEADER] = mount
    return headers


def pairs(headers: Iterable[Header]) -> CIMultiDict[str]:
    return CIMultiDict([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
