"""Visiting a draft, activating it, and the proof that it is live; what is live and sick is taken back."""

from __future__ import annotations

import time
from dataclasses import replace

from ..errors import AnotherBundleLive, CommitNotLive, PageUnhealthy, Problem
from ..server import doubt
from ..server.connect import Bundle, Connect, mentions
from ..server.page_health import wait_until_healthy
from .actions import Shipment
from .bundle_of_commit import ask_once, follow_git
from .deployment import Deployment, bundle_of, commit_of, guid_of, live_bundle, short
from .release_journal import Entry

#: A step of a deploy, as the journal has it.
ACTIVATING = "activate"
#: How long we look whether an activation happened before we ask again, which is harmless, in seconds.
BRIEFLY = 2.0
#: How long we wait for the server's record of the live commit where it may lag behind, and how often we look, in
#: seconds.
RECORD_LAG, LOOK_AGAIN = 30.0, 1.0


def visit_draft(shipment: Shipment, deployment: Deployment) -> Shipment:
    if not shipment.prepared:
        note = "this server has no drafts: the new version was not visited before it went live"
        return replace(shipment, notes=(*shipment.notes, note))
    app = deployment.app
    url = deployment.connect.page_url(guid_of(shipment), app.verify.path, bundle=shipment.bundle)
    unhealthy = wait_until_healthy(deployment.connect, url, app.verify)
    if unhealthy:
        deployment.journal.note(step=None, task=None)  # the next run builds it again, in case that was the cause
        kept = f"bundle {shipment.previous} stays live" if shipment.previous else "nothing was activated"
        message = f"the draft of {short(shipment.commit)} is not healthy: {unhealthy}; {kept}"
        raise PageUnhealthy(message, where=url, hint=_log_hint(deployment))
    return shipment


def activate(shipment: Shipment, deployment: Deployment) -> Shipment:
    """Put the bundle live; where there is none yet, whatever the branch holds."""
    connect, guid, bundle = deployment.connect, guid_of(shipment), shipment.bundle
    if bundle is None:
        return _deploy_branch(shipment, deployment)
    live = live_bundle(connect, guid)
    _require_unmoved(shipment, deployment, live)
    if live == bundle != shipment.previous:
        return shipment  # the task of an earlier run has activated it meanwhile

    def trace() -> str | None:
        return "" if live_bundle(connect, guid) == bundle else None

    deployment.finish(ACTIVATING, lambda: doubt.settled(lambda: connect.deploy(guid, bundle), trace, patience=BRIEFLY))
    return shipment


def _require_unmoved(shipment: Shipment, deployment: Deployment, live: str | None) -> None:
    """Somebody may have activated another bundle while ours was built: that was a decision, not ours to undo."""
    if live not in {shipment.previous, shipment.bundle}:
        before = f"bundle {shipment.previous}" if shipment.previous else "none"
        raise AnotherBundleLive(
            f"bundle {live} went live while ours was built ({before} was live before); it stays, and ours, bundle "
            f"{shipment.bundle}, is not activated",
            where=deployment.connect.page_url(guid_of(shipment)),
            hint="nox -s status shows what is live; to put ours live all the same: nox -s release -- --force",
        )


def _deploy_branch(shipment: Shipment, deployment: Deployment) -> Shipment:
    """The only way of a server without drafts, and of `polling = true`: whatever the branch holds goes live."""
    connect, guid, commit = deployment.connect, guid_of(shipment), commit_of(shipment)
    entry = deployment.journal.resume(commit=commit, guid=guid, live=live_bundle(connect, guid))
    known = {bundle.id for bundle in connect.bundles(guid)}

    def ours() -> Bundle | None:
        bundles = connect.bundles(guid)
        unnamed = (bundle for bundle in bundles if bundle.id not in known and bundle.source_commit is None)
        return mentions(bundles, commit) or next(unnamed, None)

    def trace() -> str | None:
        made = ours()
        # Deploying the bundle itself gives a task to follow, and makes no second bundle.
        return connect.deploy(guid, made.id) if made else None

    if not deployment.resumed(ACTIVATING):
        task = trace() or ask_once(deployment, lambda: connect.deploy(guid, None), trace)
        deployment.journal.note(step=ACTIVATING, task=task, told=0, asked=None)
        follow_git(deployment, guid, task)
    bundle = live_bundle(connect, guid)
    deployment.journal.note(bundle=bundle)
    notes = shipment.notes
    if deployment.app.polling:
        notes = (*notes, "polling is on: the server deploys each push by itself, before anybody has visited it")
    return replace(shipment, way="branch", previous=entry.previous, bundle=bundle, notes=notes)


