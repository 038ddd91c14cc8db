"""What the deeds on a server share: one app on one server, and the tasks that a run before this one may have left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..configuration import App
from ..errors import ContentMissing
from ..server.connect import Bundle, Connect
from ..server.task_log import follow, state_of
from .actions import Shipment
from .release_journal import Journal


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One app on one server. `same_tree`: does a commit hold the tree that ships? `passing`: a rehearsal."""

    app: App
    connect: Connect
    drafts: bool | None  # None: the server hides its version
    owner: str  # the GUID of the key's owner
    values: Mapping[str, str]  # of the declared environment variables
    same_tree: Callable[[str], bool]
    say: Callable[[str], None]
    journal: Journal
    passing: bool = False

    def follow(self, task: str, *, told: int = 0) -> None:
        """See a task to its good end; the journal knows how far its log was told."""
        follow(
            self.connect,
            task,
            timeout=self.app.deploy_timeout,
            say=self.say,
            told=told,
            note=lambda lines: self.journal.note(told=lines),
        )

    def finish(self, step: str, begin: Callable[[], str], *, lasting: bool = False) -> None:
        """See a step's task to its good end: the one that an earlier run left, else the new one that `begin` starts
        ("" where that turns out to be needless). `lasting`: as for `resumed`."""
        if self.resumed(step, lasting=lasting):
            return
        task = begin()
        if task:
            self.journal.note(step=step, task=task, told=0, asked=None)
            self.follow(task)

    def resumed(self, step: str, *, lasting: bool = False) -> bool:
        """Whether an earlier run's task of this step was still running, and has come to its good end now.

        One that was over by then proves nothing, since the server has moved on; unless what it made is `lasting`.
        """
        entry = self.journal.read()
        state = state_of(self.connect, entry.task) if entry and entry.step == step and entry.task else None
        if entry is None or state is None:
            return False
        if state.finished:
            return lasting and state.succeeded
        self.follow(str(entry.task), told=entry.told)
        return True


def live_bundle(connect: Connect, guid: str) -> str | None:
    """The id of the bundle that is live. Raises `ContentMissing`."""
    item = connect.content(guid)
    if item is None:
        raise ContentMissing(
            "the content item is gone", where=connect.page_url(guid), hint="remove `guid`, or restore the item"
        )
    return item.bundle


def bundle_of(connect: Connect, guid: str, number: str | None) -> Bundle | None:
    return next((bundle for bundle in connect.bundles(guid) if bundle.id == number), None)


def guid_of(shipment: Shipment) -> str:
    if shipment.guid is None:
        raise LookupError("an action on a content item before the item is known")
    return shipment.guid


def commit_of(shipment: Shipment) -> str:
    if shipment.pushed is None:
        raise LookupError("a deploy before the commit is pushed")
    return shipment.pushed


def short(commit: str | None) -> str:
    return commit[:10] if commit else "an unknown commit"
