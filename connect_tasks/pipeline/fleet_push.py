"""The commit and the push of many apps: one lock, one push, and one commit or one for each app."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..errors import HookRewrote, Problem
from ..outcome import Report, Result
from ..repository.commit_message import SKIP_CI
from ..repository.generated_commit import Part, commit_parts
from ..repository.git_push import push
from ..repository.replay import Replay
from ..repository.repository_lock import lock
from ..world import World
from .actions import CommitGenerated, CommitToDeployBranch, PushCommits, PushSideBranch
from .fleet import Journey
from .performance import LOCK_PATIENCE, keep_edits, note_shipment
from .stage_hooks import hooks_commit_or_push

#: Characters of a subject that all tools show.
SUBJECT = 72


@dataclass(frozen=True, kw_only=True)
class Made:
    """One commit of ours, and an app of it."""

    commit: str
    directory: str


def push_of(journey: Journey) -> PushCommits | None:
    """Its part in the push for all; None where nothing is to be pushed, or it goes by itself."""
    alone = (
        journey.alone
        or hooks_commit_or_push(journey.app)
        or any(isinstance(action, CommitToDeployBranch | PushSideBranch) for action in journey.left)
    )
    found = next((action for action in journey.left if isinstance(action, PushCommits)), None)
    return None if alone or found is None or found.tag is not None else found


def commit_and_push(journeys: Sequence[Journey], world: World) -> None:
    """Do the commits and pushes of these journeys, in one push for each branch. A problem is on the account of each app
    that it concerns; their journeys then have nothing left but the server's part."""

    def branch(one: Journey) -> tuple[str, str]:
        pushed = push_of(one)
        return (pushed.remote, pushed.branch) if pushed else ("", "")

    going = sorted((one for one in journeys if one.report.error is None and push_of(one) is not None), key=branch)
    for (remote, name), group in groupby(going, key=branch):
        crew = list(group)
        try:
            with lock(world.git, "repository", timeout=LOCK_PATIENCE):
                made = _commit(crew, world)
                under_way = [one for one in crew if one.report.error is None and push_of(one) is not None]
                if under_way:
                    _push(under_way, made, world, remote, name)
        except Problem as problem:
            for one in crew:
                if one.report.error is None:
                    one.report.fail(problem)


def _commit(crew: Sequence[Journey], world: World) -> list[Made]:
    with_files = [one for one in crew if _commit_of(one) is not None]
    together = [one for one in with_files if one.app.commits == "together"]
    groups = [[one] for one in with_files if one.app.commits != "together"]
    return [made for group in [*([together] if together else []), *groups] for made in _commit_group(group, world)]


def _commit_group(group: Sequence[Journey], world: World) -> list[Made]:
    """One commit. What a hook makes of our files is each app's own concern: those apps go by themselves then."""
    actions = {one.app.path: action for one in group if (action := _commit_of(one)) is not None}
    for one in group:
        keep_edits(one.app, one.world, actions[one.app.path].files)
    parts = [Part(directory=path, files=action.files, tree=action.tree) for path, action in actions.items()]
    whole = Report(verb="release")
    try:
        with world.console.stage(whole, "commit") as stage:
            done = commit_parts(world.git, parts, _message([(one.app.name, actions[one.app.path]) for one in group]))
            stage.result = Result.CHANGED
            stage.detail = f"{done.commit[:10]} {', '.join(one.app.name for one in group)}"
    except HookRewrote as rewritten:
        world.console.note(f"{rewritten.message}: each app goes by itself")
        for one in group:
            one.alone = True
        return []
    except Problem as problem:
        for one in group:
            one.report.stages += whole.stages
            one.report.fail(problem)
        return []
    for one in group:
        one.report.stages += whole.stages
        one.shipment = replace(one.shipped, commit=done.commit)
        one.left = tuple(action for action in one.left if action.stage != "commit")
        note_shipment(one.report, one.shipped, None)
    for path in done.left_changed:
        world.console.note(f"a hook changed {path} after the commit; it is not shipped")
    return [Made(commit=done.commit, directory=group[0].app.path)] if done.created else []


def _push(crew: Sequence[Journey], made: Sequence[Made], world: World, remote: str, branch: str) -> None:
    commit = made[-1].commit if made else crew[0].proposed.candidate.commit
    whole = Report(verb="release")
    try:
        with world.console.stage(whole, "push") as stage:
            done = push(
                world.git,
                remote,
                branch,
                commit,
                timeout=max(one.app.push_timeout for one in crew),
                replay=Replay(directory=made[-1].directory if made else crew[0].app.path),
                before=[(one.commit, Replay(directory=one.directory)) for one in made[:-1]],
            )
            stage.result = Result.CHANGED
            stage.detail = f"{remote} {branch} is at {done.commit[:10]}, with {len(crew)} apps"
            pushed = push_of(crew[0])
            carried = pushed.carried if pushed else ()
            stage.detail += f" and {len(carried)} of your own commits" if carried else ""
    finally:
        for one in crew:
            one.report.stages += whole.stages
    if done.note:
        world.console.note(done.note)
    for one in crew:
        one.shipment = replace(one.shipped, commit=done.commit, pushed=done.commit)
        one.left = tuple(action for action in one.left if not isinstance(action, PushCommits))
        note_shipment(one.report, one.shipped, None)


def _commit_of(journey: Journey) -> CommitGenerated | None:
    return next((action for action in journey.left if isinstance(action, CommitGenerated)), None)


def _message(commits: Sequence[tuple[str, CommitGenerated]]) -> str:
    """Of one app its own; of several their names, and what each of them says."""
    if len(commits) == 1:
        return commits[0][1].message
    messages = [action.message for _, action in commits]
    subject = f"Release {len(commits)} apps: {', '.join(name for name, _ in commits)}"
    if len(subject) > SUBJECT:
        subject = f"Release {len(commits)} apps"
    if any(SKIP_CI in message for message in messages):
        subject = f"{subject} {SKIP_CI}"
    body, trailers = [], dict.fromkeys(_trailers(messages))
    for name, message in zip((name for name, _ in commits), messages, strict=True):
        said = [line for line in message.splitlines()[1:] if line.startswith("* ")]
        body.append("\n".join([f"{name}:", *said] if said else [name]))
    return "\n\n".join([subject, "\n".join(body), *(["\n".join(trailers)] if trailers else [])]) + "\n"


def _trailers(messages: Iterable[str]) -> list[str]:
    return [line for message in messages for line in message.splitlines()[1:] if line.startswith("Connect-")]
