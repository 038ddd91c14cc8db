"""`promote`: what is live and healthy on one target goes live on another, and both sides prove that it is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..configuration import TABLE_OF_AN_APP, App, for_path, load, resolve
from ..errors import CommitNotLive, SourceNotProven
from ..outcome import Report
from ..pipeline.configuration_history import at_hand
from ..pipeline.next_command import next_command
from ..pipeline.release_facts import survey_item
from ..repository.deploy_branch import source_of
from ..server.connect import Connect, ContentItem
from ..server.page_health import wait_until_healthy
from ..server.server_survey import ServerFacts
from ..world import World
from .deploy import deploy


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live on a target: the commit by the server's own record, and the tree of the app that it holds."""

    target: str
    connect: Connect
    content: ContentItem
    server: ServerFacts
    commit: str
    tree: str

    @property
    def page(self) -> str:
        return self.connect.page_url(self.content.guid)

    @property
    def polled_branch(self) -> str | None:
        link = self.server.repository
        return link.branch if link is not None and link.polling else None

    def __str__(self) -> str:
        return f"{self.target}: tree {self.tree[:10]} of commit {self.commit[:10]}, bundle {self.content.bundle}"


def promote(app: App, world: World, report: Report) -> None:
    """Deploy HEAD's tree to `app`'s target, if it is what is live and healthy on the target `--from`."""
    source = _source(app, world)
    with world.console.stage(report, "source") as stage:
        before = _live(source, world)
        _require_promotable(before, source, app, world)
        stage.detail = str(before)
    deploy(app, world, report)
    with world.console.stage(report, "proof") as stage:
        after = _live(app, world)
        if after.tree != before.tree:
            raise CommitNotLive(
                f"{after.target} holds tree {after.tree[:10]} of the app, {before.target} {before.tree[:10]}",
                where=after.page,
                hint=f"somebody deployed meanwhile: {next_command(app, world, 'status')}, then promote again",
            )
        stage.detail = f"{before}; {after}"
    for note in _not_promised(before, after):
        report.notes.append(note)
        world.console.note(note)


def _source(app: App, world: World) -> App:
    """The same app on the target that it comes from. Raises `TargetUnknown`."""
    root, path = world.git.root, world.options.path
    nested = world.git.directories_with(*TABLE_OF_AN_APP)
    config = load(root, nested) if path is None else for_path(root, root / app.path)
    return resolve(config, app.name, world.options.source_target, {})


def _live(app: App, world: World) -> Live:
    """Raises `SourceNotProven` where nothing is live, or nobody can tell what."""
    connect, server = survey_item(app, world)
    target = app.target or ""
    commit = server.live_commit
    if server.content is None or commit is None:
        raise SourceNotProven(
            f"nothing of {app.name} is live on {target}", where=connect.url, hint=next_command(app, world, "release")
        )
    git = world.git
    made_from = (source_of(git, commit) or commit) if at_hand(git, app.remote, commit) else commit
    tree = git.tree_id(made_from, app.path)
    if tree is None:
        raise SourceNotProven(
            f"the commit {commit[:10]}, which is live on {target}, is not to be had from {app.remote}",
            where=connect.page_url(server.content.guid),
            hint=f"git fetch {app.remote}",
        )
    return Live(target=target, connect=connect, content=server.content, server=server, commit=commit, tree=tree)


def _require_promotable(live: Live, source: App, app: App, world: World) -> None:
    """Raise `SourceNotProven` unless it is HEAD's tree, on an item of its own, and its page healthy."""
    connect, there = survey_item(app, world)
    if there.content is not None and (connect.url, there.content.guid) == (live.connect.url, live.content.guid):
        raise SourceNotProven(
            f"{live.target} and {app.target} are one content item, {live.content.guid}",
            where=live.page,
            hint="give one of the targets a `server`, a `content_name` or a `guid` of its own",
        )
    if live.tree != world.git.tree_id("HEAD", app.path):
        raise SourceNotProven(
            f"{live.target} is at commit {live.commit[:10]}, which holds another {app.name} than HEAD does",
            where=live.page,
            hint=f"{next_command(source, world, 'release')}, then promote; or check out what is live there",
        )
    unhealthy = wait_until_healthy(
        live.connect, live.connect.page_url(live.content.guid, source.verify.path), source.verify
    )
    if unhealthy:
        raise SourceNotProven(
            f"{live.target} is not healthy: {unhealthy}; nothing was promoted",
            where=live.page,
            hint=f"mend it there first: {next_command(source, world, 'status')}",
        )


def _not_promised(before: Live, after: Live) -> Iterator[str]:
    """Where a server polls, it does not wait for us."""
    if after.polled_branch:
        yield (
            f"not promised: {after.target} polls {after.polled_branch}, and a push there goes live by itself, "
            f"whether {before.target} has shown it or not"
        )
    if before.polled_branch:
        yield (
            f"not promised: {before.target} polls {before.polled_branch}, and moves on by itself; "
            f"what was promoted is commit {before.commit[:10]}"
        )
