"""Files that a killed run has left in a repository; the next run, whichever it is, removes them.

Only what is surely nobody's goes: the process that wrote it is dead, and nothing that it had started uses it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterable

from ..atomic_file import is_alive, remove_half_written
from ..errors import LockHeld
from ..scratch import with_environment
from .git import Git
from .repository_lock import lock

#: Seconds after which a private index belongs to nobody where the system can't tell us: no hook takes that long.
ABANDONED = 24 * 3600.0


def remove_leftovers(git: Git, directories: Iterable[str]) -> None:
    """Of our own directories below git's, and of the apps' `directories` (from the root); never an error."""
    own = git.common_dir / "connect-tasks"
    for place in (*(git.root / directory for directory in directories), own, *own.glob("*/")):
        remove_half_written(place)
    for holder in own.glob("locks/*.holder"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if not is_alive(int(json.loads(holder.read_text(encoding="utf-8"))["pid"])):
                holder.unlink()
    if any(git.git_dir.glob("connect-tasks/commit-*")):
        with contextlib.suppress(OSError, LockHeld), lock(git, "repository"):
            _remove_private_indexes(git)


def _remove_private_indexes(git: Git) -> None:
    """A `git commit` that outlived its run reads its index again after the hooks: without it, it would commit an empty
    tree."""
    for place in git.git_dir.glob("connect-tasks/commit-*"):
        told = os.path.isdir("/proc/self")  # noqa: PTH112  # one question to the system
        old = time.time() - place.stat().st_mtime > ABANDONED
        if old or (told and not with_environment(f"GIT_INDEX_FILE={place}")):
            shutil.rmtree(place, ignore_errors=True)