def verify_live(shipment: Shipment, deployment: Deployment) -> Shipment:
    """Visit the live page, and read the live commit back; a page that is sick is taken back first."""
    app, guid = deployment.app, guid_of(shipment)
    if shipment.previous is None:
        entry = deployment.journal.read()
        if entry is not None and (entry.guid, entry.commit) == (guid, shipment.commit):
            shipment = replace(shipment, previous=entry.previous)
    url = deployment.connect.page_url(guid, app.verify.path)
    unhealthy = wait_until_healthy(deployment.connect, url, app.verify)
    if unhealthy:
        raise _returned(shipment, deployment, url, unhealthy)
    proved = _proved_commit(shipment, deployment)
    deployment.journal.write(Entry(commit=commit_of(shipment), guid=guid, bundle=shipment.bundle, released=True))
    return replace(shipment, live_commit=proved)


def _returned(shipment: Shipment, deployment: Deployment, url: str, unhealthy: str) -> Problem:
    """Activate the previous bundle again and visit it; the problem says how that went."""
    connect, guid, previous = deployment.connect, guid_of(shipment), shipment.previous
    message = f"the live page is not healthy: {unhealthy}"
    if previous is None or previous == shipment.bundle:
        message += "; there is no earlier bundle to return to"
        return PageUnhealthy(message, where=url, hint=_log_hint(deployment))
    started = time.monotonic()
    try:
        deployment.follow(doubt.patiently(lambda: connect.deploy(guid, previous), again=doubt.is_doubtful))
    except Problem as error:
        message += f"; and returning to bundle {previous} failed: {error.message}"
        return PageUnhealthy(message, where=url, hint=f"activate bundle {previous} in Connect's dashboard")
    still = wait_until_healthy(connect, url, deployment.app.verify)
    seconds = time.monotonic() - started
    message += f"; bundle {previous} is live again instead of {shipment.bundle}, after {seconds:.1f} s"
    if still:
        message += f", but it is not healthy either: {still}"
    return PageUnhealthy(message, where=url, hint=_log_hint(deployment))


def _proved_commit(shipment: Shipment, deployment: Deployment) -> str:
    """The server's own record of the live commit: ours, or on a way by branch one that holds the same tree."""
    commit, deadline = commit_of(shipment), time.monotonic() + RECORD_LAG
    by_commit = shipment.way == "commit"
    while True:
        recorded = recorded_commit(deployment.connect, guid_of(shipment))
        if recorded is not None and (recorded == commit or (not by_commit and deployment.same_tree(recorded))):
            return recorded
        if by_commit or time.monotonic() >= deadline:
            break
        time.sleep(LOOK_AGAIN)
    raise CommitNotLive(
        f"the server says that {short(recorded)} is live, not {short(commit)}",
        where=deployment.connect.page_url(guid_of(shipment)),
        hint="somebody deployed meanwhile: run the release again",
    )


def recorded_commit(connect: Connect, guid: str) -> str | None:
    """The commit of the live bundle, by the server's record; older servers know only the last one that they fetched."""
    bundle = bundle_of(connect, guid, live_bundle(connect, guid))
    if bundle is not None and bundle.source_commit:
        return bundle.source_commit
    linked = connect.repository(guid)
    return linked.last_known_commit if linked else None


def _log_hint(deployment: Deployment) -> str:
    return f"read the app's log in Connect's dashboard ({deployment.connect.url}), mend it and release again"
