"""`deploy`: the pushed commit, never anything else; what it needs to be safe it looks up itself, in whatever order it
was called."""

from __future__ import annotations

from ..configuration import App
from ..errors import NotCommitted, NotPushed
from ..outcome import Report
from ..pipeline.release_facts import Facts, gather
from ..pipeline.shipping import ship, standing
from ..world import World
from .commit import require_described


def deploy(app: App, world: World, report: Report) -> None:
    """Deploy the commit whose app tree is HEAD's: committed, pushed, described by its manifest, and tested."""
    with world.console.stage(report, "facts") as stage:
        facts = gather(app, world, writing=False)
        commit = _require_shippable(app, world, facts)
        stage.detail = f"{commit[:10]} on {facts.repository.remote} {facts.repository.branch}, {facts.connect.url}"
    ship(app, world, report, facts, facts.candidate)


def _require_shippable(app: App, world: World, facts: Facts) -> str:
    """The commit on the remote that holds HEAD's tree of the app. Raises what is missing, with the verb that makes
    it."""
    if facts.candidate.tree_id != facts.head_tree and app.deploy_branch is None:
        raise NotCommitted("the generated files are not committed", where=app.path, hint="nox -s commit push deploy")
    require_described(app, world, facts.candidate)
    found = standing(app, world, facts, facts.candidate)
    if found.ship is None:
        where = f"{facts.repository.remote} {app.deploy_branch or facts.repository.branch}"
        head = facts.candidate.commit[:10]
        raise NotPushed(f"{where} does not hold the app as it is at {head}", hint="nox -s push deploy")
    return found.ship
