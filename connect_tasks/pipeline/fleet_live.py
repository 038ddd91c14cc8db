"""What is live of many apps: one list of each server's items, and the commits that their bundles were made of.

Which commit a bundle was made of never changes: it is asked for once, and remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from ..configuration import App
from ..errors import Problem, RepositoryAddressMissing
from ..repository.git import Git
from ..server.clone_address import clone_address
from ..server.connect import Connect, ContentItem
from ..server.server_drift import Difference, field_differences, vanity_path
from ..server.server_survey import content_name
from ..world import World
from .bundle_commits import BundleCommits
from .standstill import Record

#: Reads of single bundles at a time, where a server is seen for the first time.
PARALLEL_READS = 8


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live of an app. `commit` None: the server does not say of which commit."""

    item: ContentItem
    commit: str | None
    url: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One server's items, by guid and by the names of the key's owner. `tells_vanity`: their own paths too."""

    connect: Connect
    items: Mapping[str, ContentItem]
    named: Mapping[str, ContentItem]
    tells_vanity: bool


def list_servers(apps: Sequence[App], world: World) -> tuple[dict[int, Listed], dict[int, Problem]]:
    """The server of each app (by its id()), each asked once; or the problem with it."""
    asked: dict[int, Listed | Problem] = {}
    of: dict[int, Listed] = {}
    problems: dict[int, Problem] = {}
    for app in apps:
        try:
            connect = world.connect(app)
        except Problem as problem:
            problems[id(app)] = problem
            continue
        if id(connect) not in asked:
            try:
                asked[id(connect)] = _listed(connect)
            except Problem as problem:
                asked[id(connect)] = problem
        found = asked[id(connect)]
        if isinstance(found, Problem):
            problems[id(app)] = found
        else:
            of[id(app)] = found
    return of, problems


def _listed(connect: Connect) -> Listed:
    user = connect.user()
    items, tells_vanity = connect.list_with_vanity()
    named = {item.name: item for item in items if item.owner == user.guid}
    return Listed(connect=connect, items={item.guid: item for item in items}, named=named, tells_vanity=tells_vanity)


def find_lives(
    apps: Sequence[App], world: World, servers: Mapping[int, Listed], records: Mapping[int, Record | None]
) -> dict[int, Live]:
    """What is live of each app; what is not remembered is asked for, in parallel, and remembered."""
    addresses = {remote: world.git.remote_url(remote) or "" for remote in {app.remote for app in apps}}
    items: dict[int, ContentItem] = {}
    for app in apps:
        item = _item(app, servers[id(app)], records[id(app)], addresses[app.remote])
        if item is not None and item.bundle is not None:
            items[id(app)] = item
    commits: dict[int, str | None] = {}
    for connect in {id(servers[key].connect): servers[key].connect for key in items}.values():
        known = BundleCommits.of(world.cache, connect.url)
        remembered = known.read()
        mine = [key for key in items if servers[key].connect is connect]
        for key in mine:
            record = records[key]
            ours = record.ship if record is not None and record.bundle == items[key].bundle else None
            commits[key] = ours or remembered.get(str(items[key].bundle))
        unknown = [key for key in mine if commits[key] is None]
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            heard = list(pool.map(partial(_ask_commit, connect), [items[key] for key in unknown]))
        commits.update(zip(unknown, heard, strict=True))
        known.add({str(items[key].bundle): commit for key in mine if (commit := commits[key]) is not None})
    return {
        app: Live(item=item, commit=commits[app], url=servers[app].connect.page_url(item.guid))
        for app, item in items.items()
    }


def _item(app: App, server: Listed, record: Record | None, remote_url: str) -> ContentItem | None:
    """The app's item, by what is certain: a whole survey finds the others."""
    if app.guid or record is not None:
        return server.items.get(app.guid or (record.guid if record else ""))
    try:
        return server.named.get(content_name(app, app.repository or clone_address(remote_url)))
    except RepositoryAddressMissing:
        return None


def _ask_commit(connect: Connect, item: ContentItem) -> str | None:
    try:
        return next((one.source_commit for one in connect.bundles(item.guid) if one.id == item.bundle), None)
    except Problem:
        return None


def fetch_missing(git: Git, wanted: set[tuple[str, str | None]]) -> None:
    """Live commits that a shallow clone lacks, in one exchange for each remote. What stays missing counts as
    changed."""
    names = {f"{commit}^{{commit}}": (remote, commit) for remote, commit in wanted if commit}
    missing: dict[str, list[str]] = {}
    for name, oid in git.look_up_all(names).items():
        if oid is None:
            remote, commit = names[name]
            missing.setdefault(remote, []).append(commit)
    for remote, commits in missing.items():
        git.run_remote("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, *commits)


def listed_differences(app: App, item: ContentItem, server: Listed, configured: Sequence[App] = ()) -> list[Difference]:
    """What the list shows otherwise than declared: settings of the item and its own path. It shows neither the link nor
    variables, which cost a call for each app."""
    vanity = vanity_path(app.vanity) if app.vanity else None
    if server.tells_vanity and vanity is not None:
        own = urlsplit(str(item.fields.get("vanity_url") or "")).path
        vanity = vanity if own.endswith(vanity) else own or None
    return list(field_differences(app, item.fields, vanity, configured))
