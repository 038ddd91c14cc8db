"""What a server's failure means, and the cure: exceptions of requests and posit-sdk -> one `Problem`. Imports neither
at load time."""

from __future__ import annotations

import re
from typing import Any

from .errors import KeyRejected, Problem, ServerRefused, ServerUnreachable

#: How much of a foreign text is shown.
EXCERPT = 200
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
UNAUTHORISED, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 401, 403, 404, 500


class OffServer(Exception):
    """A redirect to another host was not followed: our key is for this server only."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def plain(text: str) -> str:
    """Text of a server, a commit or a program without terminal escapes, control characters and direction overrides."""
    return _UNPRINTABLE.sub("", text)


def explained(error: Exception, where: str) -> Problem:
    """The problem behind an exception of the transport, of posit-sdk, or of reading an answer."""
    import requests
    from posit.connect.errors import ClientError

    if isinstance(error, ClientError):
        return _refused(error.http_status, f"{error.error_message} (code {error.error_code})", where)
    if isinstance(error, OffServer):
        return ServerRefused(
            f"the server sends us to another address, {_host(error.location)}; our key does not go there",
            where=where,
            hint="use the address of Connect itself as `server` (a sign-on page or a proxy answered)",
        )
    if isinstance(error, requests.JSONDecodeError):
        return ServerRefused(
            "the answer is not JSON: this is not Connect's API",
            where=where,
            hint="check `server`: is it Connect's address, with its path if it has one?",
        )
    if isinstance(error, requests.HTTPError) and error.response is not None:
        response = error.response
        return _refused(response.status_code, plain(response.text[:EXCERPT]).strip() or response.reason, where)
    if isinstance(error, (KeyError, TypeError)):  # posit-sdk indexes `code` and `error` of every error body
        return ServerRefused("the server answered with an error that is not Connect's", where=where)
    return ServerUnreachable(_cause(error), where=where, hint=_cure(error))


def _refused(status: int, words: str, where: str) -> Problem:
    if status == UNAUTHORISED:
        return KeyRejected(
            "the server does not accept the key",
            where=where,
            hint="make a new key in Connect under your name > Manage API keys, and export CONNECT_API_KEY",
        )
    hint = None
    if status == FORBIDDEN:
        hint = "the key's owner needs the publisher role and collaborator rights on this content"
    elif status == NOT_FOUND:
        hint = "is `server` the address of Connect itself, with its path if it has one?"
    elif status >= SERVER_ERROR:
        hint = "try again; if it stays, the server's own log says more"
    return ServerRefused(f"the server answered {status}: {plain(words)}", where=where, hint=hint, status=status)


def _cause(error: Exception) -> str:
    text = str(error)
    if isinstance(error, TimeoutError) or "timed out" in text or "Timeout" in type(error).__name__:
        return "the server did not answer in time"
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service not known" in text:
        return "the server's name is unknown to DNS"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the server's certificate is not trusted: " + _inner(text)
    if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
        return "the server speaks plain http on this port, the address says https"
    if "refused" in text:
        return "nothing listens there (connection refused)"
    if "too many" in text or ("max retries" in text.lower() and "responses" in text):
        return "the server kept answering with a temporary error"
    return f"the server cannot be reached: {_inner(text)}"


def _cure(error: Exception) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "export CONNECT_CA_CERTIFICATE=/path/to/the/company/ca.pem"
    if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
        return "write http:// instead of https:// in `server`"
    return "check `server` (or CONNECT_SERVER), the network and the proxy; curl -I URL shows the same"


def _inner(text: str) -> str:
    match = re.search(r"(?:\]|:)\s*([^:\]()]+)\s*\(?_?ssl|'([^']+)'\)*$", text)
    found = next((group for group in match.groups() if group), None) if match else None
    return plain((found or text)[:EXCERPT])


def _host(url: Any) -> str:
    from urllib.parse import urlsplit

    return urlsplit(str(url)).hostname or "elsewhere"
