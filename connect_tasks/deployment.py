"""The server's part of a release: a draft of exactly our commit, visited, activated, visited again.

How the exact commit is made sure is found by asking, not by the version alone:

commit
    the server builds a bundle from our SHA (`repository/bundle`), whose record must name our SHA;
draft
    it builds a draft of the branch, whose record must name our SHA before we activate it;
branch
    it knows neither: the branch is deployed, and the commit on record must hold our tree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .actions import (
    Activate,
    CreateContent,
    LinkRepository,
    PrepareBundle,
    SendVariables,
    SetVanity,
    Shipment,
    StopPolling,
    UpdateContent,
    VerifyLive,
    VisitDraft,
)
from .configuration import App
from .connect import Bundle, Connect, ContentItem, mentions
from .doubt import settled
from .errors import CommitNotLive, ContentMissing, PageUnhealthy, Problem, ServerRefused
from .page_health import wait_until_healthy
from .release_journal import Entry, Journal
from .task_log import follow, is_gone

BAD_REQUEST, CONFLICT = 400, 409
#: How long we wait for the server's record of the live commit where it may lag behind, in seconds.
RECORD_LAG = 30.0

ServerAction = (
    StopPolling
    | CreateContent
    | UpdateContent
    | LinkRepository
    | SetVanity
    | SendVariables
    | PrepareBundle
    | VisitDraft
    | Activate
    | VerifyLive
)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the deeds below need: one app on one server. `same_tree`: does a commit hold the tree that ships?"""

    app: App
    connect: Connect
    drafts: bool | None  # None: the server hides its version
    owner: str  # the GUID of the key's owner
    values: Mapping[str, str]  # of the declared environment variables
    same_tree: Callable[[str], bool]
    say: Callable[[str], None]
    journal: Journal

    def follow(self, task: str) -> None:
        follow(self.connect, task, timeout=self.app.deploy_timeout, say=self.say)


def perform_on_server(action: ServerAction, shipment: Shipment, deployment: Deployment) -> Shipment:
    """Do one action of the server's part. Raises a `Problem` of the 7xx or 8xx range."""
    connect = deployment.connect
    if isinstance(action, CreateContent):
        return _create(action, shipment, deployment)
    if isinstance(action, PrepareBundle):
        return _prepare(action, shipment, deployment)
    if isinstance(action, VisitDraft):
        return _visit_draft(shipment, deployment)
    if isinstance(action, Activate):
        return _activate(shipment, deployment)
    if isinstance(action, VerifyLive):
        return _verify_live(shipment, deployment)
    guid = _guid(shipment)
    if isinstance(action, UpdateContent):
        connect.update_content(guid, action.fields)
    elif isinstance(action, StopPolling):
        connect.link_repository(guid, replace(action.settings, polling=False), exists=True)
        note = f"polling was on and is switched off: {action.because}"
        return replace(shipment, notes=(*shipment.notes, note))
    elif isinstance(action, LinkRepository):
        connect.link_repository(guid, action.settings, exists=action.exists)
    elif isinstance(action, SetVanity):
        connect.set_vanity(guid, action.path)
    else:
        connect.set_environment(guid, {name: deployment.values[name] for name in action.names})
    return shipment


def _create(action: CreateContent, shipment: Shipment, deployment: Deployment) -> Shipment:
    """Create the item once: names are unique per owner, so that a lost answer is found by name."""
    connect = deployment.connect

    def by_name() -> ContentItem | None:
        return next(iter(connect.list_content(name=action.name, owner=deployment.owner)), None)

    try:
        item = settled(lambda: connect.create_content(action.name, action.fields), by_name, patience=2.0)
    except ServerRefused as error:
        found = by_name() if error.status == CONFLICT else None
        if found is None:
            raise
        item = found
    note = f'created "{item.name}"; keep it with guid = "{item.guid}" in [tool.connect-tasks]'
    return replace(shipment, guid=item.guid, notes=(*shipment.notes, note))


# the bundle -----------------------------------------------------------------------------------------------------------


def _prepare(action: PrepareBundle, shipment: Shipment, deployment: Deployment) -> Shipment:
    connect, guid, commit = deployment.connect, _guid(shipment), _commit(shipment)
    shipment = replace(shipment, previous=_live_bundle(connect, guid))
    bundle = action.adopt or _begun(deployment, guid, commit)
    if bundle is None:
        deployment.journal.write(Entry(commit=commit, guid=guid, previous=shipment.previous))
        bundle = _bundle_of_commit(deployment, guid, commit)
    if bundle is not None:
        _require_commit(connect, guid, bundle, commit)
        deployment.journal.write(Entry(commit=commit, guid=guid, bundle=bundle, previous=shipment.previous))
        return _as_draft(replace(shipment, bundle=bundle, way="commit"), deployment)
    if deployment.drafts is not False:
        drafted = _draft_of_branch(shipment, deployment)
        if drafted is not None:
            return drafted
    return replace(shipment, way="branch")


