"""`status`: how far the app has come, from the work tree to a healthy page. Reads, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..configuration import App
from ..errors import LiveUnhealthy, NoCommits, NotInSync, Problem, RemoteUnreachable, ServerUnreachable
from ..outcome import Report, recorded
from ..pipeline.configuration_history import at_hand, find_differences
from ..pipeline.next_command import next_command
from ..pipeline.release_facts import survey_item
from ..pipeline.takeover import left_behind
from ..repository.deploy_branch import source_of
from ..repository.git import Git
from ..server.connect import Connect
from ..server.health import complaint
from ..server.live_state import Held, LiveState, Sync
from ..server.server_survey import ServerFacts
from ..world import World

#: The first pause between two looks, and the longest, in seconds.
PAUSE, LONGEST_PAUSE = 0.5, 10.0
#: Apps that are looked at one by one: with their link, their variables, and a visit of their page.
WHOLE = 10


@dataclass(frozen=True, kw_only=True)
class Here:
    """This side: HEAD, the work tree, the remote."""

    commit: str
    tree: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    pushed: str | None


def status(apps: Sequence[App], world: World, reports: Sequence[Report]) -> None:
    """Print a line for each app and target. Their errors are `NotInSync` (exit code 2) and `LiveUnhealthy` (3), with
    `--wait` only after that time.

    Of more than `WHOLE` of them what can be asked for all at once is asked first, and only the first `WHOLE` of those
    that are not in sync are looked at like single ones: calls, and visits that wake apps, do not grow with the estate.
    """
    if len(apps) <= WHOLE or world.options.wait is not None:
        for app, report in zip(apps, reports, strict=True):
            _attempt(app, world, report)
        return
    from ..pipeline.fleet_status import look_at_all

    with recorded(reports[0], "status"):
        states, notes = look_at_all(apps, world)
    for note in notes:
        reports[0].notes.append(note)
        world.console.note(note)
    left = WHOLE
    for app, report, state in zip(apps, reports, states, strict=True):
        if isinstance(state, Problem):
            report.fail(state)
        elif state.sync is Sync.IN_SYNC or left == 0:
            _tell(app, world, report, state)
        else:
            left -= 1
            _attempt(app, world, report)
    unseen = sum(report.state is not None and report.state["health"] == "unseen" for report in reports)
    world.console.note(f"{unseen} pages were not visited, their links and variables not read: --app NAME does both")


def _attempt(app: App, world: World, report: Report) -> None:
    """One app: its problem is on its own account."""
    try:
        _look_whole(app, world, report)
    except Problem as problem:
        report.fail(problem)


def _look_whole(app: App, world: World, report: Report) -> None:
    wait = world.options.wait
    if wait is None:
        with recorded(report, "status"):
            state = _look(app, world, report)
    else:
        with world.console.stage(report, "wait") as stage:
            state = _wait(app, world, report, wait)
            stage.detail = f"{state.sync}, {state.health}"
    _tell(app, world, report, state)


def _tell(app: App, world: World, report: Report, state: LiveState) -> None:
    """The line, the report, and what is wrong."""
    report.state = state.as_json()
    report.commit, report.pushed = state.committed.commit, state.pushed.commit
    report.bundle, report.live_commit, report.url = state.bundle, state.live.commit, state.url
    world.console.line(str(state))
    problem = _problem(app, world, state)
    if problem is not None:
        report.fail(problem)


def _wait(app: App, world: World, report: Report, seconds: float) -> LiveState:
    """The state once it is good, else the last one. A server that is away for a moment is waited for, too."""
    deadline, pause = time.monotonic() + seconds, PAUSE
    while True:
        over = time.monotonic() + pause >= deadline
        try:
            state = _look(app, world, report)
        except ServerUnreachable:
            if over:
                raise
        else:
            if state.is_good or over:
                return state
            world.console.progress(f"{state.sync}, {state.health}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _here(app: App, world: World, report: Report) -> Here:
    git = world.git
    head = git.head()
    if head.commit is None:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    branch = app.deploy_branch or app.branch or head.branch
    pushed = None
    try:
        pushed = git.remote_tip(app.remote, branch) if branch else None
    except RemoteUnreachable as unreachable:
        if unreachable.message not in report.notes:
            report.notes.append(unreachable.message)
            world.console.note(unreachable.message)
    changes = git.changes(app.path)
    return Here(
        commit=head.commit,
        tree=git.tree_id(head.commit, app.path),
        changed=tuple(changes.tracked),
        untracked=tuple(changes.untracked),
        pushed=pushed,
    )


def _look(app: App, world: World, report: Report) -> LiveState:
    here = _here(app, world, report)
    connect, server = survey_item(app, world)
    active, live = server.active, server.live_commit
    content = server.content
    left = left_behind(
        app,
        world,
        server,
        tips=(here.commit, here.pushed),
        is_ours=lambda commit: _held(app, world.git, here, commit).same is True,
    )
    return LiveState(
        app=app.name,
        target=app.target,
        changed=here.changed,
        untracked=here.untracked,
        committed=Held(commit=here.commit, same=True),
        pushed=_held(app, world.git, here, here.pushed),
        fetched=_held(app, world.git, here, server.repository.last_known_commit if server.repository else None),
        live=_held(app, world.git, here, live),
        bundle=active.id if active else None,
        left_behind=left.id if left else None,
        differences=find_differences(
            world.git, app, server, remote=app.remote, scratch=lambda: world.place("configured")
        ),
        sick=_sick(app, connect, server),
        url=connect.page_url(content.guid) if content else None,
    )


def _held(app: App, git: Git, here: Here, commit: str | None) -> Held:
    """A commit, compared with HEAD by the app's tree; a generated commit by the one that it was made from."""
    if commit is None or commit == here.commit:
        return Held(commit=commit, same=commit is not None)
    if not at_hand(git, app.remote, commit):
        return Held(commit=commit)
    source = (source_of(git, commit) or commit) if app.deploy_branch else commit
    return Held(commit=commit, same=git.tree_id(source, app.path) == here.tree)


