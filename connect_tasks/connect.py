"""The door to a Connect server, through posit-sdk.

The key never leaves for another origin: posit-sdk follows the redirects of a POST by hand and sends its key along, so
the transport below refuses to speak to any host but the server's own. Reads and settings are repeated with back-off by
urllib3; a POST never is, whoever asks decides after a look (`doubt`). Paths, fields and codes: the Connect API
reference; what is unknown is read tolerantly.
"""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from .connect_failures import OffServer, explained
from .errors import ServerRefused
from .server_address import ServerAddress

if TYPE_CHECKING:
    import requests
    from posit.connect import Client

#: Seconds to wait for a connection, and for the next byte of an answer.
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
#: A task answer is held this long by the server (0 to 20 seconds are allowed).
TASK_WAIT = 1
READ_RETRIES = 4
PAGE_LIMIT = 1 << 20
NOT_FOUND = 404

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class User:
    """Whose key it is. `role` is administrator, publisher or viewer."""

    guid: str
    name: str
    role: str

    @property
    def may_publish(self) -> bool:
        return self.role in {"administrator", "publisher"}


@dataclass(frozen=True, kw_only=True)
class ContentItem:
    """A content item; `fields` holds all that the server said of it."""

    guid: str
    name: str
    title: str | None
    bundle: str | None
    mode: str
    owner: str
    role: str  # of the caller: owner, editor, viewer, none
    url: str
    dashboard: str | None = None
    fields: Json = field(default_factory=dict)

    @property
    def may_edit(self) -> bool:
        return self.role in {"owner", "editor"}


