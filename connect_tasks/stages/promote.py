"""`promote`: what is live and healthy on one target goes live on another, and both sides prove that it is the same."""

from __future__ import annotations

from dataclasses import dataclass

from ..configuration import App, for_path, load, resolve
from ..connect import Connect
from ..errors import CommitNotLive, SourceNotProven
from ..outcome import Report
from ..release_facts import survey_item
from ..server_survey import ServerFacts
from ..world import World
from .deploy import deploy


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live on a target: the commit by the server's record, and the tree of the app that it holds."""

    app: App
    connect: Connect
    server: ServerFacts
    commit: str
    tree: str

    def __str__(self) -> str:
        bundle = self.server.active.id if self.server.active else "?"
        return f"{self.app.target}: tree {self.tree[:10]} of commit {self.commit[:10]}, bundle {bundle}"


def promote(app: App, world: World, report: Report) -> None:
    """Deploy HEAD's tree to `app`'s target, if it is what is live and healthy on the target `--from`."""
    source = _source(app, world)
    with world.console.stage(report, "source") as stage:
        before = _proven(source, app, world)
        stage.detail = str(before)
    deploy(app, world, report)
    with world.console.stage(report, "proof") as stage:
        after = _live(app, world)
        if after.tree != before.tree:
            raise CommitNotLive(
                f"{after.app.target} holds tree {after.tree[:10]} of the app, {before.app.target} {before.tree[:10]}",
                where=report.url,
                hint="somebody deployed meanwhile: nox -s status, then promote again",
            )
        stage.detail = f"{before}; {after}"
    for note in _not_promised(before, after):
        report.notes.append(note)
        world.console.note(note)


def _source(app: App, world: World) -> App:
    """The same app on the target that it comes from. Raises `TargetUnknown`."""
    root, path = world.git.root, world.options.path
    config = load(root) if path is None else for_path(root, path)
    return resolve(config, app.name, world.options.source_target, {})


def _proven(source: App, app: App, world: World) -> Live:
    """What is live on the source. Raises `SourceNotProven` unless it is HEAD's tree, healthy, and another item."""
    live = _live(source, world)
    content = live.server.content
    _, there = survey_item(app, world)
    if content is not None and there.content is not None and live.connect.url == there_url(world, app):
        if content.guid == there.content.guid:
            raise SourceNotProven(
                f"{source.target} and {app.target} are one content item, {content.guid}",
                where=content.dashboard or content.url,
                hint="give one of the targets a `server`, a `content_name` or a `guid` of its own",
            )
    head = world.git.tree_id("HEAD", app.path)
    if live.tree != head:
        raise SourceNotProven(
            f"{source.target} is at commit {live.commit[:10]}, which holds another {app.name} than HEAD does",
            where=live.connect.page_url(content.guid) if content else None,
            hint=f"nox -s release -- --target {source.target}, then promote; or check out what is live there",
        )
    return live
