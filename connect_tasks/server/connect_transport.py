"""The transport under posit-sdk: one server only, its certificates, time and size limits everywhere.

A module of its own, since it must import requests to subclass its adapter.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from .connect_failures import AnswerTooLong, OffServer

#: Seconds to wait for a connection, and for the next byte of an answer; rsconnect-python's variable changes the latter.
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
READ_TIMEOUT_VARIABLE = "CONNECT_REQUEST_TIMEOUT"
#: An answer of the API has come to its end after so many seconds, and has no more bytes than this (100,000 lines of a
#: task's log are a fifth of it).
ANSWER_TIMEOUT, LARGEST_ANSWER = 120.0, 32 << 20
_PIECE = 1 << 16
#: Who else may name the trusted certificates, strongest first. requests knows the first two.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class OneServer(HTTPAdapter):
    """Speaks to the origin of `url` and to nobody else. `verify` is as in requests: True, False, or a PEM file."""

    def __init__(self, url: str, *, verify: bool | str) -> None:
        super().__init__()
        self._origin = _origin(url)
        self._verify = _certificates() if verify is True else verify

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if _origin(request.url or "") != self._origin:
            raise OffServer(request.url or "")
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (CONNECT_TIMEOUT, _read_timeout())
        # Not the session's `verify`: there, REQUESTS_CA_BUNDLE would outdo what the user said of this very server.
        kwargs["verify"] = self._verify
        return super().send(request, *args, **kwargs)


def read_body(answer: requests.Response, *, limit: int, seconds: float, cut: bool = False) -> bytes:
    """The body of a streamed answer, as it comes: a read timeout alone would let a byte a minute pass for ever.

    `cut`: what is longer, or takes longer, is cut there; else it is refused. Raises AnswerTooLong, and
    what urllib3 raises.
    """
    body, deadline = bytearray(), time.monotonic() + seconds
    while piece := answer.raw.read1(_PIECE, decode_content=True):
        body += piece
        if cut and (len(body) > limit or time.monotonic() > deadline):
            break
        if len(body) > limit:
            raise AnswerTooLong(f"more than {limit:,} bytes")
        if time.monotonic() > deadline:
            raise AnswerTooLong(f"it did not come to its end within {seconds:g} s")
    return bytes(body[:limit])


def _read_timeout() -> float:
    try:
        wanted = float(os.environ.get(READ_TIMEOUT_VARIABLE, ""))
    except ValueError:
        return READ_TIMEOUT
    return wanted if 0 < wanted < float("inf") else READ_TIMEOUT


def _certificates() -> bool | str:
    """Certificates that the environment names for every server, else those that come with requests."""
    return next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), True)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
