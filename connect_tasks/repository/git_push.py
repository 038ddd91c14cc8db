"""Push a commit of ours to a branch that people work on. Never forced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import PushRaceLost
from .git import Git
from .push_rounds import PushRounds
from .release_tag import ReleaseTag
from .replay import NotReplayable, Replay, replay_onto


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What the remote branch holds of ours. `replayed_from` is our first commit, where the branch had moved on and
    another commit took its place."""

    commit: str
    replayed_from: str | None = None
    note: str | None = None
    remote_said: str = ""


def push(
    git: Git,
    remote: str,
    branch: str,
    commit: str,
    *,
    timeout: float,
    replay: Replay | None = None,
    tag: ReleaseTag | None = None,
    verify: bool = True,
    before: Sequence[tuple[str, Replay]] = (),
) -> Pushed:
    """Bring `commit` (with what it stands on) to `branch` of the remote, within `timeout` seconds.

    With `replay`, a lost race is made good by putting our commit on the new tip, under the conditions of `replay_onto`,
    again and again until it lands; the local branch then steps back to our commit's parent, so that
    `git pull --ff-only` brings it to what was pushed with the user's edits kept. `tag` is pushed atomically with the
    branch. `verify` False skips the pre-push hook. `before`: commits of ours right under `commit`, the oldest
    first, that are replayed along. Raises PushRejected, PushRaceLost, TagTaken, RemoteUnreachable; our
    commit is kept and named.
    """

    def remake(tip: str, left: float) -> str:
        try:
            if replay is None:
                raise NotReplayable(reason="replaying was not asked for")
            onto, after = tip, None
            for each, how in (*before, (commit, replay)):
                onto, after = replay_onto(git, each, onto, how, timeout=left, after=after), each
        except NotReplayable as no:
            raise _race_lost(remote, branch, tip, commit, no.reason) from None
        return onto

    rounds = PushRounds(
        git=git, remote=remote, branch=branch, commit=commit, timeout=timeout, remake=remake, tag=tag, verify=verify
    )
    landed = rounds.run()
    if landed.commit == commit:
        return Pushed(commit=commit, note=landed.note, remote_said=landed.remote_said)
    advice = step_back(git, commit, first=before[0][0] if before else commit)
    note = "; ".join(filter(None, (landed.note, f"replayed on the new tip of {remote}/{branch}", advice)))
    return Pushed(commit=landed.commit, replayed_from=commit, note=note, remote_said=landed.remote_said)


def step_back(git: Git, commit: str, *, first: str | None = None) -> str:
    """Move HEAD from our commit to its parent (of several, to that of the `first`), index and work tree as they are;
    the advice for the user.

    The generated files then stand in the index as they were pushed, so that a fast-forward finds them in place.
    """
    parent = git.resolve(f"{first or commit}^")
    reason = "connect-tasks: our commit went to the remote in another place"
    if parent is not None and git.run("update-ref", "-m", reason, "HEAD", parent, commit).ok:
        return "next: git pull --ff-only"
    return "HEAD moved meanwhile, next: git pull --rebase"


def _race_lost(remote: str, branch: str, tip: str, commit: str, reason: str) -> PushRaceLost:
    return PushRaceLost(
        f"{remote}/{branch} moved to {tip[:10]} while {commit[:10]} was made, and {reason}; {commit[:10]} is kept",
        where=f"remote {tip}, ours {commit}",
        hint=f"git pull --rebase {remote} {branch}, then run the same command again",
    )
