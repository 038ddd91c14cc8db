"""The transport under posit-sdk: one server only, time limits everywhere, reads repeated with back-off.

A module of its own, since it must import requests to subclass its adapter.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from .connect_failures import OffServer

#: Statuses that pass by themselves: too many requests, a restarting proxy, an overloaded server.
TEMPORARY = (429, 502, 503, 504)
#: Answers of an API are small; a proxy's download page is not an answer.
LARGEST_ANSWER = 32 << 20


class OneServer(HTTPAdapter):
    """Speaks to the origin of `url` and to nobody else."""

    def __init__(self, url: str, *, retries: int, timeout: tuple[float, float]) -> None:
        self._origin = _origin(url)
        self._timeout = timeout
        policy = Retry(
            total=retries,
            backoff_factor=0.25,
            backoff_jitter=0.25,
            backoff_max=8,
            status_forcelist=TEMPORARY,
            allowed_methods=frozenset({"GET", "HEAD", "PUT", "PATCH"}),  # ours set values: twice is as good as once
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        super().__init__(max_retries=policy)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if _origin(request.url or "") != self._origin:
            raise OffServer(request.url or "")
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        answer = super().send(request, *args, **kwargs)
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > LARGEST_ANSWER:
            answer.close()
            raise requests.ConnectionError(f"an answer of {int(length):,} bytes, which is no answer of Connect's API")
        return answer


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
