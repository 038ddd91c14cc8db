"""The door to a Connect server, through posit-sdk's client and its session.

The key never leaves for another origin: the transport refuses to speak to any host but the server's own. Answers are
read here, since posit-sdk's own hook indexes `code` and `error` of each error, and loses the status of one that has
neither. Reads and settings are repeated with back-off; a POST never is, whoever asks decides after
a look (`doubt`). Paths, fields and codes: the Connect API reference; what is unknown is read tolerantly.
"""

from __future__ import annotations

import atexit
import codecs
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

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
from .connect_records import (
    Bundle,
    ContentItem,
    Json,
    Page,
    RepositorySettings,
    TaskState,
    User,
    mentions,
    same_repository,
    text,
)
from .doubt import patiently
from .errors import GitDisabled, ServerRefused
from .server_address import ServerAddress

if TYPE_CHECKING:
    import requests
    from posit.connect import Client

__all__ = [
    "Bundle",
    "Connect",
    "ContentItem",
    "Page",
    "RepositorySettings",
    "TaskState",
    "User",
    "mentions",
    "same_repository",
]

#: A task answer is held this long by the server (0 to 20 seconds are allowed).
TASK_WAIT = 1
PAGE_LIMIT = 1 << 20
#: Connect's own number for "git support is disabled".
GIT_IS_OFF = 145
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


