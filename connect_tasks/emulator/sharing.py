"""Permissions, vanity paths, tags: what can be attached to content. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Group, Permission, Tag, User, Vanity
from connect_tasks.emulator.state import State

RESERVED: Final = (
    *("/__", "/favicon.ico", "/connect", "/apps", "/users", "/groups", "/setpassword", "/user-completion", "/confirm"),
    *("/recent", "/reports", "/plots", "/unpublished", "/settings", "/metrics", "/tokens", "/help", "/login"),
    *("/welcome", "/register", "/resetpassword", "/content"),
    "/git",  # ours: the git host
)
PATH: Final = re.compile(r"(/[A-Za-z0-9_.~-]+)+/", re.ASCII)


def permissions_of(state: State, content: Content) -> list[Permission]:
    found = (item for item in state.table(Permission).values() if item.content_guid == content.guid)
    return sorted(found, key=lambda permission: int(permission.id))


def permission_of(state: State, content: Content, permission_id: str) -> Permission:
    """Raises Problem 4."""
    found = state.find(Permission, permission_id)
    if found is None or found.content_guid != content.guid:
        raise Problem(4, "There is no such permission.")
    return found


def granted(state: State, content: Content, *, number: str, body: Mapping[str, Any]) -> Permission:
    """A permission from the body of a POST. Raises Problem 25, 34, 152 to 155."""
    guid, kind = body.get("principal_guid"), body.get("principal_type")
    if kind not in ("user", "group") or not isinstance(guid, str):
        raise Problem(152, "A principal is a user or a group, named by its GUID.")
    if kind == "group" and state.find(Group, guid) is None:
        raise Problem(153 if state.find(User, guid) is None else 152)
    if kind == "user" and state.find(User, guid) is None:
        raise Problem(152, "There is no such user.")
    if guid == content.owner_guid:
        raise Problem(34)
    if any(permission.principal_guid == guid for permission in permissions_of(state, content)):
        raise Problem(154 if kind == "user" else 155)
    permission = Permission(
        id=number, content_guid=content.guid, principal_guid=guid, principal_type=kind, role="viewer"
    )
    return regranted(permission, body)


def regranted(permission: Permission, body: Mapping[str, Any]) -> Permission:
    """Only the role changes. Raises Problem 25."""
    role = body.get("role", permission.role)
    if role not in ("viewer", "owner"):
        raise Problem(25, "A role is viewer or owner.")
    return replace(permission, role=role)


def vanity_wanted(state: State, content: Content, *, now: str, body: Mapping[str, Any]) -> tuple[Vanity, Vanity | None]:
    """The vanity path of a PUT, and the other content's that it displaces by force. Raises Problem 51, 52."""
    path = body.get("path")
    if not isinstance(path, str):
        raise Problem(52, "The field path is missing.")
    path = f"/{path.strip('/')}/"
    if not PATH.fullmatch(path) or len(path) > 1024 or {".", ".."} & set(path.split("/")):
        raise Problem(52, "A vanity path has letters, digits and -_.~ between its slashes.")
    if any(path == f"{prefix}/" or path.startswith((f"{prefix}/", "/__")) for prefix in RESERVED):
        raise Problem(52, "The path is reserved for the server.")
    others = [vanity for vanity in state.table(Vanity).values() if vanity.content_guid != content.guid]
    taken = next((vanity for vanity in others if vanity.path == path), None)
    if taken is not None and body.get("force") is not True:
        raise Problem(51)
    if any(vanity is not taken and _nested(path, vanity.path) for vanity in others):
        raise Problem(52, "A vanity path cannot lie inside another one.")
    return Vanity(content_guid=content.guid, path=path, created_time=now), taken


def _nested(path: str, other: str) -> bool:
    return path.startswith(other) or other.startswith(path)


def created_tag(state: State, *, number: str, now: str, body: Mapping[str, Any]) -> Tag:
    """Raises Problem 4, 12, 25, 26."""
    if body.get("name") is None:
        raise Problem(12, "The field name is missing.")
    return changed_tag(state, Tag(id=number, name="", parent_id=None, created_time=now), body)


def changed_tag(state: State, tag: Tag, body: Mapping[str, Any]) -> Tag:
    """Raises Problem 4, 25, 26."""
    name, parent = body.get("name", tag.name), body.get("parent_id", tag.parent_id)
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 255:
        raise Problem(25, "The name is not accepted.")
    if parent is not None:
        parent = str(parent)
        if found_tag(state, parent).id in descendants(state, tag):
            raise Problem(25, "A tag cannot lie inside itself.")
    if any((other.name, other.parent_id) == (name, parent) and other.id != tag.id for other in _tags(state)):
        raise Problem(26, f"There is a tag {name} there already.")
    return replace(tag, name=name, parent_id=parent)


def found_tag(state: State, tag_id: str) -> Tag:
    """Raises Problem 4."""
    tag = state.find(Tag, tag_id)
    if tag is None:
        raise Problem(4, "There is no such tag.")
    return tag


def descendants(state: State, tag: Tag) -> dict[str, Tag]:
    """The tag and all tags below it, by id."""
    found = {tag.id: tag}
    while children := [item for item in _tags(state) if item.parent_id in found and item.id not in found]:
        found |= {child.id: child for child in children}
    return found


def _tags(state: State) -> list[Tag]:
    return list(state.table(Tag).values())
