"""Which content item on the server is the app's: one app ends on one item, whoever releases it, from wherever.

Looked for, in this order: the `guid` of the configuration; what rsconnect-python and Posit Publisher wrote down; an
item of the app's name that the key's owner has; an item of anybody's that is linked to the same repository, branch and
directory. A `content_name` in the configuration tells items apart that share one place (staging and production on one
server): then a record or a link counts only for an item of that name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..configuration import App
from ..errors import ContentAmbiguous, ContentMissing, Problem, RoleTooLow, ServerRefused
from .clone_address import repository_name
from .connect import Connect, ContentItem, RepositorySettings, User, same_repository
from .deployment_records import DeploymentRecord, same_server

#: Items asked for their link when nothing better tells which one is ours: 200 reads, 8 at a time.
LINKS_LOOKED_AT, PARALLEL_READS = 200, 8
FORBIDDEN = 403
_ADDED = "ask them to add you as a collaborator (Connect: the item's Access panel)"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The item, None where it must be made; `by` says how it was found, `notes` what people should know of the
    search."""

    content: ContentItem | None = None
    by: str | None = None
    notes: tuple[str, ...] = ()


def find_content(
    connect: Connect,
    app: App,
    user: User,
    *,
    name: str,
    link: RepositorySettings,
    records: Sequence[DeploymentRecord] = (),
) -> Found:
    """The app's item on the server of `connect`; `name` and `link` are what it shall have.

    Raises what the door raises, `ContentMissing` for a `guid` that does not exist, `RoleTooLow` for an item that the
    key's owner may not change, `ContentAmbiguous`.
    """
    if app.guid is not None:
        content = _seen(connect, app.guid, user, "guid in [tool.connect-tasks]")
        if content is None:
            raise ContentMissing(
                f"the server has no content item {app.guid}",
                where=connect.url,
                hint="correct or remove `guid` in [tool.connect-tasks]; without it the item is found or created",
            )
        return Found(content=content, by="guid")
    recorded = _recorded(connect, app, user, link, records)
    if recorded.content is not None:
        return recorded
    named = connect.list_content(name=name, owner=user.guid)
    if named:
        return Found(content=named[0], by="name", notes=recorded.notes)
    linked = _linked(connect, app, user, name, link)
    return Found(content=linked.content, by=linked.by, notes=(*recorded.notes, *linked.notes))


def may_change(item: ContentItem, user: User) -> bool:
    """Administrators may change every item; the role that an item names is the caller's own."""
    return item.may_edit or user.role == "administrator"


def not_ours_to_change(connect: Connect, item: ContentItem, user: User, found_by: str) -> Problem:
    """The problem of an item of somebody else's: it names the owner, who can cure it."""
    return RoleTooLow(
        f'the content item "{item.name}" (found by {found_by}) belongs to {_owner(connect, item)}, '
        f"and {user.name} may not change it",
        where=item.dashboard or item.url,
        hint=f"{_ADDED}, or set the `guid` of another item",
    )


def _owner(connect: Connect, item: ContentItem) -> str:
    try:
        return connect.user_name(item.owner)
    except ServerRefused:  # a server may keep its users to itself
        return f"another user ({item.owner})"


def same_link(found: RepositorySettings, wanted: RepositorySettings) -> bool:
    """The same place in the same repository; polling is a setting, not a place."""
    return (
        same_repository(found.repository, wanted.repository)
        and found.branch == wanted.branch
        and same_directory(found.directory, wanted.directory)
    )


def same_directory(left: str, right: str) -> bool:
    return posixpath.normpath(left.strip("/") or ".") == posixpath.normpath(right.strip("/") or ".")


# by a record ----------------------------------------------------------------------------------------------------------