def _begun(deployment: Deployment, guid: str, commit: str) -> str | None:
    """The bundle that an earlier run asked for and did not see finished: its task is followed to the end."""
    entry = deployment.journal.read()
    if entry is None or (entry.guid, entry.commit) != (guid, commit) or not entry.task or not entry.bundle:
        return None
    try:
        deployment.follow(entry.task)
    except ServerRefused as error:
        if not is_gone(error):
            raise
        return None
    return entry.bundle


def _bundle_of_commit(deployment: Deployment, guid: str, commit: str) -> str | None:
    """A bundle made of our SHA, or None where the server can't make one."""
    connect = deployment.connect
    known = {bundle.id for bundle in connect.bundles(guid)}

    def trace() -> tuple[str, str | None] | None:
        made = mentions((bundle for bundle in connect.bundles(guid) if bundle.id not in known), commit)
        return (made.id, None) if made else None

    # None is an answer here ("no such endpoint"), so it travels in a tuple.
    (answer,) = settled(
        lambda: (connect.bundle_from_commit(guid, commit),), lambda: (found,) if (found := trace()) else None
    )
    if answer is None:
        return None
    bundle, task = answer
    if task is not None:
        deployment.journal.note(bundle=bundle, task=task)
        deployment.follow(task)
    return bundle


def _as_draft(shipment: Shipment, deployment: Deployment) -> Shipment:
    """Build the bundle's environment without activating it, where the server knows drafts. Doing it twice is
    harmless."""
    if deployment.drafts is False:
        return shipment
    guid, bundle = _guid(shipment), shipment.bundle
    try:
        task = settled(lambda: deployment.connect.deploy(guid, bundle, activate=False), lambda: None, patience=0)
    except ServerRefused as error:
        if error.status != BAD_REQUEST or deployment.drafts:
            raise
        return shipment  # a server that hides its version, and refuses the key that it does not know
    deployment.follow(task)
    return replace(shipment, prepared=True)


def _draft_of_branch(shipment: Shipment, deployment: Deployment) -> Shipment | None:
    """A draft of the branch's head, proved to be our commit; None where the server refuses drafts."""
    connect, guid, commit = deployment.connect, _guid(shipment), _commit(shipment)
    known = {bundle.id for bundle in connect.bundles(guid)}

    def new() -> tuple[Bundle, ...]:
        return tuple(bundle for bundle in connect.bundles(guid) if bundle.id not in known)

    def trace() -> str | None:
        made = mentions(new(), commit)
        # Deploying the bundle itself gives a task to follow, and makes no second bundle.
        return connect.deploy(guid, made.id, activate=False) if made else None

    try:
        task = settled(lambda: connect.deploy(guid, None, activate=False), trace)
    except ServerRefused as error:
        if error.status != BAD_REQUEST:
            raise
        return None
    deployment.follow(task)
    made = mentions(new(), commit)
    if made is None:
        newest = next(iter(new()), None)
        raise CommitNotLive(
            f"the server drafted {_short(newest.source_commit if newest else None)} instead of {_short(commit)}",
            where=connect.page_url(guid),
            hint="somebody pushed meanwhile: run the release again",
        )
    deployment.journal.write(Entry(commit=commit, guid=guid, bundle=made.id, previous=shipment.previous))
    return replace(shipment, bundle=made.id, way="draft", prepared=True)


def _require_commit(connect: Connect, guid: str, bundle: str, commit: str) -> None:
    made = next((entry for entry in connect.bundles(guid) if entry.id == bundle), None)
    if made is None or made.source_commit != commit:
        raise CommitNotLive(
            f"bundle {bundle} was made of {_short(made.source_commit if made else None)} instead of {_short(commit)}",
            where=connect.page_url(guid),
            hint="run the release again; nothing was activated",
        )


# visiting and activating ----------------------------------------------------------------------------------------------


def _visit_draft(shipment: Shipment, deployment: Deployment) -> Shipment:
    if not shipment.prepared:
        note = "this server has no drafts: the new version was not visited before it went live"
        return replace(shipment, notes=(*shipment.notes, note))
    app = deployment.app
    url = deployment.connect.page_url(_guid(shipment), app.verify.path, bundle=shipment.bundle)
    unhealthy = wait_until_healthy(deployment.connect, url, app.verify)
    if unhealthy:
        kept = f"bundle {shipment.previous} stays live" if shipment.previous else "nothing was activated"
        message = f"the draft of {_short(shipment.commit)} is not healthy: {unhealthy}; {kept}"
        raise PageUnhealthy(message, where=url, hint=_log_hint(deployment))
    return shipment


def _activate(shipment: Shipment, deployment: Deployment) -> Shipment:
    connect, guid, bundle = deployment.connect, _guid(shipment), shipment.bundle
    if bundle is None:
        return _deploy_branch(shipment, deployment)

    def trace() -> str | None:
        return "" if _live_bundle(connect, guid) == bundle else None

    task = settled(lambda: connect.deploy(guid, bundle), trace, patience=2.0)
    if task:
        deployment.follow(task)
    return shipment


