"""The server's part of a release: a draft of exactly our commit, visited, activated, visited again.

How the exact commit is made sure is found by asking, not by the version alone:
  commit: the server builds a bundle from our SHA (`repository/bundle`), its record must name our SHA;
  draft:  it builds a draft of the branch, whose record must name our SHA before we activate it;
  branch: it knows neither; the branch is deployed, and the server's last known commit must hold our tree.
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
    UpdateContent,
    VerifyLive,
    VisitDraft,
)
from .configuration import App
from .connect import Connect, ContentItem, mentions
from .connect_failures import plain
from .errors import (
    CommitNotLive,
    DeployFailed,
    PageUnhealthy,
    Problem,
    ServerRefused,
    ServerUnreachable,
    TaskUnfinished,
)
from .health import complaint

BAD_REQUEST = 400
#: Answers that may pass by themselves while an app starts.
STARTING = (0, 502, 503, 504)
#: How often another sick answer is asked for again before it counts, and the pause before it, in seconds.
ATTEMPTS, PAUSE = 3, 0.5
#: How long we wait for the server's record of the live commit where it may lag behind, in seconds.
RECORD_LAG = 30.0

Say = Callable[[str], None]
ServerAction = (
    CreateContent
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
    """What the deeds below need: one app on one server. `same_tree` tells whether a commit holds the tree that
    ships."""

    app: App
    connect: Connect
    drafts: bool | None
    values: Mapping[str, str]  # of the declared environment variables
    same_tree: Callable[[str], bool]
    say: Say


def perform_on_server(action: ServerAction, shipment: Shipment, deployment: Deployment) -> Shipment:
    """Do one action of the server's part. Raises a `Problem` of the 7xx or 8xx range."""
    if isinstance(action, CreateContent):
        item = deployment.connect.create_content(action.name, action.fields)
        note = f'created "{item.name}"; keep it with guid = "{item.guid}" in [tool.connect-tasks]'
        return replace(shipment, guid=item.guid, notes=(*shipment.notes, note))
    if isinstance(action, UpdateContent):
        deployment.connect.update_content(_guid(shipment), action.fields)
    elif isinstance(action, LinkRepository):
        deployment.connect.link_repository(_guid(shipment), action.settings, exists=action.exists)
    elif isinstance(action, SetVanity):
        deployment.connect.set_vanity(_guid(shipment), action.path)
    elif isinstance(action, SendVariables):
        values = {name: deployment.values[name] for name in action.names}
        deployment.connect.set_environment(_guid(shipment), values)
    elif isinstance(action, PrepareBundle):
        return _prepare(action, shipment, deployment)
    elif isinstance(action, VisitDraft):
        return _visit_draft(shipment, deployment)
    elif isinstance(action, Activate):
        return _activate(shipment, deployment)
    else:
        return _verify_live(shipment, deployment)
    return shipment


# the bundle -----------------------------------------------------------------------------------------------------------


def _prepare(action: PrepareBundle, shipment: Shipment, deployment: Deployment) -> Shipment:
    connect, guid = deployment.connect, _guid(shipment)
    shipment = replace(shipment, previous=_live_bundle(connect, guid))
    bundle = action.adopt or _bundle_of_commit(shipment, deployment)
    if bundle is not None:
        shipment = replace(shipment, bundle=bundle, way="commit")
        return _as_draft(shipment, deployment)
    if deployment.drafts is not False:
        drafted = _draft_of_branch(shipment, deployment)
        if drafted is not None:
            return drafted
    return replace(shipment, way="branch")


def _bundle_of_commit(shipment: Shipment, deployment: Deployment) -> str | None:
    """A bundle made of our SHA, or None where the server can't make one."""
    connect, guid, commit = deployment.connect, _guid(shipment), _commit(shipment)
    answer = connect.bundle_from_commit(guid, commit)
    if answer is None:
        return None
    bundle, task = answer
    follow(task, deployment)
    _require_commit(connect, guid, bundle, commit)
    return bundle


def _as_draft(shipment: Shipment, deployment: Deployment) -> Shipment:
    """Build the bundle's environment without activating it, where the server knows drafts."""
    if deployment.drafts is False:
        return shipment
    try:
        task = deployment.connect.deploy(_guid(shipment), shipment.bundle, activate=False)
    except ServerRefused as error:
        if error.status != BAD_REQUEST or deployment.drafts:
            raise
        return shipment  # a server that hides its version, and refuses the key that it does not know
    follow(task, deployment)
    return replace(shipment, prepared=True)


def _draft_of_branch(shipment: Shipment, deployment: Deployment) -> Shipment | None:
    """A draft of the branch's head, proved to be our commit; None where the server refuses drafts."""
    connect, guid, commit = deployment.connect, _guid(shipment), _commit(shipment)
    try:
        task = connect.deploy(guid, None, activate=False)
    except ServerRefused as error:
        if error.status != BAD_REQUEST:
            raise
        return None
    follow(task, deployment)
    made = mentions(connect.bundles(guid), commit)
    if made is None:
        newest = next(iter(connect.bundles(guid)), None)
        raise CommitNotLive(
            f"the server drafted {_short(newest.source_commit if newest else None)} instead of {_short(commit)}",
            where=connect.page_url(guid),
            hint="somebody pushed meanwhile: run the release again",
        )
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
    url = deployment.connect.page_url(_guid(shipment), deployment.app.verify.path, bundle=shipment.bundle)
    unhealthy = wait_until_healthy(url, deployment)
    if unhealthy:
        kept = f"bundle {shipment.previous} stays live" if shipment.previous else "nothing was activated"
        raise PageUnhealthy(
            f"the draft of {_short(shipment.commit)} is not healthy: {unhealthy}; {kept}",
            where=url,
            hint=_log_hint(deployment),
        )
    return shipment


