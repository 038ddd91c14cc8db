"""What a run that was killed left undone, and only that; the next run that writes finishes it first.

Everything is told from git's own state. A kill right after `git commit` leaves the user's index without our files; one
after a replayed push leaves HEAD on the commit that another took the place of. Mere files: see `leftovers`.
"""

from __future__ import annotations

import os
from shlex import quote

from ..configuration import App
from .generated_backup import backup_ref
from .git import Git, full_path
from .git_push import step_back
from .replay import NotReplayable, Replay, check_replay
from .tree import GENERATED, Blob
from .user_index import holder_of, is_gone, update_user_index

#: Seconds for which a git that is at work may well hold its lock of HEAD.
MOMENT = 1.0


def finish_interrupted(git: Git, app: App, *, remote_tip: str | None) -> tuple[str, ...]:
    """Finish it, and say what was done, or is a person's to do. `remote_tip` is the fetched tip of the branch of
    people. Raises RepositoryLocked."""
    head = git.resolve("HEAD")
    if head is None:
        return ()
    notes = (_index(git, app, head), _replayed(git, app, head, remote_tip), _locked(git))
    return tuple(note for note in notes if note)


def _index(git: Git, app: App, head: str) -> str | None:
    """Our files in the user's index, where they still stand as before HEAD's commit (or as what that run replaced, of
    which it kept a backup), and in the work tree as in HEAD."""
    parent = git.resolve(f"{head}^")
    if parent is None:
        return None
    paths = [full_path(app.path, name) for name in GENERATED]
    changed = {path: blob for path, blob in git.blobs_changed(parent, head).items() if path in paths}
    if not changed:
        return None
    staged, before, kept = _staged(git, paths), _entries(git, parent, app), _kept(git, app, parent)
    behind = {
        path: blob
        for path, blob in changed.items()
        if blob is not None
        and staged.get(path) != blob
        and (staged.get(path) == before.get(path) or (path in kept and staged.get(path) == kept[path]))
        and _as_in(git, path, blob)
    }
    if not behind:
        return None
    update_user_index(git, behind)
    return f"an earlier run was stopped before it updated the index: {', '.join(behind)}"


def _replayed(git: Git, app: App, head: str, tip: str | None) -> str | None:
    """HEAD is a commit of ours that the remote holds in another place."""
    if tip is None or git.is_ancestor(head, tip) or git.tree_id(tip, app.path) != git.tree_id(head, app.path):
        return None
    try:
        check_replay(git, head, tip, Replay(directory=app.path))
    except NotReplayable:
        return None
    return f"an earlier run pushed {head[:10]} as a part of {tip[:10]}; {step_back(git, head)}"


def _locked(git: Git) -> str | None:
    """A lock of git's, which a run with nothing to commit does not meet; it is never removed by us."""
    lock = git.git_dir / "HEAD.lock"
    if not lock.exists() or is_gone(lock, patience=MOMENT) or holder_of(lock) is not None:
        return None
    return f"{lock} was left by a git that was killed, and keeps every commit off: rm {quote(str(lock))}"


def _staged(git: Git, paths: list[str]) -> dict[str, Blob]:
    listed = git.ask("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *paths).stdout.split(b"\0")[:-1]
    entries = (entry.split(b"\t", 1) for entry in listed)
    return {os.fsdecode(path): Blob(*facts.decode().split()[:2]) for facts, path in entries}


def _entries(git: Git, commit: str, app: App) -> dict[str, Blob]:
    tree = git.tree(commit, app.path)
    return {full_path(app.path, name): tree[name] for name in GENERATED if name in tree}


def _kept(git: Git, app: App, parent: str) -> dict[str, Blob]:
    """What a run that began at that commit kept before it replaced it."""
    backup = git.resolve(backup_ref(app))
    return _entries(git, backup, app) if backup and git.resolve(f"{backup}^") == parent else {}


def _as_in(git: Git, path: str, blob: Blob) -> bool:
    target = git.root / path
    return target.is_file() and git.store(path, target.read_bytes()) == blob.oid
