"""Performs a plan, action by action: the only place that changes a repository's refs or a server.

Each action takes the shipment as it stands and gives the next; the report follows, so that a failure leaves an account
of what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby

from .actions import Action, CommitGenerated, PushCommits, RunTests, Shipment
from .app_tests import TestPlan, run_tests
from .candidate import Candidate
from .configuration import App
from .connect import Connect
from .deployment import Deployment, perform_on_server
from .generated_commit import commit_generated
from .git_push import push
from .outcome import Report, Result, Stage
from .preparation import Python
from .release_journal import Journal
from .replay import Replay
from .repository_lock import lock
from .world import World

#: Seconds that we wait for another run of ours in the same repository, or on the same content.
LOCK_PATIENCE = 60.0
REPOSITORY_STAGES = {"commit", "push"}


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What the actions need besides themselves. The server's part may be missing, where a plan does not go there."""

    app: App
    world: World
    candidate: Candidate
    python: Python | None = None
    tests: TestPlan | None = None
    untracked: tuple[str, ...] = ()
    connect: Connect | None = None
    drafts: bool | None = None
    owner: str = ""  # the GUID of the key's owner


def perform(actions: Sequence[Action], shipment: Shipment, performance: Performance, report: Report) -> Shipment:
    """Do a plan. Raises the `Problem` of the action that failed; those before it are done, and in the report."""
    world, app = performance.world, performance.app
    with ExitStack() as repository, ExitStack() as content:
        for stage_name, group in groupby(actions, key=lambda action: action.stage):
            if stage_name == "commit" or (stage_name == "push" and not _holds(repository)):
                repository.enter_context(lock(world.git, "repository", timeout=LOCK_PATIENCE))
            elif stage_name == "deploy":
                repository.close()
                name = f"deploy {app.name} {app.target or ''}".strip()
                content.enter_context(lock(world.git, name, timeout=LOCK_PATIENCE))
            with world.console.stage(report, stage_name) as stage:
                for action in group:
                    shipment = _perform_one(action, shipment, performance, stage)
                    note_shipment(report, shipment, performance.connect)
                    stage.result = Result.CHANGED if stage_name not in {"test", "verify"} else Result.OK
                stage.detail = stage.detail or _said(stage_name, shipment)
    return shipment


def note_shipment(report: Report, shipment: Shipment, connect: Connect | None) -> None:
    """The report's fields, as far as the shipment has come."""
    report.commit = shipment.commit or report.commit
    report.pushed = shipment.pushed or report.pushed
    report.bundle = shipment.bundle or report.bundle
    report.live_commit = shipment.live_commit or report.live_commit
    if connect is not None and shipment.guid is not None:
        report.url = connect.page_url(shipment.guid)
    report.notes += [note for note in shipment.notes if note not in report.notes]


def journal_of(app: App, world: World) -> Journal:
    """The journal of an app on its target, shared by the work trees of a clone."""
    return Journal.of(world.git.common_dir / "connect-tasks" / "journal", app.name, app.target)


def _holds(stack: ExitStack) -> bool:
    return bool(stack._exit_callbacks)  # type: ignore[attr-defined]  # noqa: SLF001  # is anything entered?


def _perform_one(action: Action, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    if isinstance(action, RunTests):
        return _test(shipment, performance, stage)
    if isinstance(action, CommitGenerated):
        return _commit(action, shipment, performance, stage)
    if isinstance(action, PushCommits):
        return _push(action, shipment, performance, stage)
    if performance.connect is None:
        raise LookupError("a plan that goes to the server, without one")
    world = performance.world
    deployment = Deployment(
        app=performance.app,
        connect=performance.connect,
        drafts=performance.drafts,
        owner=performance.owner,
        journal=journal_of(performance.app, world),
        values=world.environ,
        same_tree=lambda commit: world.git.tree_id(commit, performance.app.path) == shipment.app_tree,
        say=world.console.log,
    )
    return perform_on_server(action, shipment, deployment)


def _test(shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    if performance.tests is None:
        raise LookupError("a plan that tests, without a plan of tests")
    evidence = run_tests(
        performance.app,
        performance.world,
        performance.candidate,
        performance.python,
        performance.tests,
        untracked=performance.untracked,
    )
    performance.world.evidence.keep(evidence)
    stage.detail = evidence.summary
    return shipment


def _commit(action: CommitGenerated, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    done = commit_generated(
        performance.world.git, performance.app, action.files, action.message, expect_tree=action.tree
    )
    stage.detail = f"{done.commit[:10]} {action.message.splitlines()[0]}"
    notes = tuple(f"a hook changed {path} after the commit; it is not shipped" for path in done.left_changed)
    return replace(shipment, commit=done.commit, notes=(*shipment.notes, *notes))


def _push(action: PushCommits, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    git, app = performance.world.git, performance.app
    commit = shipment.commit or performance.candidate.commit
    done = push(git, action.remote, action.branch, commit, timeout=app.push_timeout, replay=Replay(directory=app.path))
    stage.detail = f"{action.remote} {action.branch} is at {done.commit[:10]}"
    if action.carried:
        stage.detail += f", with {len(action.carried)} of your own commits"
    notes = (done.note,) if done.note else ()
    return replace(shipment, commit=done.commit, pushed=done.commit, notes=(*shipment.notes, *notes))


def _said(stage: str, shipment: Shipment) -> str:
    if stage == "deploy":
        ways = {
            "commit": "built from the commit",
            "draft": "drafted from the branch, its commit checked",
            "branch": "deployed from the branch",
        }
        how = ways.get(shipment.way or "", "settings only")
        return f"bundle {shipment.bundle}, {how}" if shipment.bundle else how
    if stage == "verify" and shipment.live_commit:
        return f"{shipment.live_commit[:10]} is live"
    return ""