def _activate(shipment: Shipment, deployment: Deployment) -> Shipment:
    connect, guid = deployment.connect, _guid(shipment)
    follow(connect.deploy(guid, shipment.bundle), deployment)
    if shipment.bundle is None:
        shipment = replace(shipment, bundle=_live_bundle(connect, guid))
    return shipment


def _verify_live(shipment: Shipment, deployment: Deployment) -> Shipment:
    url = deployment.connect.page_url(_guid(shipment), deployment.app.verify.path)
    unhealthy = wait_until_healthy(url, deployment)
    if unhealthy:
        raise _returned(shipment, deployment, url, unhealthy)
    return replace(shipment, live_commit=_proved_commit(shipment, deployment))


def _returned(shipment: Shipment, deployment: Deployment, url: str, unhealthy: str) -> Problem:
    """Activate the previous bundle again; the problem says how that went."""
    message = f"the live page is not healthy: {unhealthy}"
    if shipment.previous is None or shipment.previous == shipment.bundle:
        return PageUnhealthy(
            f"{message}; there is no earlier bundle to return to", where=url, hint=_log_hint(deployment)
        )
    try:
        follow(deployment.connect.deploy(_guid(shipment), shipment.previous), deployment)
    except Problem as error:
        message += f"; and returning to bundle {shipment.previous} failed: {error.message}"
        return PageUnhealthy(message, where=url, hint=f"activate bundle {shipment.previous} in Connect's dashboard")
    message += f"; bundle {shipment.previous} is live again instead of {shipment.bundle}"
    return PageUnhealthy(message, where=url, hint=_log_hint(deployment))


def _proved_commit(shipment: Shipment, deployment: Deployment) -> str:
    """The server's own record of the live commit, which must be ours or hold the same tree of the app."""
    commit, deadline = _commit(shipment), time.monotonic() + RECORD_LAG
    while True:
        recorded = _recorded_commit(deployment.connect, _guid(shipment))
        if recorded is not None and (
            recorded == commit or (shipment.way == "branch" and deployment.same_tree(recorded))
        ):
            return recorded
        if shipment.way != "branch" or time.monotonic() >= deadline:
            break
        time.sleep(1)
    raise CommitNotLive(
        f"the server says that {_short(recorded)} is live, not {_short(commit)}",
        where=deployment.connect.page_url(_guid(shipment)),
        hint="somebody deployed meanwhile: run the release again",
    )


def _recorded_commit(connect: Connect, guid: str) -> str | None:
    live = _live_bundle(connect, guid)
    bundle = next((entry for entry in connect.bundles(guid) if entry.id == live), None)
    if bundle is not None and bundle.source_commit:
        return bundle.source_commit
    linked = connect.repository(guid)
    return linked.last_known_commit if linked else None


# waiting --------------------------------------------------------------------------------------------------------------


def follow(task: str, deployment: Deployment) -> None:
    """Stream a task's log until it ends; anything but `finished` with code 0 within `deploy_timeout` is a failure."""
    deadline = time.monotonic() + deployment.app.deploy_timeout
    first, tail = 0, ""
    while True:
        state = deployment.connect.task(task, first)
        for line in state.lines:
            deployment.say(plain(line))
            tail = plain(line).strip() or tail
        first = state.last
        if state.succeeded:
            return
        if state.finished:
            reason = plain(state.error).strip() or tail or "no reason given"
            raise DeployFailed(
                f"the server's deploy task failed: {reason}",
                where=f"task {task}",
                hint="the task's log is above; mend the cause and run the release again",
            )
        if time.monotonic() >= deadline:
            raise TaskUnfinished(
                f"the deploy task did not finish within {deployment.app.deploy_timeout:g} s",
                where=f"task {task}",
                hint="run the release again to go on with it, or raise `deploy_timeout`",
            )


def wait_until_healthy(url: str, deployment: Deployment) -> str | None:
    """Visit until `verify` is satisfied `streak` times in a row, or give up -> what was wrong."""
    wanted = deployment.app.verify
    deadline = time.monotonic() + wanted.timeout
    sick, healthy, pause = 0, 0, PAUSE
    while True:
        try:
            page = deployment.connect.visit(url, timeout=max(1.0, deadline - time.monotonic()))
            wrong, status = complaint(page, wanted), page.status
        except ServerUnreachable as error:
            wrong, status = error.message, 0
        if wrong is None:
            healthy += 1
            if healthy >= wanted.streak:
                return None
            continue
        healthy = 0
        sick += status not in STARTING
        if sick >= (wanted.attempts or ATTEMPTS) or time.monotonic() + pause >= deadline:
            return wrong
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


def _live_bundle(connect: Connect, guid: str) -> str | None:
    item: ContentItem | None = connect.content(guid)
    return item.bundle if item else None


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
