"""`push`: the branch, with our commit and the user's own; or the generated branch, where the app has one."""

from __future__ import annotations

from ..configuration import App
from ..content.candidate import take_candidate
from ..errors import raise_all
from ..outcome import Report, Result
from ..pipeline.actions import Action, PushDeployBranch, PushSideBranch, Shipment
from ..pipeline.performance import Performance, note_shipment, perform
from ..pipeline.release_facts import survey_settled
from ..pipeline.release_plan import plan_push
from ..pipeline.shipped_tree import shipped_tree
from ..pipeline.shipping import generated_branch
from ..repository.repository_survey import RepositoryFacts
from ..world import World


def push(app: App, world: World, report: Report) -> None:
    """Push HEAD to the configured branch; the remote says whether it arrived."""
    with world.console.stage(report, "facts") as stage:
        facts = survey_settled(app, world, allow_dirty=True)
        raise_all(list(facts.problems))
        stage.detail = f"{app.deploy_branch or facts.branch}, {len(facts.unpushed)} commits to push"
    candidate = take_candidate(world.git, app, pinned_at=facts.deploy_tip)
    shipment = Shipment(app_tree=shipped_tree(app, world, candidate), commit=candidate.commit)
    performance = Performance(app=app, world=world, candidate=candidate)
    action = _action(app, world, facts, performance, shipment)
    if action is None:
        note_shipment(report, shipment, None)
        report.pushed = facts.deploy_tip if app.deploy_branch else facts.remote_tip
        report.result = Result.NOOP
        world.console.note(f"nothing to push: {facts.remote} {app.deploy_branch or facts.branch} has it")
        return
    perform((action,), shipment, performance, report)
    report.result = Result.CHANGED


def _action(
    app: App, world: World, facts: RepositoryFacts, performance: Performance, shipment: Shipment
) -> Action | None:
    if app.deploy_branch is not None:
        if facts.app_at_tip == shipment.app_tree:
            return None
        wanted = generated_branch(app, world, performance.candidate)
        return PushDeployBranch(remote=facts.remote, wanted=wanted, base=facts.deploy_tip)
    if not facts.unpushed:
        return None
    if world.options.pull_request:
        return PushSideBranch(remote=facts.remote, branch=facts.branch or "")
    return plan_push(facts)
