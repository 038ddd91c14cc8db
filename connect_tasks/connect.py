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
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
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
    FieldMissing,
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
    "git_disabled",
    "mentions",
    "same_repository",
]

Value = TypeVar("Value")
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
        return self._one("GET", "server_settings", dict)

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
        return self._one("GET", "v1/user", User.of)

    def user_name(self, guid: str) -> str:
        return self._one("GET", f"v1/users/{guid}", lambda data: text(data, "username"))

    def python_versions(self) -> tuple[str, ...]:
        return self._one("GET", "v1/server_settings/python", _versions)

    # content --------------------------------------------------------------------------------------------------------

    def content(self, guid: str) -> ContentItem | None:
        return self._found(f"v1/content/{guid}", ContentItem.of)

    def list_content(self, *, name: str | None = None, owner: str | None = None) -> tuple[ContentItem, ...]:
        wanted = {"name": name, "owner_guid": owner}
        params = {key: value for key, value in wanted.items() if value is not None}
        return self._many("v1/content", ContentItem.of, params=params)

    def create_content(self, name: str, fields: Json) -> ContentItem:
        return self._one("POST", "v1/content", ContentItem.of, json={"name": name, **fields})

    def update_content(self, guid: str, fields: Json) -> ContentItem:
        return self._one("PATCH", f"v1/content/{guid}", ContentItem.of, json=dict(fields))

    def vanity(self, guid: str) -> str | None:
        return self._found(f"v1/content/{guid}/vanity", lambda data: text(data, "path"))

    def set_vanity(self, guid: str, path: str) -> None:
        self._one("PUT", f"v1/content/{guid}/vanity", dict, json={"path": path})

    def environment_names(self, guid: str) -> tuple[str, ...]:
        return self._many(f"v1/content/{guid}/environment", str, of=str)

    def set_environment(self, guid: str, values: Mapping[str, str]) -> None:
        body = [{"name": name, "value": value} for name, value in sorted(values.items())]
        self._json("PATCH", f"v1/content/{guid}/environment", json=body)

    # git ------------------------------------------------------------------------------------------------------------

    def repository(self, guid: str) -> RepositorySettings | None:
        return self._found(f"v1/content/{guid}/repository", RepositorySettings.of)

    def link_repository(self, guid: str, settings: RepositorySettings, *, exists: bool) -> None:
        body = {
            "repository": settings.repository,
            "branch": settings.branch,
            "directory": settings.directory,
            "polling": settings.polling,
        }
        try:
            self._one("PATCH" if exists else "PUT", f"v1/content/{guid}/repository", dict, json=body)
        except ServerRefused as error:
            if error.status == NOT_FOUND or error.api_code == GIT_IS_OFF:
                raise git_disabled(self.url) from None
            raise

    def bundle_from_commit(self, guid: str, commit: str) -> tuple[str, str] | None:
        """Ask for a bundle of exactly this commit -> (bundle id, task id); None where the server has no such
        endpoint."""
        try:
            return self._one("POST", f"v1/content/{guid}/repository/bundle", _bundle_and_task, json={"ref": commit})
        except ServerRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise

    # bundles and tasks ----------------------------------------------------------------------------------------------

    def bundles(self, guid: str) -> tuple[Bundle, ...]:
        """Newest first, by number: the API promises an order by id, but not its direction."""
        found = self._many(f"v1/content/{guid}/bundles", Bundle.of)
        return tuple(sorted(found, key=lambda bundle: (len(bundle.id), bundle.id), reverse=True))

    def deploy(self, guid: str, bundle: str | None, *, activate: bool = True) -> str:
        """Start a deploy -> task id. `activate` is left out when true: servers before 2025.06.0 refuse unknown keys."""
        body: dict[str, Any] = {"bundle_id": bundle}
        if not activate:
            body["activate"] = False
        return self._one("POST", f"v1/content/{guid}/deploy", lambda data: text(data, "task_id"), json=body)

    def task(self, task: str, first: int) -> TaskState:
        params = {"first": first, "wait": TASK_WAIT}
        return self._one("GET", f"v1/tasks/{task}", partial(TaskState.of, first=first), params=params)

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


def _versions(data: Json) -> tuple[str, ...]:
    installations = data.get("installations")
    if not isinstance(installations, list):
        return ()
    return tuple(text(entry, "version") for entry in installations if isinstance(entry, dict))


def _bundle_and_task(data: Json) -> tuple[str, str]:
    return text(data, "bundle_id"), text(data, "task_id")


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
