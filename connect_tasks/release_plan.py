"""From facts and generated files to the plan of a release. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .actions import Action, CommitGenerated, PushCommits, RunTests
from .app_tests import TestPlan
from .candidate import Candidate
from .configuration import App
from .deploy_plan import plan_deployment, plan_polling
from .release_facts import Facts


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a plan is made of besides the facts."""

    candidate: Candidate  # with the generated files as they will ship
    tests: TestPlan
    tested: bool  # evidence exists, or tests are waived
    message: str
    in_sync: bool  # the live commit holds this tree
    unverified: bool  # it went live in a run that did not come to its end
    ship: str | None  # the commit on the remote that holds this tree already


def plan_release(app: App, facts: Facts, decided: Decided) -> tuple[Action, ...]:
    """The actions that are left; empty when the app is live as it stands."""
    tree = decided.candidate.tree_id
    actions: list[Action] = []
    polling = plan_polling(app, facts.server)
    server = plan_deployment(
        app, facts.server, commit=decided.ship, in_sync=decided.in_sync, unverified=decided.unverified
    )
    if decided.ship is not None and not server:
        return polling
    if not decided.tested:
        actions.append(RunTests(tree=tree, command=str(decided.tests)))
    actions += polling
    if decided.ship is None:
        if tree != facts.head_tree:
            actions.append(CommitGenerated(files=dict(decided.candidate.generated), message=decided.message, tree=tree))
        actions.append(plan_push(facts))
    return (*actions, *server)


def plan_push(facts: Facts) -> PushCommits:
    repository = facts.repository
    return PushCommits(
        remote=repository.remote,
        branch=repository.branch or "",
        carried=tuple(f"{commit[:10]} {subject}" for commit, subject in repository.unpushed),
    )
