"""Nothing to do, found out quickly: what the last good run left on record is compared with git and the server again.

A record is a hint: it says which tree was live under which configuration, and everything that could have changed since
is asked for, in fewer calls and with fewer imports than a whole survey takes. Whatever does not match means no answer,
and the release goes its usual way.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic_file import write_private
from ..configuration import App
from ..errors import Problem

if TYPE_CHECKING:
    from ..repository.git import Git
    from ..server.connect import Connect, RepositorySettings
    from ..world import World

#: To be raised when what a release converges to changes: older records are then strangers.
RECIPE = 1


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was live at the end of a good run. `tree`: of the app's directory at HEAD; `ship`: the deployed commit."""

    digest: str
    tree: str
    ship: str
    guid: str
    bundle: str
    url: str
    link: str  # what the item is linked to, as `link_of` spells it
    shared: str = ""  # what the app's shared places held, as `digest_of_shared` spells it


def link_of(found: RepositorySettings | None) -> str:
    """What an item is linked to, as one word to compare."""
    return "" if found is None else f"{found.repository} {found.branch} {found.directory} polling={found.polling}"


def digest_of(app: App, server: str, values: Mapping[str, str]) -> str:
    """Of everything outside the repository that decides what a release does; values are hashed, never stored."""
    parts = (RECIPE, repr(app), server, sorted((name, values.get(name)) for name in app.env))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def shared_places(app: App) -> tuple[str, ...]:
    """Paths outside the app's directory that decide what its release makes."""
    parts = [] if app.path == "." else app.path.split("/")
    above = ("/".join([*parts[:depth], ".python-version"]) for depth in range(len(parts)))
    return (*app.shared, *app.test.paths, *above)


def digest_of_shared(found: Sequence[str | None]) -> str:
    """Of the objects in the shared places, in their order; "" where there are none."""
    return hashlib.sha256(repr(tuple(found)).encode()).hexdigest() if found else ""


def shared_at(app: App, git: Git, revision: str) -> str:
    """The digest of an app's shared places at a commit."""
    names = [f"{revision}:{place}" for place in shared_places(app)]
    found = git.look_up_all(names)
    return digest_of_shared([found.get(name) for name in names])


def keep_record(app: App, world: World, record: Record) -> None:
    """Remember a good end; who can't is only slower next time."""
    path = _path(app, world.git)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(record)))


def standing_still(app: App, world: World) -> Record | None:
    """The record, if git and the server agree with it in everything; None where a whole survey must decide."""
    if asks_for_more(world):
        return None
    record = read_record(app, world.git)
    if record is None:
        return None
    if _clean_tree(app, world.git) != record.tree:  # the usual change: neither remote nor server need be asked for it
        return None
    with ThreadPoolExecutor(4) as pool:  # git and the remote answer while posit-sdk is imported
        shipped = pool.submit(_still_shipped, app, world.git, record)
        shared = pool.submit(shared_at, app, world.git, "HEAD")
        try:
            connect = world.connect(app)
            same = digest_of(app, connect.url, world.environ) == record.digest and _is_live(app, connect, record)
            same = same and shared.result() == record.shared and shipped.result()
        except Problem:
            return None
    return record if same else None


def _still_shipped(app: App, git: Git, record: Record) -> bool:
    """Whether what Connect tracks holds the app as it was shipped: the remote is asked, nothing is fetched."""
    branch = app.deploy_branch or app.branch or git.run("symbolic-ref", "--short", "HEAD").text.strip()
    tip = git.remote_tip(app.remote, branch)
    place = "" if app.path == "." else app.path
    trees = git.run("rev-parse", "--verify", "--quiet", f"{record.ship}:{place}")
    there = git.run("rev-parse", "--verify", "--quiet", f"{tip}:{place}") if tip else None
    return there is not None and there.ok and there.text == trees.text


def _clean_tree(app: App, git: Git) -> str | None:
    """The id of the app's tree at HEAD, if HEAD is where it may be and no tracked file of the app differs from it."""
    if git.changes(app.path).tracked:
        return None
    head = git.run("rev-parse", "--verify", "--quiet", f"HEAD:{'' if app.path == '.' else app.path}")
    if app.branch is not None and git.run("symbolic-ref", "--short", "HEAD").text.strip() != app.branch:
        return None
    return head.text.strip() if head.ok else None


def _is_live(app: App, connect: Connect, record: Record) -> bool:
    from ..server.server_drift import declared_fields

    item = connect.content(record.guid)
    if item is None or item.bundle != record.bundle:
        return False
    if any(item.fields.get(key) != value for key, value in declared_fields(app).items()):
        return False
    if link_of(connect.repository(record.guid)) != record.link:
        return False
    if app.vanity and connect.vanity(record.guid) != f"/{app.vanity.strip('/')}/":
        return False
    return not app.env or set(app.env) <= set(connect.environment_names(record.guid))


def asks_for_more(world: World) -> bool:
    """Whether the arguments want something done though nothing has changed."""
    options = world.options
    wants = (options.force, options.upgrade, options.allow_dirty, options.pull_request, options.no_test)
    return any(map(bool, wants))


def read_record(app: App, git: Git) -> Record | None:
    """What the last good run left for this app on this target."""
    try:
        data = json.loads(_path(app, git).read_text("utf-8"))
        return Record(**{field.name: str(data[field.name]) for field in fields(Record)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _path(app: App, git: Git) -> Path:
    name = "".join(char if char.isalnum() or char in "-_." else f"%{ord(char):02x}" for char in app.name)
    return git.common_dir / "connect-tasks" / "released" / f"{name}@{app.target or ''}.json"
