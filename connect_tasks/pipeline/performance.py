"""Performs a plan, action by action: the only place that changes a repository's refs or a server.

Each action takes the shipment as it stands and gives the next; the report follows, so that a failure leaves an account
of what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from ..configuration import App
from ..content.candidate import Candidate
from ..diffs import diff_of
from ..outcome import Report, Result, Stage
from ..repository.deploy_branch import commit_to_deploy_branch, push_deploy_branch
from ..repository.generated_backup import keep_backup
from ..repository.generated_commit import commit_generated
from ..repository.git_push import push
from ..repository.pull_request import push_side_branch
from ..repository.replay import Replay
from ..repository.repository_lock import lock
from ..server.connect import Connect
from ..world import World
from .actions import (
    Action,
    CommitGenerated,
    CommitToDeployBranch,
    PushCommits,
    PushDeployBranch,
    PushSideBranch,
    RunTests,
    Shipment,
)
from .app_tests import TestRun, judge, run_tests
from .configuration_history import at_hand
from .deployment import Deployment
from .preparation import Python
from .release_journal import Journal
from .server_performance import perform_on_server
from .stage_hooks import hooked
from .test_plan import TestPlan
from .test_stands import prepare_tests

#: Seconds that we wait for another run of ours in the same repository, or on the same content.
LOCK_PATIENCE = 60.0
#: Lines of a diff that are shown before the ref that holds all of it is named.
DIFF_LINES = 40
#: Seconds for whoever signs a commit that plumbing makes.
SIGNER_PATIENCE = 120.0


#: Gives the run of these tests on this candidate, waits for its end, if it was begun already.
RunAhead = Callable[[Candidate, TestPlan], TestRun | None]


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
    proven: Callable[[], object] = lambda: None  # waits for the proof that the pins install, and raises where not
    run_ahead: RunAhead = lambda _candidate, _plan: None


def perform(actions: Sequence[Action], shipment: Shipment, performance: Performance, report: Report) -> Shipment:
    """Do a plan. Raises the `Problem` of the action that failed; those before it are done, and in the report."""
    world, app = performance.world, performance.app
    if world.options.html:
        report.diffs.update(_diffs(actions, performance))
    held = False  # from the commit to the verdict on the push
    with ExitStack() as repository, ExitStack() as content:
        for stage_name, group in groupby(actions, key=lambda action: action.stage):
            around = hooked(app, world, report, stage_name)
            if stage_name in {"commit", "push"} and not held:
                repository.enter_context(lock(world.git, "repository", timeout=LOCK_PATIENCE))
                held = True
            elif stage_name == "deploy":
                repository.close()
                name = f"deploy {app.name} {app.target or ''}".strip()
                content.enter_context(lock(world.git, name, timeout=LOCK_PATIENCE))
            with around, world.console.stage(report, stage_name) as stage:
                if stage_name == "commit":
                    performance.proven()
                for action in group:
                    shipment = _perform_one(action, shipment, performance, stage)
                    note_shipment(report, shipment, performance.connect)
                    stage.result = Result.CHANGED if stage_name not in {"test", "verify"} else Result.OK
                stage.detail = stage.detail or _said(stage_name, shipment)
    return shipment


def _diffs(actions: Sequence[Action], performance: Performance) -> dict[str, str]:
    """What a commit of the generated files changes in them."""
    app, git = performance.app, performance.world.git
    files = next((action.files for action in actions if isinstance(action, CommitGenerated)), {})
    there = git.tree(performance.candidate.commit, app.path) if files else {}
    old = git.read(there[name].oid for name in files if name in there)
    before = {name: old[there[name].oid] if name in there else None for name in files}
    return {name: diff_of(name, before[name], content) for name, content in files.items() if before[name] != content}


def note_shipment(report: Report, shipment: Shipment, connect: Connect | None) -> None:
    """The report's fields, as far as the shipment has come."""
    report.commit = shipment.commit or report.commit
    report.pushed = shipment.pushed or report.pushed
    report.bundle = shipment.bundle or report.bundle
    report.live_commit = shipment.live_commit or report.live_commit
    if connect is not None and shipment.guid is not None:
        report.url = connect.page_url(shipment.guid)
    report.notes += [note for note in shipment.notes if note not in report.notes]


def keep_edits(app: App, world: World, replacing: Mapping[str, bytes]) -> None:
    """Before generated files are replaced: edits that somebody made in them are kept in a ref, and shown."""
    backup = keep_backup(world.git, app, replacing)
    if backup is None:
        return
    world.console.note(
        f"replaced are edits of {', '.join(backup.paths)}, kept: git show {backup.ref}:{backup.paths[0]}"
    )
    for line in backup.diff.splitlines()[:DIFF_LINES]:
        world.console.log(line)


