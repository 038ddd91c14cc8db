"""The server's part of a release: a draft of exactly our commit, visited, activated, visited again.

How the exact commit is made sure is found by asking, not by the version alone:

commit
    the server builds a bundle from our SHA (`repository/bundle`), whose record must name our SHA;
draft
    it builds a draft of the branch, whose record must name our SHA, or a commit with our tree, before we activate it;
branch
    it knows neither: the branch is deployed, and the commit on record must hold our tree.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ServerRefused
from ..server.connect import ContentItem
from ..server.doubt import settled
from .actions import (
    Activate,
    CreateContent,
    LinkRepository,
    PrepareBundle,
    SendVariables,
    ServerAction,
    SetVanity,
    Shipment,
    StopPolling,
    UpdateContent,
    VerifyLive,
    VisitDraft,
)
from .activation import activate, verify_live, visit_draft
from .bundle_of_commit import prepare_bundle
from .deployment import Deployment, guid_of

CONFLICT = 409


def perform_on_server(action: ServerAction, shipment: Shipment, deployment: Deployment) -> Shipment:
    """Do one action of the server's part. Raises a `Problem` of the 7xx or 8xx range."""
    if isinstance(action, CreateContent):
        return _create(action, shipment, deployment)
    if isinstance(action, PrepareBundle):
        return prepare_bundle(action, shipment, deployment)
    if isinstance(action, VisitDraft):
        return visit_draft(shipment, deployment)
    if isinstance(action, Activate):
        return activate(shipment, deployment)
    if isinstance(action, VerifyLive):
        return verify_live(shipment, deployment)
    return _set(action, shipment, deployment)


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
    if deployment.passing:  # nobody could keep the GUID of an item on a rehearsal's server
        return replace(shipment, guid=item.guid)
    note = f'created "{item.name}"; keep it with guid = "{item.guid}" in [tool.connect-tasks]'
    return replace(shipment, guid=item.guid, notes=(*shipment.notes, note))


def _set(
    action: UpdateContent | StopPolling | LinkRepository | SetVanity | SendVariables,
    shipment: Shipment,
    deployment: Deployment,
) -> Shipment:
    """Settings: to set one twice is as good as once."""
    connect, guid = deployment.connect, guid_of(shipment)
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
