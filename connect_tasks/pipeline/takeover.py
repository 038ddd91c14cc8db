"""What a release does not overwrite unless it is told to: a decision that somebody made on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..configuration import App
from ..errors import AnotherBundleLive, ServerDrift
from ..repository.git import Git
from ..server.connect import Bundle
from ..server.server_drift import Difference, activated_instead
from ..server.server_survey import ServerFacts
from ..world import World
from .actions import Action, Activate
from .configuration_history import at_hand
from .next_command import next_command
from .performance import journal_of
from .release_facts import Facts
from .release_journal import Journal


def rollback_journal(app: App, world: World) -> Journal:
    """What the last rollback in this clone left, and for what."""
    return Journal.of(world.git.common_dir / "connect-tasks" / "journal", f"{app.name} rollback", app.target)


def refuse_other_link(
    app: App, world: World, facts: Facts, actions: Iterable[Action], left: Sequence[Difference]
) -> None:
    """Raise where something would be deployed from a place that somebody else chose."""
    moved = [difference for difference in left if difference.is_link]
    if not moved or not any(isinstance(action, Activate) for action in actions):
        return
    another = f"set `content_name`, or `guid`, if {app.name} shall have an item of its own; or "
    forward = next_command(app, world, "release", "--force")
    raise ServerDrift(
        f"the content item is linked elsewhere: {'; '.join(map(str, moved))}",
        where=facts.server.content.dashboard if facts.server.content else None,
        hint=(another if any(one.of == "repository" for one in moved) else "") + f"to link it again: {forward}",
    )


def refuse_another_bundle(app: App, world: World, facts: Facts, *, ships: str, commit: str | None) -> None:
    """Raise where what would ship (`ships` is the app's tree, `commit` holds it) was live before another bundle was
    activated: a release must not undo a rollback."""
    server, repository = facts.server, facts.repository
    tips = (facts.candidate.commit, repository.remote_tip, repository.deploy_tip)
    left = left_behind(
        app, world, server, tips=tips, is_ours=lambda made_of: _holds(app, world, made_of, ships, commit)
    )
    if left is None or server.active is None or server.content is None:
        return
    names = world.git.subjects(str(left.source_commit), limit=1)
    subject = f' ("{names[0][1]}")' if names else ""
    raise AnotherBundleLive(
        f"bundle {server.active.id} was activated after bundle {left.id}, which holds the app as it would ship"
        f"{subject}: it was rolled back, or changed by hand",
        where=server.content.dashboard or server.content.url,
        hint="commit a fix and release that; or to put this very version live again: "
        + next_command(app, world, "release", "--force"),
    )


def left_behind(
    app: App, world: World, server: ServerFacts, *, tips: Sequence[str | None], is_ours: Callable[[str], bool]
) -> Bundle | None:
    """The bundle of ours that a rollback or a hand left for the live one; None as a rule.

    `tips`: what our history is reached from; `is_ours`: does a commit hold what would ship? A bundle that a run of ours
    left by itself, because its page was sick, is none: the next run goes on with it.
    """
    live = server.active
    if live is None:
        return None
    rolled_back = rollback_journal(app, world).read()
    left = activated_instead(
        server,
        is_ours=lambda bundle: bundle.source_commit is not None and is_ours(bundle.source_commit),
        in_history=lambda commit: _in_history(world.git, commit, tips),
        rolled_back=rolled_back.previous if rolled_back and rolled_back.bundle == live.id else None,
    )
    begun = journal_of(app, world).read()
    if left is None or begun is None or begun.released or begun.commit != left.source_commit:
        return left
    return None if begun.previous == live.id else left  # what was live before our run is live again, or still


def _holds(app: App, world: World, made_of: str, tree: str, commit: str | None) -> bool:
    if made_of == commit:
        return True
    return at_hand(world.git, app.remote, made_of) and world.git.tree_id(made_of, app.path) == tree


def _in_history(git: Git, commit: str | None, tips: Sequence[str | None]) -> bool:
    """Whether a commit is in the history of what we release from; yes where that can't be told."""
    if commit is None or (git.common_dir / "shallow").exists():
        return True
    return any(tip is not None and git.is_ancestor(commit, tip) for tip in tips)
