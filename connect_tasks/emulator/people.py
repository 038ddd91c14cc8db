"""Users and groups. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Group, Permission, Record, User
from connect_tasks.emulator.state import GUID, State

ROLES: Final = ("administrator", "publisher", "viewer")
NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)
PROHIBITED: Final = frozenset({"connect"})


def created_user(state: State, *, guid: str, now: str, body: Mapping[str, Any]) -> User:
    """A user from the body of a POST; a viewer where it names no role. Raises Problem 12, 25, 26."""
    username = body.get("username")
    if username is None:
        raise Problem(12, "The field username is missing.")
    if not isinstance(username, str) or not NAME.fullmatch(username) or username.lower() in PROHIBITED:
        raise Problem(25, "The username is not accepted.")
    return changed_user(state, User(guid=guid, username=username, user_role="viewer", created_time=now), body)


def changed_user(state: State, user: User, body: Mapping[str, Any]) -> User:
    """Raises Problem 25, 26."""
    changes = {}
    for field in ("username", "first_name", "last_name", "email"):
        if body.get(field) is not None:
            if not isinstance(body[field], str) or len(body[field]) > 256:
                raise Problem(25, f"The field {field} is not accepted.")
            changes[field] = body[field]
    if not NAME.fullmatch(changes.get("username", user.username)):
        raise Problem(25, "The username is not accepted.")
    if body.get("user_role") is not None:
        if body["user_role"] not in ROLES:
            raise Problem(25, f"The user_role is one of {', '.join(ROLES)}.")
        changes["user_role"] = body["user_role"]
    changed = replace(user, **changes)
    for other in state.table(User).values():
        if other.guid != user.guid and other.username.lower() == changed.username.lower():
            raise Problem(26, f"There is a user {changed.username} already.")
    return changed


def locked_user(user: User, body: Mapping[str, Any], *, by: User) -> User:
    if not isinstance(body.get("locked"), bool):
        raise Problem(25, "The field locked is true or false.")
    if user.guid == by.guid:
        raise Problem(22, "Nobody locks his own account.")
    return replace(user, locked=body["locked"])


def found_user(state: State, guid: Any) -> User:
    """Raises Problem 3, 4."""
    if not isinstance(guid, str) or not GUID.fullmatch(guid):
        raise Problem(3)
    user = state.find(User, guid)
    if user is None:
        raise Problem(4, "There is no such user.")
    return user


def with_status(users: list[User], status: str | None) -> list[User]:
    """By the account_status filter: locked, licensed, inactive; several joined by `|`. Raises Problem 25."""
    if not status:
        return users
    wanted = set(status.split("|"))
    if not wanted <= {"locked", "licensed", "inactive"}:
        raise Problem(25, "The account_status is one of locked, licensed, inactive.")
    return [user for user in users if ("locked" if user.locked else "licensed") in wanted]


def created_group(state: State, *, guid: str, owner: User, body: Mapping[str, Any]) -> Group:
    """Raises Problem 12, 25, 26."""
    name = body.get("name")
    if name is None:
        raise Problem(12, "The field name is missing.")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 256:
        raise Problem(25, "The name is not accepted.")
    if any(group.name == name for group in state.table(Group).values()):
        raise Problem(26, f"There is a group {name} already.")
    return Group(guid=guid, name=name, owner_guid=owner.guid)


def found_group(state: State, guid: str) -> Group:
    """Raises Problem 3, 4."""
    if not GUID.fullmatch(guid):
        raise Problem(3)
    group = state.find(Group, guid)
    if group is None:
        raise Problem(4, "There is no such group.")
    return group


def joined(group: Group, user: User) -> Group:
    """Raises Problem 154."""
    if user.guid in group.members:
        raise Problem(154, f"{user.username} is in the group already.")
    return replace(group, members=(*group.members, user.guid))


def left(group: Group, user_guid: str) -> Group:
    """Raises Problem 4."""
    if user_guid not in group.members:
        raise Problem(4, "The user is not in the group.")
    return replace(group, members=tuple(member for member in group.members if member != user_guid))


def going_with(state: State, group: Group) -> Iterator[Record]:
    """The group and the permissions that it had."""
    yield group
    for permission in state.table(Permission).values():
        if permission.principal_guid == group.guid:
            yield permission