@dataclass(frozen=True, kw_only=True)
class RepositorySettings:
    """What a git-backed item is linked to."""

    repository: str
    branch: str
    directory: str
    polling: bool
    last_known_commit: str | None = None
    last_error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle; `source_commit` and `source_repository` are null for uploads of older clients."""

    id: str
    active: bool
    source_commit: str | None
    created: str | None = None
    source_repository: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """An answer about a task: the lines since `first`, and how it stands."""

    id: str
    lines: tuple[str, ...]
    last: int
    finished: bool
    code: int
    error: str

    @property
    def succeeded(self) -> bool:
        return self.finished and self.code == 0


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a visit saw. `redirected_to` is set when the server sent us to another host: a sign-on page, usually."""

    url: str
    status: int
    text: str
    headers: Mapping[str, str]
    redirected_to: str | None = None


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

    def user(self) -> User:
        data = self._object("GET", "v1/user")
        return User(guid=_text(data, "guid"), name=_text(data, "username"), role=_text(data, "user_role", "viewer"))

    def user_name(self, guid: str) -> str:
        return _text(self._object("GET", f"v1/users/{guid}"), "username")

    def python_versions(self) -> tuple[str, ...]:
        data = self._object("GET", "v1/server_settings/python")
        installations = data.get("installations")
        if not isinstance(installations, list):
            return ()
        return tuple(_text(entry, "version") for entry in installations if isinstance(entry, dict))

    # content --------------------------------------------------------------------------------------------------------

    def content(self, guid: str) -> ContentItem | None:
        data = self._object("GET", f"v1/content/{guid}", absent_ok=True)
        return _content(data) if data else None

    def list_content(self, *, name: str | None = None, owner: str | None = None) -> tuple[ContentItem, ...]:
        wanted = {"name": name, "owner_guid": owner}
        params = {key: value for key, value in wanted.items() if value is not None}
        return tuple(_content(entry) for entry in self._array("GET", "v1/content", params=params))

    def create_content(self, name: str, fields: Json) -> ContentItem:
        return _content(self._object("POST", "v1/content", json={"name": name, **fields}))

    def update_content(self, guid: str, fields: Json) -> ContentItem:
        return _content(self._object("PATCH", f"v1/content/{guid}", json=dict(fields)))

    def vanity(self, guid: str) -> str | None:
        data = self._object("GET", f"v1/content/{guid}/vanity", absent_ok=True)
        return _text(data, "path") if data else None

    def set_vanity(self, guid: str, path: str) -> None:
        self._object("PUT", f"v1/content/{guid}/vanity", json={"path": path})

    def environment_names(self, guid: str) -> tuple[str, ...]:
        return tuple(str(name) for name in self._json("GET", f"v1/content/{guid}/environment"))

    def set_environment(self, guid: str, values: Mapping[str, str]) -> None:
        body = [{"name": name, "value": value} for name, value in sorted(values.items())]
        self._json("PATCH", f"v1/content/{guid}/environment", json=body)

    # git ------------------------------------------------------------------------------------------------------------

    def repository(self, guid: str) -> RepositorySettings | None:
        data = self._object("GET", f"v1/content/{guid}/repository", absent_ok=True)
        if not data:
            return None
        return RepositorySettings(
            repository=_text(data, "repository"),
            branch=_text(data, "branch", "main"),
            directory=_text(data, "directory", "."),
            polling=bool(data.get("polling")),
            last_known_commit=_optional(data, "last_known_commit"),
            last_error=_optional(data, "last_error"),
        )

    def link_repository(self, guid: str, settings: RepositorySettings, *, exists: bool) -> None:
        body = {
            "repository": settings.repository,
            "branch": settings.branch,
            "directory": settings.directory,
            "polling": settings.polling,
        }
        answer = self._object("PATCH" if exists else "PUT", f"v1/content/{guid}/repository", json=body, absent_ok=True)
        if not answer:
            raise ServerRefused(
                "git-backed content is not enabled on this Connect server",
                where=self.url,
                hint="ask its administrator to set Git.Enabled",
            )

    def bundle_from_commit(self, guid: str, commit: str) -> tuple[str, str] | None:
        """Ask for a bundle of exactly this commit -> (bundle id, task id); None where the server has no such
        endpoint."""
        data = self._object("POST", f"v1/content/{guid}/repository/bundle", json={"ref": commit}, absent_ok=True)
        if not data:
            return None
        return _text(data, "bundle_id"), _text(data, "task_id")

    # bundles and tasks ----------------------------------------------------------------------------------------------

    def bundles(self, guid: str) -> tuple[Bundle, ...]:
        """Newest first, by number: the API promises an order by id, but not its direction."""
        found = [_bundle(entry) for entry in self._array("GET", f"v1/content/{guid}/bundles")]
        return tuple(sorted(found, key=lambda bundle: (len(bundle.id), bundle.id), reverse=True))

    def deploy(self, guid: str, bundle: str | None, *, activate: bool = True) -> str:
        """Start a deploy -> task id. `activate` is left out when true: servers before 2025.06.0 refuse unknown keys."""
        body: dict[str, Any] = {"bundle_id": bundle}
        if not activate:
            body["activate"] = False
        return _text(self._object("POST", f"v1/content/{guid}/deploy", json=body), "task_id")

    def task(self, task: str, first: int) -> TaskState:
        params = {"first": first, "wait": TASK_WAIT}
        data = self._object("GET", f"v1/tasks/{task}", params=params)
        output = data.get("output")
        lines = tuple(str(line) for line in output) if isinstance(output, list) else ()
        last, code = data.get("last"), data.get("code")
        return TaskState(
            id=task,
            lines=lines,
            last=last if isinstance(last, int) else first + len(lines),
            finished=data.get("finished") is True,
            code=code if isinstance(code, int) else 0,
            error=_text(data, "error", ""),
        )

    # pages ----------------------------------------------------------------------------------------------------------

    def visit(self, url: str, *, timeout: float) -> Page:
        """GET a content page with our key; redirects are followed on this server only. Raises like the API calls do."""
        import requests

        try:
            with self._pages.get(url, timeout=(CONNECT_TIMEOUT, timeout), stream=True) as answer:
                text = answer.raw.read(PAGE_LIMIT, decode_content=True).decode(answer.encoding or "utf-8", "replace")
                return Page(url=answer.url, status=answer.status_code, text=text, headers=dict(answer.headers))
        except OffServer as error:
            return Page(url=url, status=0, text="", headers={}, redirected_to=error.location)
        except (requests.RequestException, OSError) as error:
            raise explained(error, url) from None

    def page_url(self, guid: str, path: str = "/", *, bundle: str | None = None) -> str:
        """The URL of a path of the app: of the active bundle, or of a draft."""
        draft = f"_bundle{bundle}/" if bundle else ""
        return f"{self.url}/content/{guid}/{draft}{path.lstrip('/')}"

    # transport ------------------------------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Client:
        from posit.connect import Client

        client = Client(url=self.url, api_key=self.address.key.reveal())
        self._prepare(client.session, retries=READ_RETRIES)
        return client

    @cached_property
    def _pages(self) -> requests.Session:
        import requests

        session = requests.Session()
        session.auth = self._client.session.auth
        self._prepare(session, retries=0)
        return session

    def _prepare(self, session: requests.Session, *, retries: int) -> None:
        from .connect_transport import OneServer

        adapter = OneServer(self.url, retries=retries, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        if self.address.insecure:
            session.verify = False
        elif self.address.ca is not None:
            session.verify = str(self.address.ca)
        elif self.address.ca_text is not None:
            session.verify = self._saved_certificate

    @cached_property
    def _saved_certificate(self) -> str:
        """`rsconnect add --cacert` saved a text; requests wants a file, which lives as long as this process."""
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.address.ca_text or "")
        atexit.register(Path(name).unlink, missing_ok=True)
        return name

    def _json(self, method: str, path: str, *, absent_ok: bool = False, **request: Any) -> Any:
        import requests
        from posit.connect.errors import ClientError

        try:
            answer = self._client.session.request(method, urljoin(f"{self.url}/", f"__api__/{path}"), **request)
            return answer.json() if answer.content else None
        except ClientError as error:
            if absent_ok and error.http_status == NOT_FOUND:
                return None
            raise explained(error, f"{method} {path}") from None
        except requests.HTTPError as error:
            if absent_ok and error.response is not None and error.response.status_code == NOT_FOUND:
                return None
            raise explained(error, f"{method} {path}") from None
        except (requests.RequestException, OffServer, OSError, KeyError, TypeError) as error:
            raise explained(error, f"{method} {path} on {self.url}") from None

    def _object(self, method: str, path: str, *, absent_ok: bool = False, **request: Any) -> Json:
        data = self._json(method, path, absent_ok=absent_ok, **request)
        if data is None and absent_ok:
            return {}
        if not isinstance(data, dict):
            raise _unexpected(path)
        return data

    def _array(self, method: str, path: str, **request: Any) -> Sequence[Json]:
        data = self._json(method, path, **request)
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise _unexpected(path)
        return data


