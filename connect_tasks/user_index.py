"""The one write to the user's index: entries of our own files, after they are committed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from .errors import RepositoryLocked
from .git import Git
from .git_messages import failed
from .tree import Blob

#: Seconds to wait for somebody else's index.lock: a `git status` in an editor holds it for a moment.
PATIENCE = 10.0


def update_user_index(git: Git, blobs: Mapping[str, Blob | None]) -> None:
    """Lay blobs (by path from the root) over the user's index; no other entry changes. Raises RepositoryLocked."""
    index = git.index_file
    deadline = time.monotonic() + PATIENCE
    while True:
        done = git.lay_over_index(index, blobs)
        if done.ok:
            break
        if "index.lock" not in done.error_text:
            raise failed(done)
        if time.monotonic() >= deadline:
            raise index_locked(git, f"the commit stands, but {', '.join(blobs)} could not be updated in the index")
        time.sleep(0.1)
    here = [path for path in blobs if (git.root / path).is_symlink() or (git.root / path).exists()]
    if here:  # stat data, so that the next plumbing call sees no false change
        git.run("--literal-pathspecs", "add", "--refresh", "--", *here)
    left_out = [os.fsencode(path) + b"\0" for path in blobs if path not in here]
    if left_out and git.flag("core.sparseCheckout"):  # the new entries say so again
        git.run("update-index", "--skip-worktree", "-z", "--stdin", input=b"".join(left_out))


def lock_is_gone(git: Git, *, patience: float) -> bool:
    """Whether nobody holds the user's index, now or within `patience` seconds."""
    lock, deadline = git.index_file.with_name("index.lock"), time.monotonic() + patience
    while lock.exists():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def index_locked(git: Git, consequence: str) -> RepositoryLocked:
    """The problem for an index.lock that stays, naming its holder when it can be found. It is never removed by us."""
    lock = git.index_file.with_name("index.lock")
    holder = holder_of(lock)
    who = f"held by {holder}" if holder else "and no running process holds it"
    return RepositoryLocked(
        f"{lock} exists, {who}; {consequence}", hint="wait for that program" if holder else f"rm {lock}"
    )


def holder_of(path: Path) -> str | None:
    """The process that has a file open, as "pid N (name)"; None when there is none, or the system does not tell."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if descriptor.readlink() == path.resolve():
                return f"pid {descriptor.parts[2]} ({(descriptor.parents[1] / 'comm').read_text().strip()})"
        except OSError:
            continue
    return None
