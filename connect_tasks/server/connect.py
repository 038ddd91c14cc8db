"""The door to a Connect server: what is asked of it, by the paths, fields and codes of the Connect API reference.

How that is asked, and what becomes of the key, stands in `connect_calls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

from ..errors import GitDisabled, ServerRefused
from .connect_calls import ConnectCalls
from .connect_failures import NOT_FOUND
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

#: A task answer is held this long by the server (0 to 20 seconds are allowed).
TASK_WAIT = 1
#: Connect's own number for "git support is disabled".
GIT_IS_OFF = 145
#: And for "unknown include option".
UNKNOWN_INCLUDE = 161


class Connect(ConnectCalls):
    """One server, one key. Every method raises a `Problem` of the 7xx range when the server fails."""

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

    def list_with_vanity(self) -> tuple[tuple[ContentItem, ...], bool]:
        """All items, with `vanity_url` among the fields of those that have one; False: this server can't tell."""
        try:
            return self._many("v1/content", ContentItem.of, params={"include": "vanity_url"}), True
        except ServerRefused as error:
            if error.api_code != UNKNOWN_INCLUDE:  # servers before 2024.06.0
                raise
            return self.list_content(), False

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

    def page_url(self, guid: str, path: str = "/", *, bundle: str | None = None) -> str:
        """The URL of a path of the app: of the active bundle, or of a draft."""
        draft = f"_bundle{bundle}/" if bundle else ""
        return f"{self.url}/content/{guid}/{draft}{path.lstrip('/')}"


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