def _sick(app: App, connect: Connect, server: ServerFacts) -> str | None:
    """What is wrong with the live page, by one visit."""
    if server.content is None or server.active is None:
        return None
    url = connect.page_url(server.content.guid, app.verify.path)
    try:
        return complaint(connect.visit(url, timeout=app.verify.timeout), app.verify)
    except ServerUnreachable as silent:
        return silent.message


def _problem(app: App, world: World, state: LiveState) -> Problem | None:
    """The worse of the two columns; the sync column stands in the line in any case."""
    name = f"{app.name} on {app.target}" if app.target else app.name
    if state.sick:
        back = next_command(app, world, "rollback")
        hint = f"read the app's log in Connect's dashboard; {back} puts the version before it live"
        return LiveUnhealthy(f"{name} is live but unhealthy: {state.sick}", where=state.url, hint=hint)
    if state.sync is Sync.IN_SYNC:
        return None
    release = next_command(app, world, "release")
    forced = next_command(app, world, "release", "--force")
    message, hint = {
        Sync.ABSENT: ("nothing is live", release),
        Sync.UNKNOWN: (f"the live commit {state.live.commit} is neither here nor on {app.remote}", "git fetch --all"),
        Sync.PENDING: (f"{state.live.short} is live, HEAD is {state.committed.short}", release),
        Sync.ROLLED_BACK: (f"bundle {state.bundle} was activated after HEAD's bundle {state.left_behind}", forced),
        Sync.DRIFT: ("; ".join(map(str, state.differences)), f"{release}; for what was changed by hand {forced}"),
    }[state.sync]
    return NotInSync(f"{name} is not in sync: {message}", where=state.url, hint=hint)