def _deploy_branch(shipment: Shipment, deployment: Deployment) -> Shipment:
    """The only way of a server without drafts, and of `polling = true`: whatever the branch holds goes live."""
    connect, guid, commit = deployment.connect, _guid(shipment), _commit(shipment)
    previous = _live_bundle(connect, guid)
    deployment.journal.write(Entry(commit=commit, guid=guid, previous=previous))
    known = {bundle.id for bundle in connect.bundles(guid)}

    def trace() -> str | None:
        live = _live_bundle(connect, guid)
        return "" if live is not None and live not in known else None

    task = settled(lambda: connect.deploy(guid, None), trace)
    if task:
        deployment.follow(task)
    notes = shipment.notes
    if deployment.app.polling:
        notes = (*notes, "polling is on: the server deploys each push by itself, before anybody has visited it")
    return replace(shipment, way="branch", previous=previous, bundle=_live_bundle(connect, guid), notes=notes)


def _verify_live(shipment: Shipment, deployment: Deployment) -> Shipment:
    app, guid = deployment.app, _guid(shipment)
    if shipment.previous is None:
        entry = deployment.journal.read()
        if entry is not None and (entry.guid, entry.commit) == (guid, shipment.commit):
            shipment = replace(shipment, previous=entry.previous)
    url = deployment.connect.page_url(guid, app.verify.path)
    unhealthy = wait_until_healthy(deployment.connect, url, app.verify)
    if unhealthy:
        raise _returned(shipment, deployment, url, unhealthy)
    proved = _proved_commit(shipment, deployment)
    deployment.journal.write(Entry(commit=_commit(shipment), guid=guid, bundle=shipment.bundle, released=True))
    return replace(shipment, live_commit=proved)


def _returned(shipment: Shipment, deployment: Deployment, url: str, unhealthy: str) -> Problem:
    """Activate the previous bundle again; the problem says how that went."""
    message = f"the live page is not healthy: {unhealthy}"
    previous = shipment.previous
    if previous is None or previous == shipment.bundle:
        message += "; there is no earlier bundle to return to"
        return PageUnhealthy(message, where=url, hint=_log_hint(deployment))
    connect, guid = deployment.connect, _guid(shipment)
    started = time.monotonic()
    try:
        deployment.follow(settled(lambda: connect.deploy(guid, previous), lambda: None, patience=0))
    except Problem as error:
        message += f"; and returning to bundle {previous} failed: {error.message}"
        return PageUnhealthy(message, where=url, hint=f"activate bundle {previous} in Connect's dashboard")
    seconds = time.monotonic() - started
    message += f"; bundle {previous} is live again instead of {shipment.bundle}, after {seconds:.1f} s"
    return PageUnhealthy(message, where=url, hint=_log_hint(deployment))


def _proved_commit(shipment: Shipment, deployment: Deployment) -> str:
    """The server's own record of the live commit, which must be ours or, on the way by branch, hold the same tree."""
    commit, deadline = _commit(shipment), time.monotonic() + RECORD_LAG
    by_branch = shipment.way in {"branch", None}
    while True:
        recorded = recorded_commit(deployment.connect, _guid(shipment))
        if recorded is not None and (recorded == commit or (by_branch and deployment.same_tree(recorded))):
            return recorded
        if not by_branch or time.monotonic() >= deadline:
            break
        time.sleep(1)
    raise CommitNotLive(
        f"the server says that {_short(recorded)} is live, not {_short(commit)}",
        where=deployment.connect.page_url(_guid(shipment)),
        hint="somebody deployed meanwhile: run the release again",
    )


def recorded_commit(connect: Connect, guid: str) -> str | None:
    """The commit of the live bundle, by the server's record; older servers know only the last one that they fetched."""
    live = _live_bundle(connect, guid)
    bundle = next((entry for entry in connect.bundles(guid) if entry.id == live), None)
    if bundle is not None and bundle.source_commit:
        return bundle.source_commit
    linked = connect.repository(guid)
    return linked.last_known_commit if linked else None


def _live_bundle(connect: Connect, guid: str) -> str | None:
    item = connect.content(guid)
    if item is None:
        raise ContentMissing(
            "the content item is gone", where=connect.page_url(guid), hint="remove `guid`, or restore the item"
        )
    return item.bundle


def _log_hint(deployment: Deployment) -> str:
    return f"read the app's log in Connect's dashboard ({deployment.connect.url}), mend it and release again"


def _guid(shipment: Shipment) -> str:
    if shipment.guid is None:
        raise LookupError("an action on a content item before the item is known")
    return shipment.guid


def _commit(shipment: Shipment) -> str:
    if shipment.pushed is None:
        raise LookupError("a deploy before the commit is pushed")
    return shipment.pushed


def _short(commit: str | None) -> str:
    return commit[:10] if commit else "an unknown commit"
