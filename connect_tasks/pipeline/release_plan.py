"""From facts and generated files to the plan of a release. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..configuration import App
from ..content.candidate import Candidate
from ..repository.deploy_branch import DeployCommit
from ..repository.release_tag import ReleaseTag
from ..repository.repository_survey import RepositoryFacts
from ..server.server_drift import Difference
from .actions import (
    Action,
    CommitGenerated,
    CommitToDeployBranch,
    PushCommits,
    PushDeployBranch,
    PushSideBranch,
    RunTests,
)
from .deploy_plan import plan_deployment, plan_polling
from .release_facts import Facts
from .test_plan import TestPlan


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a plan is made of besides the facts."""

    candidate: Candidate  # with the generated files as they will ship
    tests: TestPlan
    tested: bool  # evidence exists, or tests are waived
    message: str
    in_sync: bool  # the live commit holds what ships
    unverified: bool  # it went live in a run that did not come to its end
    ship: str | None  # the commit on the remote that holds what ships already
    generated_branch: DeployCommit | None = None  # for an app with a deploy branch
    pull_request: bool = False
    tag: ReleaseTag | None = None
    differences: tuple[Difference, ...] = ()  # settings of the item to mend


def plan_release(app: App, facts: Facts, decided: Decided) -> tuple[Action, ...]:
    """The actions that are left; empty when the app is live as it stands."""
    polling = plan_polling(app, facts.server)
    server = plan_deployment(
        app,
        facts.server,
        commit=decided.ship,
        in_sync=decided.in_sync,
        unverified=decided.unverified,
        differences=decided.differences,
    )
    if decided.ship is not None and not server:
        return polling
    tests: tuple[Action, ...] = ()
    if not decided.tested:
        tests = (RunTests(tree=decided.tests.subject.app_tree, command=str(decided.tests)),)
    if decided.ship is not None:
        return (*tests, *polling, *server)
    git = tuple(_git_actions(facts.repository, facts.head_tree, decided))
    if decided.pull_request and decided.generated_branch is None:
        return (*tests, *git)
    return (*tests, *polling, *git, *server)


def _git_actions(repository: RepositoryFacts, head_tree: str, decided: Decided) -> tuple[Action, ...]:
    wanted = decided.generated_branch
    if wanted is not None:
        push = PushDeployBranch(remote=repository.remote, wanted=wanted, base=repository.deploy_tip)
        return (CommitToDeployBranch(wanted=wanted), push)
    commit: tuple[Action, ...] = ()
    if decided.candidate.tree_id != head_tree:
        files = dict(decided.candidate.generated)
        commit = (CommitGenerated(files=files, message=decided.message, tree=decided.candidate.tree_id),)
    if decided.pull_request:
        return (*commit, PushSideBranch(remote=repository.remote, branch=repository.branch or ""))
    return (*commit, plan_push(repository, decided.tag))


def plan_push(repository: RepositoryFacts, tag: ReleaseTag | None = None) -> PushCommits:
    """The push of the branch that people work on, with what goes along."""
    return PushCommits(
        remote=repository.remote,
        branch=repository.branch or "",
        carried=tuple(f"{commit[:10]} {subject}" for commit, subject in repository.unpushed),
        tag=tag,
    )
