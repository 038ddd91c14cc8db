"""The one write to the user's index: entries of our own files, after they are committed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from ..errors import RepositoryLocked
from ..process import Completed
from .git import Git, blob_id
from .git_messages import failed, named
from .tree import EXECUTABLE, FILE, Blob

#: Seconds to wait for somebody else's index.lock: a `git status` in an editor holds it for a moment.
PATIENCE = 10.0


def update_user_index(git: Git, blobs: Mapping[str, Blob]) -> None:
    """Let the entries of `blobs` (by path from the root) be these; no other entry changes. Raises RepositoryLocked."""
    on_disk = [path for path, blob in blobs.items() if _holds(git.root / path, blob)]
    if on_disk:  # added from the disk, with its stat data: the next plumbing call sees no false change
        paths = b"".join(os.fsencode(path) + b"\0" for path in on_disk)
        _patiently(git, blobs, lambda: git.run("update-index", "--add", "-z", "--stdin", input=paths))
    others = {path: blob for path, blob in blobs.items() if path not in on_disk}
    if others:
        _patiently(git, blobs, lambda: git.lay_over_index(git.index_file, others))
    left_out = b"".join(os.fsencode(path) + b"\0" for path in others if not (git.root / path).exists())
    if left_out and git.flag("core.sparseCheckout"):  # the new entries must say so again
        git.run("update-index", "--skip-worktree", "-z", "--stdin", input=left_out)


def _patiently(git: Git, blobs: Mapping[str, Blob], update: Callable[[], Completed]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (done := update()).ok:
        if "index.lock" not in done.error_text:
            raise failed(done)
        if time.monotonic() >= deadline:
            raise index_locked(git, f"the commit stands, but {named(blobs)} could not be updated in the index")
        time.sleep(0.1)


def _holds(path: Path, blob: Blob) -> bool:
    """Whether the file is what git would store as this blob, with its mode."""
    if path.is_symlink() or not path.is_file():
        return False
    mode = EXECUTABLE if path.stat().st_mode & 0o100 else FILE
    return mode == blob.mode and blob_id(path.read_bytes(), like=blob.oid) == blob.oid


def lock_is_gone(git: Git, *, patience: float) -> bool:
    """Whether nobody holds the user's index, now or within `patience` seconds."""
    return is_gone(git.index_file.with_name("index.lock"), patience=patience)


def is_gone(lock: Path, *, patience: float) -> bool:
    """Whether a lock file of git's is away, now or within `patience` seconds."""
    deadline = time.monotonic() + patience
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
        f"{lock} exists, {who}; {consequence}", hint="wait for that program" if holder else f"rm {quote(str(lock))}"
    )


def holder_of(path: Path) -> str | None:
    """The process that has a file open, as "pid N (name)"; None when there is none, or the system does not tell."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            for descriptor in (process / "fd").iterdir():
                if _leads_to(descriptor, path.resolve()):
                    return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def _leads_to(descriptor: Path, path: Path) -> bool:
    try:
        return descriptor.readlink() == path
    except OSError:  # closed meanwhile
        return False
