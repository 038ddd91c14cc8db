"""Who may do what. Pure."""

from __future__ import annotations

from connect_tasks.emulator.problems import Problem
from connect_tasks.emulator.records import Content, Group, Permission, User
from connect_tasks.emulator.state import State


def role_on(state: State, user: User | None, content: Content) -> str:
    """owner | editor | viewer | none: the caller's own role, whatever an administrator may do besides."""
    if user is None:
        return "viewer" if content.access_type == "all" else "none"
    if content.owner_guid == user.guid:
        return "owner"
    groups = {group.guid for group in state.table(Group).values() if user.guid in group.members}
    roles = {
        permission.role
        for permission in state.table(Permission).values()
        if permission.content_guid == content.guid and permission.principal_guid in (user.guid, *groups)
    }
    if "owner" in roles and user.publisher:
        return "editor"
    return "viewer" if roles or content.access_type in ("all", "logged_in") else "none"


def may_see(state: State, user: User | None, content: Content) -> bool:
    return (user is not None and user.administrator) or role_on(state, user, content) != "none"


def may_edit(state: State, user: User | None, content: Content) -> bool:
    return user is not None and (user.administrator or role_on(state, user, content) in ("owner", "editor"))


def require_publisher(user: User) -> None:
    if not user.publisher:
        raise Problem(22, "Only publishers and administrators may do this.")


def require_administrator(user: User) -> None:
    if not user.administrator:
        raise Problem(22, "Only administrators may do this.")


def visible(state: State, user: User, guid: str) -> Content:
    """The content if the user may see it. Raises Problem 3, 4, 19."""
    content = state.content(guid)
    if not may_see(state, user, content):
        raise Problem(19)
    return content


def editable(state: State, user: User, guid: str) -> Content:
    """The content if the user may change it. Raises Problem 3, 4, 19, 21."""
    content = visible(state, user, guid)
    if not may_edit(state, user, content):
        raise Problem(21)
    return content