def same_repository(left: str, right: str) -> bool:
    """Whether two URLs name one repository: case of the host, a final `.git` or slash do not matter."""
    return _repository_key(left) == _repository_key(right)


def _repository_key(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower(), re.sub(r"(\.git)?/*$", "", parts.path)


def mentions(bundles: Iterable[Bundle], commit: str) -> Bundle | None:
    """The newest bundle made of `commit`."""
    return next((bundle for bundle in bundles if bundle.source_commit == commit), None)


def _content(data: Json) -> ContentItem:
    return ContentItem(
        guid=_text(data, "guid"),
        name=_text(data, "name", ""),
        title=_optional(data, "title"),
        bundle=_optional(data, "bundle_id"),
        mode=_text(data, "app_mode", "unknown"),
        owner=_text(data, "owner_guid", ""),
        role=_text(data, "app_role", "none"),
        url=_text(data, "content_url", ""),
        dashboard=_optional(data, "dashboard_url"),
        fields=data,
    )


def _bundle(data: Json) -> Bundle:
    found = data.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    return Bundle(
        id=_text(data, "id"),
        active=data.get("active") is True,
        source_commit=_optional(metadata, "source_commit"),
        created=_optional(data, "created_time"),
        source_repository=_optional(metadata, "source_repo"),
    )


def _text(data: Json, key: str, default: str | None = None) -> str:
    value = data.get(key)
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    if default is not None:
        return default
    raise _unexpected(f"an answer without `{key}`")


def _optional(data: Json, key: str) -> str | None:
    value = data.get(key)
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None


def _unexpected(what: str) -> ServerRefused:
    return ServerRefused(
        f"the server's answer is not what Connect answers ({what})",
        hint="is `server` the address of Connect itself, not of a page in front of it?",
    )
