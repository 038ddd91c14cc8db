"""Put our commit on another parent, without the work tree: what a rebase would do, for a commit that touches generated
files only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .git import Git, full_path
from .tree import GENERATED


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What may be replayed: a commit that changes only these files of this directory."""

    directory: str
    paths: tuple[str, ...] = GENERATED


class NotReplayable(Exception):
    """Why a commit can't be put on the new tip."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_replay(git: Git, commit: str, tip: str, replay: Replay) -> str:
    """The id of the app's tree that `commit` made, where it may be put on `tip`.

    It may where nothing of the user's lies between (the parent of `commit` is in `tip`) and the app did not move, so
    that the tree stays the tested one, or where `tip` holds our app already. Raises NotReplayable.
    """
    parent = git.resolve(f"{commit}^")
    ours = git.tree_id(commit, replay.directory)
    if parent is None or ours is None or git.resolve(f"{commit}^2") is not None:
        raise NotReplayable(reason=f"{commit[:10]} is not a commit of ours")
    if not git.is_ancestor(parent, tip):
        raise NotReplayable(reason="commits of yours are not pushed yet")
    if not git.blobs_changed(parent, commit).keys() <= {full_path(replay.directory, path) for path in replay.paths}:
        raise NotReplayable(reason=f"{commit[:10]} holds more than generated files")
    if git.tree_id(tip, replay.directory) not in {git.tree_id(parent, replay.directory), ours}:
        raise NotReplayable(reason=f"{replay.directory} changed there")
    return ours


def replay_onto(git: Git, commit: str, tip: str, replay: Replay, *, timeout: float) -> str:
    """A commit on top of `tip` with what `commit` did: same message, author, dates, signed if it was; `tip` itself when
    it holds the same app already.

    `timeout` (seconds) is for the signer. Raises NotReplayable.
    """
    ours = check_replay(git, commit, tip, replay)
    if git.tree_id(tip, replay.directory) == ours:
        return tip
    return commit_like(git, commit, git.graft(tip, replay.directory, ours), tip, timeout=timeout)


def commit_like(git: Git, commit: str, tree: str, parent: str, *, timeout: float) -> str:
    """A commit object with another's message, author, dates and (made anew) signature. No hook runs."""
    headers, _, message = git.commit_data(commit).partition(b"\n\n")
    environment = {**_person("AUTHOR", headers), **_person("COMMITTER", headers)}
    encoding = re.search(rb"^encoding (\S+)", headers, re.MULTILINE)
    settings = ("-c", f"i18n.commitEncoding={encoding[1].decode()}") if encoding else ()
    signed = ("-S",) if re.search(rb"^gpgsig", headers, re.MULTILINE) else ()
    return git.line(
        git.run(*settings, "commit-tree", *signed, "-p", parent, tree, input=message, timeout=timeout, env=environment)
    )


def _person(role: str, headers: bytes) -> dict[str, str]:
    found = re.search(rb"^%s (.*) ?<(.*)> (\d+) ([-+]\d{4})" % role.lower().encode(), headers, re.MULTILINE)
    if found is None:
        return {}
    name, email, seconds, zone = (part.decode("utf-8", "surrogateescape") for part in found.groups())
    return {f"GIT_{role}_NAME": name.strip(), f"GIT_{role}_EMAIL": email, f"GIT_{role}_DATE": f"@{seconds} {zone}"}
