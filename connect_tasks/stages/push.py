"""`push`: the branch, with our commit and the user's own."""

from __future__ import annotations

from ..actions import PushCommits, Shipment
from ..candidate import take_candidate
from ..configuration import App
from ..errors import raise_all
from ..outcome import Report, Result
from ..performance import Performance, note_shipment, perform
from ..repository_survey import survey
from ..world import World


def push(app: App, world: World, report: Report) -> None:
    """Push HEAD to the configured branch; the remote says whether it arrived."""
    with world.console.stage(report, "facts") as stage:
        facts = survey(world.git, app, allow_dirty=True)
        raise_all(list(facts.problems))
        stage.detail = f"{facts.branch}, {len(facts.unpushed)} commits to push"
    candidate = take_candidate(world.git, app)
    shipment = Shipment(app_tree=candidate.tree_id, commit=candidate.commit)
    if not facts.unpushed:
        note_shipment(report, shipment, None)
        report.pushed = facts.remote_tip
        report.result = Result.NOOP
        world.console.note(f"nothing to push: {facts.remote} {facts.branch} has {candidate.commit[:10]}")
        return
    action = PushCommits(
        remote=facts.remote,
        branch=facts.branch or "",
        carried=tuple(f"{commit[:10]} {subject}" for commit, subject in facts.unpushed),
    )
    perform((action,), shipment, Performance(app=app, world=world, candidate=candidate), report)
    report.result = Result.CHANGED