def _recorded(
    connect: Connect, app: App, user: User, link: RepositorySettings, records: Iterable[DeploymentRecord]
) -> Found:
    ours = {record.guid: record.source for record in records if same_server(record.server, connect.url)}
    notes: list[str] = []
    found: dict[str, ContentItem] = {}
    for guid, source in ours.items():
        item = _seen(connect, guid, user, source)
        if item is None:
            notes.append(f"{source} names the content item {guid}, which this server does not have (any more)")
        elif app.content_name and item.name != app.content_name:
            notes.append(f'{source} names the content item "{item.name}", and `content_name` another one')
        else:
            found[source] = item
    chosen = _chosen(connect, user, link, found)
    if chosen is None:
        return Found(notes=tuple(notes))
    source, item = chosen
    return Found(content=item, by=source, notes=tuple(notes))


def _chosen(
    connect: Connect, user: User, link: RepositorySettings, found: dict[str, ContentItem]
) -> tuple[str, ContentItem] | None:
    """Of several recorded items the one that is linked to our place. Raises `ContentAmbiguous`."""
    if len(found) > 1:
        linked = {source: item for source, item in found.items() if _is_linked(connect, item, user, link)}
        if len(linked) != 1:
            raise _ambiguous(connect, linked.values() or found.values(), "records of earlier deployments name")
        found = linked
    return next(iter(found.items()), None)


def _seen(connect: Connect, guid: str, user: User, source: str) -> ContentItem | None:
    """The item, None where there is none. One that is there and hidden is not passed over: a second one would be
    made."""
    try:
        return connect.content(guid)
    except ServerRefused as error:
        if error.status != FORBIDDEN:
            raise
    raise RoleTooLow(
        f"{user.name} may not see the content item {guid}, and the server does not say whose it is",
        where=source,
        hint=f"ask whoever deployed it, and {_ADDED.removeprefix('ask ')}; or correct {source}",
    )


# by its link ----------------------------------------------------------------------------------------------------------


def _linked(connect: Connect, app: App, user: User, name: str, link: RepositorySettings) -> Found:
    """An item that is linked to our place, whatever its name, unless the configuration gives one."""
    visible = [item for item in connect.list_content() if app.content_name in {None, item.name}]
    likely = sorted(visible, key=lambda item: _unlikeliness(item, name, link))
    looked_at = likely[:LINKS_LOOKED_AT]
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        linked = list(pool.map(lambda item: _is_linked(connect, item, user, link, name), looked_at))
    ours = [item for item, is_ours in zip(looked_at, linked, strict=True) if is_ours]
    ours = [item for item in ours if may_change(item, user)] or ours
    if len(ours) > 1:
        raise _ambiguous(connect, ours, "this repository, branch and directory are linked to")
    if ours:
        return Found(content=ours[0], by="link")
    return Found(notes=tuple(_unseen(len(likely) - len(looked_at), len(looked_at))))


def _unlikeliness(item: ContentItem, name: str, link: RepositorySettings) -> int:
    """The smaller, the likelier that it is ours; the server's own order (the last deployed first) decides ties."""
    if item.name == name:
        return 0
    return 1 if repository_name(link.repository).lower() in item.name.lower() else 2


def _unseen(unseen: int, seen: int) -> Iterator[str]:
    if unseen:
        yield (
            f"{seen} items were asked for their repository and {unseen} were not: "
            "if the app is among those, set its `guid`"
        )


def _is_linked(
    connect: Connect, item: ContentItem, user: User, link: RepositorySettings, name: str | None = None
) -> bool:
    """Whether an item is linked to our place.

    Its link is shown only to those who may change the item. Of another item the bundles tell where they came from, but
    not the directory; there only an item of `name`, which every clone would give it, is taken for ours.
    """
    if may_change(item, user):
        found = connect.repository(item.guid)
        return found is not None and same_link(found, link)
    if item.name != name:
        return False
    sources = {bundle.source_repository for bundle in connect.bundles(item.guid)}
    return any(source is not None and same_repository(source, link.repository) for source in sources)


def _ambiguous(connect: Connect, items: Iterable[ContentItem], why: str) -> Problem:
    listed = ", ".join(f'"{item.name}" ({item.guid})' for item in items)
    return ContentAmbiguous(
        f"{why} several content items: {listed}",
        where=connect.url,
        hint='choose one: guid = "..." in [tool.connect-tasks]',
    )
