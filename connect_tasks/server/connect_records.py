"""What a Connect server says, as values. Pure; what is unknown is read tolerantly, what is due and missing raises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Json = Mapping[str, Any]
#: The code of a finished task whose answer had none that we can read: not a success.
UNREADABLE_CODE = -1


class FieldMissing(Exception):
    """An answer lacks a field that we can't do without."""


@dataclass(frozen=True, kw_only=True)
class User:
    """Whose key it is. `role` is administrator, publisher or viewer."""

    guid: str
    name: str
    role: str

    @property
    def may_publish(self) -> bool:
        return self.role in {"administrator", "publisher"}

    @classmethod
    def of(cls, data: Json) -> User:
        return cls(guid=text(data, "guid"), name=text(data, "username"), role=text(data, "user_role", "viewer"))


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

    @classmethod
    def of(cls, data: Json) -> ContentItem:
        return cls(
            guid=text(data, "guid"),
            name=text(data, "name", ""),
            title=optional(data, "title"),
            bundle=optional(data, "bundle_id"),
            mode=text(data, "app_mode", "unknown"),
            owner=text(data, "owner_guid", ""),
            role=text(data, "app_role", "none"),
            url=text(data, "content_url", ""),
            dashboard=optional(data, "dashboard_url"),
            fields=data,
        )


@dataclass(frozen=True, kw_only=True)
class RepositorySettings:
    """What a git-backed item is linked to."""

    repository: str
    branch: str
    directory: str
    polling: bool
    last_known_commit: str | None = None
    last_error: str | None = None

    @classmethod
    def of(cls, data: Json) -> RepositorySettings:
        return cls(
            repository=text(data, "repository"),
            branch=text(data, "branch", "main"),
            directory=text(data, "directory", "."),
            polling=bool(data.get("polling")),
            last_known_commit=optional(data, "last_known_commit"),
            last_error=optional(data, "last_error"),
        )


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle; `source_commit` and `source_repository` are null for uploads of older clients."""

    id: str
    active: bool
    source_commit: str | None
    created: str | None = None
    source_repository: str | None = None

    @classmethod
    def of(cls, data: Json) -> Bundle:
        found = data.get("metadata")
        metadata = found if isinstance(found, dict) else {}
        return cls(
            id=text(data, "id"),
            active=data.get("active") is True,
            source_commit=optional(metadata, "source_commit"),
            created=optional(data, "created_time"),
            source_repository=optional(metadata, "source_repo"),
        )


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """An answer about a task: the lines since the one asked for, and how it stands. `last` counts all lines."""

    id: str
    lines: tuple[str, ...]
    last: int
    finished: bool
    code: int
    error: str

    @property
    def succeeded(self) -> bool:
        """Nothing less than finished, code 0 and no error: each of them alone has been seen without the others."""
        return self.finished and self.code == 0 and not self.error.strip()

    @classmethod
    def of(cls, data: Json, *, first: int) -> TaskState:
        output, last, code = data.get("output"), data.get("last"), data.get("code")
        lines = tuple(str(line) for line in output) if isinstance(output, list) else ()
        return cls(
            id=text(data, "id", ""),
            lines=lines,
            last=last if isinstance(last, int) else first + len(lines),
            finished=data.get("finished") is True,
            code=code if isinstance(code, int) else UNREADABLE_CODE,
            error=text(data, "error", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a visit saw. `redirected_to` is set when the server sent us to another host: a sign-on page, usually."""

    url: str
    status: int
    text: str
    headers: Mapping[str, str]
    redirected_to: str | None = None


def same_repository(left: str, right: str) -> bool:
    """Whether two URLs name one repository: case of the host, a final `.git` or slash do not matter."""
    return _repository_key(left) == _repository_key(right)


def _repository_key(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower(), re.sub(r"(\.git)?/*$", "", parts.path)


def mentions(bundles: Iterable[Bundle], commit: str) -> Bundle | None:
    """The newest bundle made of `commit`."""
    return next((bundle for bundle in bundles if bundle.source_commit == commit), None)


def text(data: Json, key: str, default: str | None = None) -> str:
    """A field as text; ids have been seen as numbers."""
    value = data.get(key)
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    if default is not None:
        return default
    raise FieldMissing(f"an answer without `{key}`")


def optional(data: Json, key: str) -> str | None:
    value = data.get(key)
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None