class Connect:
    """One server, one key. Every method raises a `Problem` of the 7xx range when the server fails."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.url = address.url.rstrip("/")

    # the server itself ----------------------------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Json:
        """`server_settings`: answered without a key, so the first thing to ask."""
        return self._object("GET", "server_settings")

    @property
    def version(self) -> str | None:
        """None when the administrator hides it."""
        version = self.settings.get("version")
        return version if isinstance(version, str) and version else None

    @property
    def has_git(self) -> bool | None:
        """Whether git-backed content is enabled; None where the server does not say."""
        enabled = self.settings.get("git_enabled")
        return enabled if isinstance(enabled, bool) else None

    def user(self) -> User:
        return User.of(self._object("GET", "v1/user"))

    def user_name(self, guid: str) -> str:
        return text(self._object("GET", f"v1/users/{guid}"), "username")

    def python_versions(self) -> tuple[str, ...]:
        installations = self._object("GET", "v1/server_settings/python").get("installations")
        if not isinstance(installations, list):
            return ()
        return tuple(text(entry, "version") for entry in installations if isinstance(entry, dict))

    # content --------------------------------------------------------------------------------------------------------

    def content(self, guid: str) -> ContentItem | None:
        data = self._found(f"v1/content/{guid}")
        return None if data is None else ContentItem.of(data)

    def list_content(self, *, name: str | None = None, owner: str | None = None) -> tuple[ContentItem, ...]:
        wanted = {"name": name, "owner_guid": owner}
        params = {key: value for key, value in wanted.items() if value is not None}
        return tuple(ContentItem.of(entry) for entry in self._array("v1/content", params=params))

    def create_content(self, name: str, fields: Json) -> ContentItem:
        return ContentItem.of(self._object("POST", "v1/content", json={"name": name, **fields}))

    def update_content(self, guid: str, fields: Json) -> ContentItem:
        return ContentItem.of(self._object("PATCH", f"v1/content/{guid}", json=dict(fields)))

    def vanity(self, guid: str) -> str | None:
        data = self._found(f"v1/content/{guid}/vanity")
        return None if data is None else text(data, "path")

    def set_vanity(self, guid: str, path: str) -> None:
        self._object("PUT", f"v1/content/{guid}/vanity", json={"path": path})

    def environment_names(self, guid: str) -> tuple[str, ...]:
        names = self._json("GET", f"v1/content/{guid}/environment")
        if not isinstance(names, list):
            raise unexpected("a list of names was due", self.url)
        return tuple(str(name) for name in names)

    def set_environment(self, guid: str, values: Mapping[str, str]) -> None:
        body = [{"name": name, "value": value} for name, value in sorted(values.items())]
        self._json("PATCH", f"v1/content/{guid}/environment", json=body)

    # git ------------------------------------------------------------------------------------------------------------

    def repository(self, guid: str) -> RepositorySettings | None:
        data = self._found(f"v1/content/{guid}/repository")
        return None if data is None else RepositorySettings.of(data)

    def link_repository(self, guid: str, settings: RepositorySettings, *, exists: bool) -> None:
        body = {
            "repository": settings.repository,
            "branch": settings.branch,
            "directory": settings.directory,
            "polling": settings.polling,
        }
        try:
            self._object("PATCH" if exists else "PUT", f"v1/content/{guid}/repository", json=body)
        except ServerRefused as error:
            if error.status == NOT_FOUND or error.api_code == GIT_IS_OFF:
                raise git_disabled(self.url) from None
            raise

    def bundle_from_commit(self, guid: str, commit: str) -> tuple[str, str] | None:
        """Ask for a bundle of exactly this commit -> (bundle id, task id); None where the server has no such
        endpoint."""
        try:
            data = self._object("POST", f"v1/content/{guid}/repository/bundle", json={"ref": commit})
        except ServerRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return text(data, "bundle_id"), text(data, "task_id")

    # bundles and tasks ----------------------------------------------------------------------------------------------

    def bundles(self, guid: str) -> tuple[Bundle, ...]:
        """Newest first, by number: the API promises an order by id, but not its direction."""
        found = [Bundle.of(entry) for entry in self._array(f"v1/content/{guid}/bundles")]
        return tuple(sorted(found, key=lambda bundle: (len(bundle.id), bundle.id), reverse=True))

    def deploy(self, guid: str, bundle: str | None, *, activate: bool = True) -> str:
        """Start a deploy -> task id. `activate` is left out when true: servers before 2025.06.0 refuse unknown keys."""
        body: dict[str, Any] = {"bundle_id": bundle}
        if not activate:
            body["activate"] = False
        return text(self._object("POST", f"v1/content/{guid}/deploy", json=body), "task_id")

    def task(self, task: str, first: int) -> TaskState:
        data = self._object("GET", f"v1/tasks/{task}", params={"first": first, "wait": TASK_WAIT})
        return TaskState.of(data, first=first)

    # pages ----------------------------------------------------------------------------------------------------------

    def visit(self, url: str, *, timeout: float) -> Page:
        """GET a content page with our key; redirects are followed on this server only. Raises like the API calls do."""
        import requests
        import urllib3

        from .connect_transport import CONNECT_TIMEOUT, read_body

        try:
            with self._pages.get(url, timeout=(CONNECT_TIMEOUT, timeout), stream=True) as answer:
                body = read_body(answer, limit=PAGE_LIMIT, seconds=timeout, cut=True)
        except OffServer as error:
            return Page(url=url, status=0, text="", headers={}, redirected_to=error.location)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise explained(error, url) from None
        headers = dict(answer.headers)
        return Page(url=answer.url, status=answer.status_code, text=_decoded(body, answer), headers=headers)

    def page_url(self, guid: str, path: str = "/", *, bundle: str | None = None) -> str:
        """The URL of a path of the app: of the active bundle, or of a draft."""
        draft = f"_bundle{bundle}/" if bundle else ""
        return f"{self.url}/content/{guid}/{draft}{path.lstrip('/')}"

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
        from .connect_transport import OneServer

        verify: bool | str = not self.address.insecure
        if verify and self.address.ca is not None:
            verify = str(self.address.ca)
        elif verify and self.address.ca_text is not None:
            verify = self._saved_certificate
        adapter = OneServer(self.url, verify=verify)
        session.mount("http://", adapter)
        session.mount("https://", adapter)

    @cached_property
    def _saved_certificate(self) -> str:
        """`rsconnect add --cacert` saved a text; requests wants a file, which lives as long as this process."""
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.address.ca_text or "")
        atexit.register(Path(name).unlink, missing_ok=True)
        return name

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
            with session.request(method, url, stream=True, allow_redirects=False, **request) as answer:
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

    def _object(self, method: str, path: str, **request: Any) -> Json:
        data = self._json(method, path, **request)
        if not isinstance(data, dict):
            raise unexpected(f"an object was due from {path}", self.url)
        return data

    def _found(self, path: str) -> Json | None:
        """What stands at `path`; None for a 404, and for nothing else."""
        try:
            return self._object("GET", path)
        except ServerRefused as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def _array(self, path: str, **request: Any) -> Sequence[Json]:
        data = self._json("GET", path, **request)
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise unexpected(f"a list was due from {path}", self.url)
        return data


def git_disabled(url: str) -> GitDisabled:
    return GitDisabled(
        "git-backed content is not enabled on this Connect server",
        where=url,
        hint="ask its administrator to set Git.Enabled",
    )


def _decoded(body: bytes, answer: requests.Response) -> str:
    """By the charset that the page declares, else UTF-8: requests would take Latin-1 for any text without one."""
    declared = _CHARSET.search(answer.headers.get("Content-Type", ""))
    try:
        encoding = codecs.lookup(declared.group(1) if declared else "utf-8").name
        return body.decode(encoding, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
