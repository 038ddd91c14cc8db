"""How a Connect server is called: posit-sdk's client and session, over a transport that knows one server only.

The key never leaves for another origin: the transport refuses to speak to any host but the server's own. Answers are
read here, since posit-sdk's own hook indexes `code` and `error` of each error, and loses the status of one that has
neither. Reads and settings are repeated with back-off; a POST never is, whoever asks decides after a look (`doubt`).
"""

from __future__ import annotations

import codecs
import json
import os
import re
import tempfile
import weakref
from collections.abc import Callable
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from ..errors import ServerRefused
from .connect_failures import (
    NOT_FOUND,
    AnswerTooLong,
    OffServer,
    explained,
    not_json,
    refused,
    sent_elsewhere,
    unexpected,
)
from .connect_records import FieldMissing, Json, Page
from .doubt import patiently
from .server_address import ServerAddress
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    import requests
    from posit.connect import Client
    from typing_extensions import Self

Value = TypeVar("Value")
PAGE_LIMIT = 1 << 20
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


def load_posit() -> None:
    """Import what takes 0.1 s, ahead of its need."""
    import posit.connect  # noqa: F401

    from . import connect_transport  # noqa: F401


class ConnectCalls:
    """One server, one key: calls of its API, visits of its pages. Everything that fails is a `Problem` of the 7xx
    range."""

    def __init__(self, address: ServerAddress, waited: Stopwatch | None = None) -> None:
        self.address = address
        self.url = address.url.rstrip("/")
        self.waited = waited or Stopwatch()

    def watched_by(self, waited: Stopwatch) -> Self:
        """The same door, with its connections; what is waited behind it counts elsewhere."""
        other = copy(self)
        other.waited = waited
        return other

    def visit(self, url: str, *, timeout: float) -> Page:
        """GET a content page with our key; redirects are followed on this server only. Raises like the API calls do."""
        import requests
        import urllib3

        from .connect_transport import CONNECT_TIMEOUT, read_body

        try:
            with self.waited.running(), self._pages.get(url, timeout=(CONNECT_TIMEOUT, timeout), stream=True) as answer:
                body = read_body(answer, limit=PAGE_LIMIT, seconds=timeout, cut=True)
        except OffServer as error:
            return Page(url=url, status=0, text="", headers={}, redirected_to=error.location)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise explained(error, url) from None
        headers = dict(answer.headers)
        return Page(url=answer.url, status=answer.status_code, text=_decoded(body, answer), headers=headers)

    # the API --------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **request: Any) -> Any:
        """Call the API -> its answer. All but a POST reads, or sets a value, which twice is as good as once."""
        once = partial(self._once, method, path, **request)
        return once() if method == "POST" else patiently(once)

    def _once(self, method: str, path: str, **request: Any) -> Any:
        import requests
        import urllib3

        from .connect_transport import ANSWER_TIMEOUT, LARGEST_ANSWER, read_body

        url, where = f"{self.url}/__api__/{path}", f"{method} {path} on {self.url}"
        session = self._client.session
        try:
            with (
                self.waited.running(),
                session.request(method, url, stream=True, allow_redirects=False, **request) as answer,
            ):
                body = read_body(answer, limit=LARGEST_ANSWER, seconds=ANSWER_TIMEOUT)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OffServer, AnswerTooLong, OSError) as error:
            raise explained(error, where) from None
        if answer.is_redirect:
            raise sent_elsewhere(urljoin(url, answer.headers["Location"]), where, status=answer.status_code)
        if not answer.ok:
            raise refused(answer, body, where)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise not_json(body, where) from None

    def _one(self, method: str, path: str, read: Callable[[Json], Value], **request: Any) -> Value:
        data = self._json(method, path, **request)
        return self._read([data], dict, read, path)[0]

    def _many(self, path: str, read: Callable[[Any], Value], *, of: type = dict, **request: Any) -> tuple[Value, ...]:
        data = self._json("GET", path, **request)
        if not isinstance(data, list):
            raise unexpected("a list was due", f"{path} on {self.url}")
        return self._read(data, of, read, path)

    def _found(self, path: str, read: Callable[[Json], Value]) -> Value | None:
        """What stands at `path`; None for a 404, and for nothing else."""
        try:
            return self._one("GET", path, read)
        except ServerRefused as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def _read(self, data: list[Any], of: type, read: Callable[[Any], Value], path: str) -> tuple[Value, ...]:
        where = f"{path} on {self.url}"
        if not all(isinstance(entry, of) for entry in data):
            raise unexpected("an object was due" if of is dict else "a text was due", where)
        try:
            return tuple(read(entry) for entry in data)
        except FieldMissing as missing:
            raise unexpected(str(missing), where) from None

    # transport ------------------------------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Client:
        from posit.connect import Client

        client = Client(url=self.url, api_key=self.address.key.reveal())
        client.session.hooks["response"].clear()
        self._restrict(client.session)
        return client

    @cached_property
    def _pages(self) -> requests.Session:
        import requests

        session = requests.Session()
        session.auth = self._client.session.auth
        self._restrict(session)
        return session

    def _restrict(self, session: requests.Session) -> None:
        import urllib3

        from .connect_transport import OneServer

        verify: bool | str = not self.address.insecure
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # at each call; we say it once
        elif self.address.ca is not None:
            verify = str(self.address.ca)
        elif self.address.ca_text is not None:
            verify = self._saved_certificate
        adapter = OneServer(self.url, verify=verify)
        session.mount("http://", adapter)
        session.mount("https://", adapter)

    @cached_property
    def _saved_certificate(self) -> str:
        """`rsconnect add --cacert` saved a text; requests wants a file, which lives as long as this door."""
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.address.ca_text or "")
        weakref.finalize(self, Path(name).unlink, missing_ok=True)
        return name


def _decoded(body: bytes, answer: requests.Response) -> str:
    """By the charset that the page declares, else UTF-8: requests would take Latin-1 for any text without one."""
    declared = _CHARSET.search(answer.headers.get("Content-Type", ""))
    try:
        encoding = codecs.lookup(declared.group(1) if declared else "utf-8").name
        return body.decode(encoding, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
