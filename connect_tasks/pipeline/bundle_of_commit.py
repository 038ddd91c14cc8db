"""A bundle of exactly the pushed commit, as a draft where the server knows drafts; never two of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..errors import CommitNotLive, DeployFailed, ServerRefused, ServerUnreachable
from ..server import doubt
from ..server.connect import Bundle, mentions
from .actions import PrepareBundle, Shipment
from .deployment import Deployment, bundle_of, commit_of, guid_of, live_bundle, short
from .release_journal import Entry

Answer = TypeVar("Answer")
BAD_REQUEST = 400
#: Connect's own numbers for a body that it can't read.
NO_SUCH_KEY = (87, 121)
#: Steps of a deploy, as the journal has them.
MAKING, DRAFTING = "bundle", "draft"


def prepare_bundle(action: PrepareBundle, shipment: Shipment, deployment: Deployment) -> Shipment:
    """By the first way that the server knows: a bundle of our SHA, a draft of the branch; else nothing yet."""
    connect, guid, commit = deployment.connect, guid_of(shipment), commit_of(shipment)
    entry = deployment.journal.resume(commit=commit, guid=guid, live=live_bundle(connect, guid))
    shipment = replace(shipment, previous=entry.previous)
    bundle = action.adopt or _left_by_an_earlier_run(deployment, entry) or _made_of_commit(deployment, guid, commit)
    if bundle is not None:
        _require_commit(deployment, guid, bundle, commit)
        if entry.bundle not in {None, bundle}:
            deployment.journal.note(step=None, task=None)  # it was that other bundle's
        deployment.journal.note(bundle=bundle)
        return _as_draft(replace(shipment, bundle=bundle, way="commit"), deployment)
    if deployment.drafts is not False:
        drafted = _draft_of_branch(shipment, deployment)
        if drafted is not None:
            return drafted
    return replace(shipment, way="branch")


def _left_by_an_earlier_run(deployment: Deployment, entry: Entry) -> str | None:
    """What a run before this one asked for: its task is seen to its end, its lost answer is waited for."""
    if entry.step is not None and (entry.step == MAKING or entry.bundle is None):
        deployment.resumed(entry.step)
    unanswered = 0.0 if entry.asked is None else doubt.PATIENCE - max(0.0, time.time() - entry.asked)
    found = doubt.looked_for(
        lambda: mentions(deployment.connect.bundles(entry.guid), entry.commit), patience=max(0.0, unanswered)
    )
    return found.id if found else None


def ask_once(deployment: Deployment, ask: Callable[[], Answer], trace: Callable[[], Answer | None]) -> Answer:
    """Ask the server for a bundle; whatever becomes of the answer, or of us, it is not asked for a second one."""
    journal = deployment.journal

    def noted() -> Answer:
        journal.note(step=MAKING, task=None, told=0, asked=time.time())
        return ask()

    try:
        return doubt.settled(noted, trace)
    except (ServerRefused, ServerUnreachable) as problem:
        if not doubt.is_doubtful(problem):
            journal.note(asked=None)
        raise


def _made_of_commit(deployment: Deployment, guid: str, commit: str) -> str | None:
    """A bundle made of our SHA, or None where the server can't make one."""
    connect = deployment.connect

    def trace() -> tuple[tuple[str, str | None] | None] | None:
        found = mentions(connect.bundles(guid), commit)
        return ((found.id, None),) if found else None

    def ask() -> tuple[tuple[str, str | None] | None]:
        return (connect.bundle_from_commit(guid, commit),)  # None is an answer too, so it travels in a tuple

    (answer,) = ask_once(deployment, ask, trace)
    if answer is None:
        deployment.journal.note(asked=None)
        return None
    bundle, task = answer
    deployment.journal.note(bundle=bundle, task=task, asked=None)
    if task is not None:
        follow_git(deployment, guid, task)
    return bundle


def follow_git(deployment: Deployment, guid: str, task: str) -> None:
    """See a task that fetches to its end; its failure says what the server looked at."""
    try:
        deployment.follow(task)
    except DeployFailed as failed:
        link = deployment.connect.repository(guid)
        if link is None:
            raise
        message = failed.message
        if link.last_error and link.last_error.strip() not in message:
            message += f"; the item's last error: {link.last_error.strip()}"
        place = f"{link.repository}, branch {link.branch}, directory {link.directory}"
        raise DeployFailed(message, where=f"{failed.where}, {place}", hint=failed.hint) from None


def _as_draft(shipment: Shipment, deployment: Deployment) -> Shipment:
    """Build the bundle's environment without activating it, where the server knows drafts."""
    if deployment.drafts is False:
        return shipment
    guid, bundle = guid_of(shipment), shipment.bundle

    def begin() -> str:  # twice is harmless
        return doubt.patiently(lambda: deployment.connect.deploy(guid, bundle, activate=False), again=doubt.is_doubtful)

    try:
        deployment.finish(DRAFTING, begin, lasting=True)
    except ServerRefused as error:
        if not _knows_no_drafts(error, deployment):
            raise
        return shipment
    return replace(shipment, prepared=True)


def _draft_of_branch(shipment: Shipment, deployment: Deployment) -> Shipment | None:
    """A draft of the branch's head, proved to hold what ships; None where the server refuses drafts."""
    connect, guid, commit = deployment.connect, guid_of(shipment), commit_of(shipment)
    known = {bundle.id for bundle in connect.bundles(guid)}

    def trace() -> str | None:
        made = mentions(connect.bundles(guid), commit)
        # Deploying the bundle itself gives a task to follow, and makes no second bundle.
        return connect.deploy(guid, made.id, activate=False) if made else None

    try:
        task = ask_once(deployment, lambda: connect.deploy(guid, None, activate=False), trace)
    except ServerRefused as error:
        if not _knows_no_drafts(error, deployment):
            raise
        return None
    deployment.journal.note(step=DRAFTING, task=task, asked=None)
    follow_git(deployment, guid, task)
    new = tuple(bundle for bundle in connect.bundles(guid) if bundle.id not in known)
    made = mentions(connect.bundles(guid), commit) or next((one for one in new if _holds_it(one, deployment)), None)
    if made is None:
        drafted = short(new[0].source_commit) if new else "nothing"
        raise CommitNotLive(
            f"the server drafted {drafted} instead of {short(commit)}; nothing was activated",
            where=connect.page_url(guid),
            hint="somebody pushed meanwhile, or the server's clone lags behind: run the release again",
        )
    deployment.journal.note(bundle=made.id)
    return replace(shipment, bundle=made.id, way="draft", prepared=True)


def _holds_it(bundle: Bundle, deployment: Deployment) -> bool:
    return bundle.source_commit is not None and deployment.same_tree(bundle.source_commit)


def _knows_no_drafts(error: ServerRefused, deployment: Deployment) -> bool:
    """It refuses the key `activate`, whatever its version promised; by another 400 it may mean the bundle."""
    return error.status == BAD_REQUEST and (not deployment.drafts or error.api_code in NO_SUCH_KEY)


def _require_commit(deployment: Deployment, guid: str, bundle: str, commit: str) -> None:
    made = bundle_of(deployment.connect, guid, bundle)
    if made is None or made.source_commit != commit:
        found = f"was made of {short(made.source_commit)} instead of {short(commit)}" if made else "is gone"
        raise CommitNotLive(
            f"bundle {bundle} {found}; nothing was activated",
            where=deployment.connect.page_url(guid),
            hint="run the release again",
        )
