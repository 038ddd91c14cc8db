"""Locks between runs of ours, in one repository (its linked work trees share them).

They are locks of the operating system on an open file: they die with their process, whatever ends it. A run of ours
that a hook of our own commit starts must not wait for the lock that its grandparent holds: it is told so by
environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from ..errors import LockHeld
from .git import Git

#: Names the repository whose lock a parent process of ours holds.
INSIDE = "CONNECT_TASKS_INSIDE"


def inside_our_lock(git: Git) -> dict[str, str]:
    """The variable for children (hooks) of a run that holds the lock."""
    return {INSIDE: str(git.common_dir)}


@contextlib.contextmanager
def lock(git: Git, name: str, *, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock `name` of this repository; wait up to `timeout` seconds for it. Raises LockHeld, naming the
    holder."""
    from filelock import FileLock, Timeout

    if git.environ.get(INSIDE) == str(git.common_dir):
        yield
        return
    place = git.common_dir / "connect-tasks" / "locks"
    place.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-." else f"%{ord(letter):02x}" for letter in name)
    path = place / f"{safe}.lock"
    holder = path.with_suffix(".holder")
    held = FileLock(path, timeout=timeout, poll_interval=0.05)
    try:
        held.acquire()
    except Timeout:
        raise LockHeld(
            f"another run holds the lock {name!r}: {_read_holder(holder)}",
            where=str(path),
            hint="wait for it, or --lock-timeout SECONDS",
        ) from None
    try:
        holder.write_text(
            json.dumps({"pid": os.getpid(), "since": datetime.now(timezone.utc).isoformat(timespec="seconds")}),
            encoding="utf-8",
        )
        yield
    finally:
        holder.unlink(missing_ok=True)
        held.release()


def _read_holder(path: Path) -> str:
    for _ in range(5):  # it writes its name a moment after it took the lock
        with contextlib.suppress(OSError, ValueError):
            holder = json.loads(path.read_text(encoding="utf-8"))
            return f"process {holder['pid']}, since {holder['since']}"
        time.sleep(0.02)
    return "its process did not leave a name"
