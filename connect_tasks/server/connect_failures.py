"""What a server's failure means, and the cure: what requests and urllib3 raise, or an answer that is an error, becomes
one `Problem`. Imports neither at load time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ..errors import KeyRejected, Problem, ServerRefused, ServerUnreachable
from ..foreign_text import excerpt

if TYPE_CHECKING:
    import requests

UNAUTHORISED, FORBIDDEN, NOT_FOUND, PROXY_AUTHENTICATION, TOO_LARGE, TOO_MANY = 401, 403, 404, 407, 413, 429
SERVER_ERROR = 500
#: Codes of OpenSSL's verification.
NOT_YET_VALID, EXPIRED, OTHER_HOST, OTHER_ADDRESS = 9, 10, 62, 64
_ITSELF = "is `server` the address of Connect itself, with its path if it has one, and not of a page in front of it?"
_LOOK = "check `server` (or CONNECT_SERVER), the network and the proxy; curl -I URL shows the same"
_AGAIN = "run the same command again: it goes on where this one stopped"
#: What OpenSSL says when the other side does not speak TLS.
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
#: What Go's and nginx's servers answer to plain http on a TLS port.
_HTTP_ON_TLS = "client sent an http request to an https server", "plain http request was sent to https port"


class Verdict(NamedTuple):
    """Why there was no answer, what helps, and whether it may be gone in a moment; if not, nothing reached the
    server."""

    cause: str
    cure: str
    passing: bool = True


_SPEAKS_HTTP = Verdict(
    "the server speaks plain http on this port, the address says https",
    "write http:// instead of https:// in `server`",
    passing=False,
)
_SPEAKS_HTTPS = Verdict(
    "the server speaks https on this port, the address says http",
    "write https:// instead of http:// in `server`",
    passing=False,
)
_NO_PASSWORD = Verdict(
    "the proxy wants a user and a password (407)",
    "set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, or NO_PROXY where the server needs no proxy",
    passing=False,
)


class OffServer(Exception):
    """A redirect was not followed: our key is for this server only, and an API has no other address."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class AnswerTooLong(Exception):
    """An answer with more bytes than any of Connect's, or one that does not come to its end."""


# answers --------------------------------------------------------------------------------------------------------------


def refused(answer: requests.Response, body: bytes, where: str) -> Problem:
    """The problem behind an answer with an error status. Connect's own have `code` and `error`; proxies answer too."""
    status, text = answer.status_code, body.decode("utf-8", "replace")
    api_code, words = _connects_own(body)
    words = words or excerpt(text) or str(answer.reason or "")
    if status == UNAUTHORISED:
        return KeyRejected(
            "the server does not accept the key",
            where=where,
            hint="make a new key in Connect under your name > Manage API keys, and export CONNECT_API_KEY",
        )
    if any(phrase in text.lower() for phrase in _HTTP_ON_TLS):
        return _unreachable(_SPEAKS_HTTPS, where)
    if status == PROXY_AUTHENTICATION:
        return _unreachable(_NO_PASSWORD, where)
    said = f"{words} (code {api_code})" if api_code is not None else words
    retry_after = _seconds(answer.headers.get("Retry-After"))
    if retry_after is not None:
        said += f"; it asks us to wait {retry_after:g} s"
    return ServerRefused(
        f"the server answered {status}: {said}",
        where=where,
        hint=_cure_of_status(status, ours=api_code is not None),
        status=status,
        api_code=api_code,
        retry_after=retry_after,
    )


def _connects_own(body: bytes) -> tuple[int | None, str | None]:
    import json

    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(data, dict):
        return None, None
    code, words = data.get("code"), data.get("error")
    return (code if isinstance(code, int) else None), (excerpt(words) if isinstance(words, str) else None)


def _cure_of_status(status: int, *, ours: bool) -> str | None:
    if status == FORBIDDEN:
        return "the key's owner needs the publisher role and collaborator rights on this content"
    if status == NOT_FOUND and not ours:
        return _ITSELF
    if status == TOO_LARGE:
        return "a proxy in front of the server limits requests; its administrator can raise the limit"
    if status == TOO_MANY:
        return "the server, or a proxy in front of it, limits requests: wait and run the same command again"
    if status >= SERVER_ERROR:
        return f"{_AGAIN}; if it stays, the server's log says more"
    return None


def _seconds(retry_after: str | None) -> float | None:
    """The header has seconds, or a date; a date is left to our own back-off, since clocks differ."""
    return float(retry_after) if retry_after and retry_after.strip().isdecimal() else None


def not_json(body: bytes, where: str) -> Problem:
    shown = excerpt(body.decode("utf-8", "replace"))
    what = f"the answer is not JSON, so it is not from Connect's API: {shown}" if shown else "the answer is empty"
    return ServerRefused(what, where=where, hint=_ITSELF)


def unexpected(what: str, where: str) -> Problem:
    return ServerRefused(f"the server's answer is not what Connect answers ({what})", where=where, hint=_ITSELF)