def journal_of(app: App, world: World) -> Journal:
    """The journal of an app on its target, shared by the work trees of a clone."""
    return Journal.of(world.git.common_dir / "connect-tasks" / "journal", app.name, app.target)


def _perform_one(action: Action, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    if isinstance(action, RunTests):
        return _test(shipment, performance, stage)
    if isinstance(action, CommitGenerated):
        return _commit(action, shipment, performance, stage)
    if isinstance(action, PushCommits):
        return _push(action, shipment, performance, stage)
    if isinstance(action, CommitToDeployBranch):
        return _commit_generated_branch(action, shipment, performance, stage)
    if isinstance(action, PushDeployBranch):
        return _push_generated_branch(action, shipment, performance, stage)
    if isinstance(action, PushSideBranch):
        return _push_side_branch(action, shipment, performance, stage)
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
        same_tree=partial(_holds_tree, performance, shipment.app_tree),
        say=world.console.log,
        passing=world.passing,
    )
    return perform_on_server(action, shipment, deployment)


def _holds_tree(performance: Performance, tree: str, commit: str) -> bool:
    """Whether a commit holds what ships; one that somebody pushed after us is fetched first."""
    git, app = performance.world.git, performance.app
    return at_hand(git, app.remote, commit) and git.tree_id(commit, app.path) == tree


def _test(shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    if performance.tests is None:
        raise LookupError("a plan that tests, without a plan of tests")
    app, world, candidate, plan = performance.app, performance.world, performance.candidate, performance.tests
    run = performance.run_ahead(candidate, plan)
    if run is None:
        prepared = prepare_tests(app, world, candidate, performance.python, plan)
        run = run_tests(app, prepared, untracked=lambda: performance.untracked, progress=world.console.progress)
    evidence = judge(app, world, run)
    world.evidence.keep(evidence)
    stage.detail = evidence.summary
    return shipment


def _commit(action: CommitGenerated, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    keep_edits(performance.app, performance.world, action.files)
    done = commit_generated(
        performance.world.git, performance.app, action.files, action.message, expect_tree=action.tree
    )
    stage.detail = f"{done.commit[:10]} {action.message.splitlines()[0]}"
    notes = tuple(f"a hook changed {path} after the commit; it is not shipped" for path in done.left_changed)
    return replace(shipment, commit=done.commit, notes=(*shipment.notes, *notes))


def _push(action: PushCommits, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    git, app = performance.world.git, performance.app
    commit = shipment.commit or performance.candidate.commit
    done = push(
        git,
        action.remote,
        action.branch,
        commit,
        timeout=app.push_timeout,
        replay=Replay(directory=app.path),
        tag=action.tag,
    )
    stage.detail = f"{action.remote} {action.branch} is at {done.commit[:10]}"
    if action.carried:
        stage.detail += f", with {len(action.carried)} of your own commits"
    notes = (done.note,) if done.note else ()
    return replace(shipment, commit=done.commit, pushed=done.commit, notes=(*shipment.notes, *notes))


def _commit_generated_branch(
    action: CommitToDeployBranch, shipment: Shipment, performance: Performance, stage: Stage
) -> Shipment:
    git, wanted = performance.world.git, action.wanted
    tip = git.resolve(f"refs/remotes/{performance.app.remote}/{wanted.branch}")
    made = commit_to_deploy_branch(git, wanted, remote_tip=tip, timeout=SIGNER_PATIENCE)
    stage.detail = f"{made.commit[:10]} on {wanted.branch}, from {wanted.source[:10]}"
    return replace(shipment, commit=made.commit)


def _push_generated_branch(
    action: PushDeployBranch, shipment: Shipment, performance: Performance, stage: Stage
) -> Shipment:
    git, app, wanted = performance.world.git, performance.app, action.wanted
    made = commit_to_deploy_branch(git, wanted, remote_tip=action.base, timeout=SIGNER_PATIENCE)
    done = push_deploy_branch(git, action.remote, wanted, made, timeout=app.push_timeout)
    stage.detail = f"{action.remote} {wanted.branch} is at {done.commit[:10]}"
    notes = (done.note,) if done.note else ()
    return replace(shipment, commit=done.commit, pushed=done.commit, notes=(*shipment.notes, *notes))


def _push_side_branch(action: PushSideBranch, shipment: Shipment, performance: Performance, stage: Stage) -> Shipment:
    git, app = performance.world.git, performance.app
    commit = shipment.commit or performance.candidate.commit
    done = push_side_branch(git, app, action.branch, commit, timeout=app.push_timeout)
    stage.detail = f"{action.remote} {done.branch} is at {done.commit[:10]}"
    where = done.url or f"the page of {action.remote}, branch {done.branch}"
    note = f"merge it into {action.branch}, then run the same command again to deploy: {where}"
    return replace(shipment, commit=done.commit, notes=(*shipment.notes, note))


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
