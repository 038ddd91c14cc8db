"""Put our commit on another parent, without the work tree: what a rebase would do, for a commit that touches generated
files only."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from .git import Git
from .tree import GENERATED


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What may be replayed: a commit that changes only these files, of this directory; or of others too, as the one
    commit of many apps does."""

    directory: str
    paths: tuple[str, ...] = GENERATED


class NotReplayable(Exception):
    """Why a commit can't be put on the new tip."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_replay(git: Git, commit: str, tip: str, replay: Replay, *, after: str | None = None) -> dict[str, str]:
    """The ids of the trees that `commit` made, by directory, where it may be put on `tip`.

    It may where nothing of the user's lies between (the parent of `commit` is in `tip`, or is `after`, which was put
    there just now) and no app of the commit moved, so that the trees stay the tested ones, or where `tip` holds our
    apps already. Raises NotReplayable.
    """
    parent = git.resolve(f"{commit}^")
    if parent is None or git.tree_id(commit, replay.directory) is None or git.resolve(f"{commit}^2") is not None:
        raise NotReplayable(reason=f"{commit[:10]} is not a commit of ours")
    if parent != after and not git.is_ancestor(parent, tip):
        raise NotReplayable(reason="commits of yours are not pushed yet")
    changed = git.blobs_changed(parent, commit)
    directories = {posixpath.dirname(path) or "." for path in changed} or {replay.directory}
    if replay.directory not in directories or any(posixpath.basename(path) not in replay.paths for path in changed):
        raise NotReplayable(reason=f"{commit[:10]} holds more than generated files")
    ours = {directory: git.tree_id(commit, directory) or "" for directory in sorted(directories)}
    for directory, tree in ours.items():
        if git.tree_id(tip, directory) not in {git.tree_id(parent, directory), tree}:
            raise NotReplayable(reason=f"{directory} changed there")
    return ours


def replay_onto(git: Git, commit: str, tip: str, replay: Replay, *, timeout: float, after: str | None = None) -> str:
    """A commit on top of `tip` with what `commit` did: same message, author, dates, signed if it was; `tip` itself when
    it holds the same apps already.

    `timeout` (seconds) is for the signer. `after` as for `check_replay`. Raises NotReplayable.
    """
    ours = check_replay(git, commit, tip, replay, after=after)
    root = tip
    for directory, tree in ours.items():
        if git.tree_id(tip, directory) != tree:
            root = git.graft(root, directory, tree)
    return tip if root == tip else commit_like(git, commit, root, tip, timeout=timeout)


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