def sent_elsewhere(location: str, where: str, *, status: int | None = None) -> Problem:
    """A redirect of an API call: another host, http to https, or a sign-on page."""
    parts = urlsplit(location)
    there = (
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.netloc
        else location.split("?", maxsplit=1)[0]
    )
    return ServerRefused(
        f"the server sends us to another address, {excerpt(there)}; our key does not go there",
        where=where,
        hint="use the address of Connect itself as `server` (a sign-on page or a proxy answered)",
        status=status,
    )


# no answer ------------------------------------------------------------------------------------------------------------


def explained(error: BaseException, where: str) -> Problem:
    """The problem behind an exception of the transport, or of reading an answer."""
    if isinstance(error, OffServer):
        return sent_elsewhere(error.location, where)
    links = tuple(_chain(error))
    verdict = _certificate(links) or _tls(links) or _proxy(links) or _address(links) or _broken(links)
    return _unreachable(verdict or Verdict(f"the server cannot be reached: {excerpt(str(links[-1]))}", _LOOK), where)


def _unreachable(verdict: Verdict, where: str) -> ServerUnreachable:
    return ServerUnreachable(verdict.cause, where=where, hint=verdict.cure, passing=verdict.passing)


def _certificate(links: tuple[BaseException, ...]) -> Verdict | None:
    found = _first(links, ssl.SSLCertVerificationError)
    if found is None:
        missing = next((str(link) for link in links if "TLS CA certificate bundle" in str(link)), None)
        if missing is None:
            return None
        return Verdict(
            f"the file of trusted certificates does not exist: {missing.rsplit(': ', 1)[-1]}",
            "correct or unset CONNECT_CA_CERTIFICATE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE",
            passing=False,
        )
    cures = {
        NOT_YET_VALID: "set this computer's clock: by it, the certificate is of the future",
        EXPIRED: "the server's administrator renews it; or is this computer's clock wrong?",
        OTHER_HOST: "use the name in the certificate as `server`",
        OTHER_ADDRESS: "use the name in the certificate as `server`",
    }
    cure = cures.get(found.verify_code, "export CONNECT_CA_CERTIFICATE=/path/to/the/company/ca.pem")
    return Verdict(f"the server's certificate is not trusted: {found.verify_message}", cure, passing=False)


def _tls(links: tuple[BaseException, ...]) -> Verdict | None:
    found = _first(links, ssl.SSLError)
    reason = str(getattr(found, "reason", "") or "")
    if reason in _NO_TLS:
        return _SPEAKS_HTTP
    if found is not None:
        return Verdict(f"no secure connection: {excerpt(reason or str(found))}", _LOOK)
    # http.client, when what comes instead of a status line is a TLS alert
    if any(type(link).__name__ == "BadStatusLine" and "\x15\x03" in str(link) for link in links):
        return _SPEAKS_HTTPS
    return None


def _proxy(links: tuple[BaseException, ...]) -> Verdict | None:
    if not any(type(link).__name__ == "ProxyError" for link in links):
        return None
    last = next((str(link) for link in reversed(links) if str(link)), "")
    if str(PROXY_AUTHENTICATION) in last:
        return _NO_PASSWORD
    reason = "nothing listens there" if _first(links, ConnectionRefusedError) else excerpt(last)
    reason = "its name is unknown to DNS" if _first(links, socket.gaierror) else reason
    return Verdict(f"the proxy does not let us through: {reason}", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")


def _address(links: tuple[BaseException, ...]) -> Verdict | None:
    if _first(links, socket.gaierror):
        return Verdict("the server's name is unknown to DNS", _LOOK)
    if _first(links, ConnectionRefusedError):
        return Verdict("nothing listens there (connection refused)", _LOOK)
    return None


def _broken(links: tuple[BaseException, ...]) -> Verdict | None:
    names = {type(link).__name__ for link in links}
    if names & {"ConnectTimeout", "ConnectTimeoutError"}:
        return Verdict("no connection came about in time: something on the way drops our packets", _LOOK)
    if _first(links, TimeoutError) or names & {"ReadTimeout", "ReadTimeoutError"}:
        return Verdict(
            "the server did not answer in time", f"{_AGAIN}; CONNECT_REQUEST_TIMEOUT=SECONDS gives it longer"
        )
    if "TooManyRedirects" in names:
        return Verdict("the server sends us in a circle", _ITSELF, passing=False)
    if _first(links, AnswerTooLong):
        return Verdict(f"no answer of Connect: {links[0]}", _ITSELF)
    if names & {"DecodeError", "ContentDecodingError"}:
        return Verdict("the answer is garbled: it is not compressed as its header says", _ITSELF)
    if names & {"IncompleteRead", "InvalidChunkLength"}:
        return Verdict("the connection was cut in the middle of an answer", _AGAIN)
    if _first(links, ConnectionError) or names & {"RemoteDisconnected", "BadStatusLine"}:
        return Verdict("the server closed the connection without an answer", _AGAIN)
    return None


def _first(links: tuple[BaseException, ...], kind: type[Any]) -> Any:
    return next((link for link in links if isinstance(link, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those within it: requests wraps urllib3's, which wrap those of the socket."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [getattr(link, "reason", None), *link.args, link.__cause__]
