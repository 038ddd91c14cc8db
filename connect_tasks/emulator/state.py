"""The state in memory and what may happen to content, bundles and repositories. No I/O, no clock, no randomness.

A transition takes the state and returns the records that it would change (or raises Problem); the caller commits them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import (
    Bundle,
    Content,
    Permission,
    Record,
    Repository,
    Tag,
    User,
    Vanity,
    Variables,
)
from connect_tasks.emulator.settings import checked_options

R = TypeVar("R", bound=Record)

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,64}", re.ASCII)
GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class State:
    """Tables of records. `apply` is the only way to change it, and only the store calls that."""

    def __init__(self) -> None:
        self._tables: dict[type[Record], dict[str, Record]] = {}

    def apply(self, puts: Iterable[Record], removes: Iterable[Record] = ()) -> None:
        for record in puts:
            self._tables.setdefault(type(record), {})[record.key] = record
        for record in removes:
            self._tables.get(type(record), {}).pop(record.key, None)

    def table(self, kind: type[R]) -> Mapping[str, R]:
        return self._tables.get(kind, {})  # type: ignore[return-value]  # apply() files each record under its own type

    def find(self, kind: type[R], key: str) -> R | None:
        return self.table(kind).get(key)

    def content(self, guid: str) -> Content:
        """Raises Problem: 3 malformed, 4 unknown."""
        if not GUID.fullmatch(guid):
            raise Problem(3)
        found = self.find(Content, guid)
        if found is None:
            raise Problem(4, "There is no such content.")
        return found

    def bundles(self, content_guid: str) -> list[Bundle]:
        """The newest first."""
        own = [bundle for bundle in self.table(Bundle).values() if bundle.content_guid == content_guid]
        return sorted(own, key=lambda bundle: int(bundle.id), reverse=True)

    def bundle(self, content_guid: str, bundle_id: str) -> Bundle:
        found = self.find(Bundle, bundle_id)
        if found is None or found.content_guid != content_guid:
            raise Problem(4, "There is no such bundle.")
        return found

    def repository(self, content_guid: str) -> Repository:
        found = self.find(Repository, content_guid)
        if found is None:
            raise Problem(4, "The content is not managed by git.")
        return found

    def variables(self, content_guid: str) -> Mapping[str, str]:
        found = self.find(Variables, content_guid)
        return found.values if found else {}


# Content


def created_content(state: State, *, owner: User, guid: str, number: str, now: str, body: Mapping[str, Any]) -> Content:
    """New content from the body of a POST; a name is made up where none is given."""
    fresh = Content(
        guid=guid,
        number=number,
        owner_guid=owner.guid,
        name=f"content-{guid[:8]}",
        created_time=now,
        last_deployed_time=now,
    )
    return changed_content(state, fresh, {key: value for key, value in body.items() if value != "" or key != "name"})


def changed_content(state: State, content: Content, body: Mapping[str, Any]) -> Content:
    """The content with the writable fields of the body. Keys that are not known are ignored, as on the real server."""
    for key in ("guid", "id", "created_time", "bundle_id", "app_mode", "content_url", "dashboard_url"):
        if key in body and body[key] != _shown(content, key):
            raise Problem(53, f"The field {key} cannot be changed.")
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = _name(body["name"])
    if "title" in body:
        changes["title"] = _text(body["title"], 3, 1024, problem=122, nullable=True)
    if "description" in body:
        changes["description"] = _text(body["description"], 0, 4096, problem=123, nullable=True) or ""
    if "access_type" in body:
        changes["access_type"] = _access_type(body["access_type"])
    if "owner_guid" in body:
        changes["owner_guid"] = _owner(state, body["owner_guid"])
    changed = replace(content, **changes, options={**content.options, **checked_options(body)})
    _refuse_taken_name(state, changed)
    return changed


def _shown(content: Content, key: str) -> Any:
    return content.number if key == "id" else getattr(content, key, None)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Problem(5)
    return value


def _text(value: Any, least: int, most: int, *, problem: int, nullable: bool) -> str | None:
    if value is None and nullable:
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Problem(problem)
    return value


def _access_type(value: Any) -> str:
    if value not in ("all", "logged_in", "acl"):
        raise Problem(117)
    return str(value)


def _owner(state: State, value: Any) -> str:
    user = state.find(User, value) if isinstance(value, str) else None
    if user is None or not user.publisher:
        raise Problem(156)
    return user.guid


def _refuse_taken_name(state: State, content: Content) -> None:
    for other in state.table(Content).values():
        if (other.owner_guid, other.name) == (content.owner_guid, content.name) and other.guid != content.guid:
            raise Problem(26, f"The owner already has content named {content.name}.")


def removed_with(state: State, content: Content) -> tuple[Record, ...]:
    """The content and everything that goes with it."""
    single = [state.find(kind, content.guid) for kind in (Repository, Variables, Vanity)]
    many = [
        record
        for kind in (Bundle, Permission)
        for record in state.table(kind).values()
        if getattr(record, "content_guid", None) == content.guid
    ]
    return (content, *(record for record in single if record), *many)


def untagged(state: State, content_guid: str) -> tuple[Tag, ...]:
    """The tags that named the content, without it."""
    return tuple(
        replace(tag, content=tuple(guid for guid in tag.content if guid != content_guid))
        for tag in state.table(Tag).values()
        if content_guid in tag.content
    )


# Repositories


def linked_repository(content_guid: str, body: Mapping[str, Any]) -> Repository:
    """Settings from a PUT: whatever is not given takes its documented default."""
    if not body.get("repository"):
        raise Problem(12, "The field repository is missing.")
    return changed_repository(Repository(content_guid=content_guid, repository=""), body)


def changed_repository(repository: Repository, body: Mapping[str, Any]) -> Repository:
    """The settings with the fields of the body. The remote is not asked: a wrong branch shows in the deploy task."""
    changes: dict[str, Any] = {}
    if "repository" in body:
        changes["repository"] = repository_url(body["repository"])
    if body.get("branch") is not None:
        changes["branch"] = _plain(body["branch"], "branch") or "main"
    if body.get("directory") is not None:
        changes["directory"] = repository_directory(body["directory"])
    if body.get("polling") is not None:
        if not isinstance(body["polling"], bool):
            raise Problem(25, "The field polling is true or false.")
        changes["polling"] = body["polling"]
    if any(name in changes and changes[name] != getattr(repository, name) for name in ("repository", "branch")):
        changes |= {"last_error": None, "last_known_commit": None}
    return replace(repository, **changes)


def repository_url(value: Any) -> str:
    url = _plain(value, "repository")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where the port is no number
    except ValueError:
        raise Problem(146) from None
    if parts.scheme and parts.netloc and parts.scheme not in ("http", "https"):
        raise Problem(164)
    if not parts.scheme or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise Problem(146)
    return url


def repository_directory(value: Any) -> str:
    directory = _plain(value, "directory").strip("/") or "."
    if ".." in directory.split("/"):
        raise Problem(25, "The directory lies inside the repository: it has no '..'.")
    return directory


def _plain(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or value.startswith("-") or len(value) > 4096:
        raise Problem(25, f"The field {field} is not accepted.")
    return value


# Deploys


def refuse_other_mode(content: Content, mode: str) -> None:
    """The first deploy fixes what the content is. Raises Problem 48."""
    if content.app_mode not in ("unknown", mode):
        raise Problem(48, f"The content was deployed as {content.app_mode}; this bundle is {mode}.")


def activated(content: Content, bundle: Bundle, *, now: str) -> Content:
    """The content with this prepared bundle as the active one."""
    manifest = bundle.manifest or {}
    return replace(
        content,
        bundle_id=bundle.id,
        app_mode=manifest["mode"],
        content_category=manifest.get("category") or "",
        py_version=bundle.py_version,
        last_deployed_time=now,
    )
