"""`rollback`: an earlier bundle that the server has kept is live again, verified, and stays so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..configuration import App
from ..content.candidate import take_candidate
from ..errors import NothingToReturnTo, PageUnhealthy
from ..outcome import Report, Result
from ..pipeline.actions import Action, Activate, PrepareBundle, Shipment, StopPolling, VerifyLive, VisitDraft
from ..pipeline.configuration_history import at_hand
from ..pipeline.next_command import next_command
from ..pipeline.performance import Performance, perform
from ..pipeline.release_facts import survey_item
from ..pipeline.release_journal import Entry
from ..pipeline.takeover import rollback_journal
from ..server.connect import Bundle, Connect, ContentItem
from ..server.kept_bundles import KeptBundle, choose, earlier_versions
from ..server.server_survey import ServerFacts
from ..world import World

_INSTEAD = "git revert the change, and release that"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is there: the item, its bundles (newest first), the one that is live."""

    connect: Connect
    server: ServerFacts
    content: ContentItem
    kept: tuple[KeptBundle, ...]
    live: KeptBundle

    @property
    def polled(self) -> bool:
        return self.server.repository is not None and self.server.repository.polling


def rollback(app: App, world: World, report: Report) -> None:
    """Activate what `--to` names, else the version before the live one. Nothing is committed or pushed."""
    with world.console.stage(report, "facts") as stage:
        scene = _scene(app, world)
        candidates = _candidates(app, world, scene)
        stage.detail = f"{scene.live} is live; back to {candidates[0]}"
    target = _activate_first_healthy(app, world, report, scene, candidates)
    changed = target.id != scene.live.id or scene.polled
    report.result = Result.CHANGED if changed else Result.NOOP
    notes = tuple(_afterwards(app, world, scene, target))
    report.notes += notes
    for note in notes:
        world.console.note(note)


def _scene(app: App, world: World) -> Scene:
    connect, server = survey_item(app, world)
    if server.content is None or server.active is None:
        name = server.content.name if server.content else server.wanted_name
        raise NothingToReturnTo(
            f'nothing of "{name}" is live on {connect.url}', hint=next_command(app, world, "release")
        )
    kept = tuple(KeptBundle(bundle=bundle, version=_version(app, world, bundle)) for bundle in server.bundles)
    live = next(one for one in kept if one.id == server.active.id)
    return Scene(connect=connect, server=server, content=server.content, kept=kept, live=live)


def _version(app: App, world: World, bundle: Bundle) -> str | None:
    commit = bundle.source_commit
    if commit is None or not at_hand(world.git, app.remote, commit):
        return commit
    return world.git.tree_id(commit, app.path)


def _candidates(app: App, world: World, scene: Scene) -> tuple[KeptBundle, ...]:
    """What `--to` names; without it the versions from before the live one, the latest first."""
    if world.options.to is not None:
        return (choose(scene.kept, scene.live, world.options.to.strip(), resolve=world.git.resolve),)
    begun = rollback_journal(app, world).read()
    if begun is not None and not begun.released and begun.bundle == scene.live.id:
        return (scene.live,)  # a rollback was killed after it activated this: we finish it, and go no further back
    earlier = earlier_versions(scene.kept, scene.live)
    if not earlier:
        raise NothingToReturnTo(f"{scene.live} is live, and the server has kept nothing from before it", hint=_INSTEAD)
    return earlier


def _activate_first_healthy(
    app: App, world: World, report: Report, scene: Scene, candidates: tuple[KeptBundle, ...]
) -> KeptBundle:
    """The server can't tell a version that was live from a draft that was sick and never was: that is passed over."""
    for target in candidates[:-1]:
        try:
            _activate(app, world, report, scene, target)
        except PageUnhealthy as sick:
            if not scene.server.drafts:
                raise  # it was live for a moment, and that is enough of trying
            world.console.note(f"{target} is passed over: {sick.message}")
        else:
            return target
    _activate(app, world, report, scene, candidates[-1])
    return candidates[-1]


def _activate(app: App, world: World, report: Report, scene: Scene, target: KeptBundle) -> None:
    """As a release does it: the draft is visited, activated and visited again; a sick page never stays."""
    journal = rollback_journal(app, world)
    if target.id != scene.live.id:
        entry = Entry(commit=str(target.commit), guid=scene.content.guid, bundle=target.id, previous=scene.live.id)
        journal.write(entry)
    performance = Performance(
        app=app,
        world=world,
        candidate=take_candidate(world.git, app),
        connect=scene.connect,
        drafts=scene.server.drafts,
        owner=scene.server.user.guid,
    )
    shipment = Shipment(
        app_tree=str(target.version),
        commit=target.commit,
        pushed=target.commit,
        guid=scene.content.guid,
        bundle=target.id,
    )
    perform(_plan(scene, target), shipment, performance, report)
    journal.note(released=True)


def _plan(scene: Scene, target: KeptBundle) -> tuple[Action, ...]:
    """Polling goes first: the next poll would deploy the head of the branch again."""
    polling: tuple[Action, ...] = ()
    if scene.polled and scene.server.repository is not None:
        polling = (StopPolling(settings=scene.server.repository, because="it would undo the rollback"),)
    if target.id == scene.live.id:
        return (*polling, VerifyLive())
    return (*polling, PrepareBundle(adopt=target.id), VisitDraft(), Activate(), VerifyLive())


def _afterwards(app: App, world: World, scene: Scene, target: KeptBundle) -> Iterator[str]:
    """How to go forward again, and what is not as it was."""
    if target.id != scene.live.id:
        back = next_command(app, world, "rollback", "--to", scene.live.id)
        forced = next_command(app, world, "release", "--force")
        yield f"to go forward: commit a fix and release it, or {back}"
        yield f"while HEAD holds what was live, `release` stops and leaves this as it is, until you say {forced}"
    if app.polling and scene.polled:
        yield "polling stays off until the next release, which switches it on as the configuration says"
