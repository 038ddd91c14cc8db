"""A run's own directory for everything temporary, and the removal of those whose run was killed.

The lock beside a directory is held from before the directory is made until after it is gone, and dies with its process:
a directory whose lock can be had belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import NoScratch
from .interrupts import uninterrupted

PREFIX = "connect-tasks-"
#: Seconds after which a directory without a lock is nobody's: no run takes that long.
ABANDONED = 24 * 3600.0


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new, empty directory that vanishes with the block; meanwhile `tempfile` puts everything there, whichever
    library asks it. What killed runs have left is removed first. Raises NoScratch."""
    before = tempfile.tempdir
    path: Path | None = None
    lock: int | None = None

    def put_away() -> None:
        nonlocal lock
        with uninterrupted():
            tempfile.tempdir = before
            if path is not None and lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                _unlock(path, lock)
                lock = None

    try:
        try:
            place = Path(tempfile.gettempdir()).absolute()
            remove_abandoned(place)
            with uninterrupted():
                path = place / f"{PREFIX}{secrets.token_hex(6)}"
                lock = hold(lock_of(path))
                path.mkdir(mode=0o700)
        except OSError as error:
            raise _no_scratch(error) from None
        tempfile.tempdir = str(path)
        yield path
    finally:
        try:
            put_away()
        finally:  # where an interrupt came before it had begun
            put_away()


def _no_scratch(error: OSError) -> NoScratch:
    """Where no directory will do, tempfile says so with all their names."""
    why = "nowhere may one be made" if error.errno == errno.ENOENT else error.strerror
    hint = "export TMPDIR=DIRECTORY, one that exists and has room, then run the same command again"
    where = os.environ.get("TMPDIR") or "TMPDIR"
    return NoScratch(f"there is no place for temporary files: {why}", where=where, hint=hint)


def lasting_directory(prefix: str) -> Path:
    """A new directory that stays when the run is over, beside the run's own."""
    here = Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix=prefix, dir=here.parent if lock_of(here).exists() else here))


def remove_abandoned(place: Path) -> None:
    """Remove what killed runs of this user have left in `place`: their directories, their locks, and what they had
    started in a home of their own (an app's tests that hang)."""
    for path in place.glob(f"{PREFIX}*"):
        directory = path.with_suffix("") if path.suffix == ".lock" else path
        if not _is_ours(path) or (os.path.lexists(directory) and not _is_ours(directory)):
            continue
        if not lock_of(directory).exists():  # of a version that had none
            if time.time() - path.lstat().st_mtime > ABANDONED:
                shutil.rmtree(path, ignore_errors=True)
            continue
        with contextlib.suppress(OSError):  # held: its run is alive
            lock = hold(lock_of(directory))
            for process in with_environment(f"HOME={directory}/"):
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            shutil.rmtree(directory, ignore_errors=True)
            _unlock(directory, lock)


def with_environment(entry: str) -> list[int]:
    """The processes, as far as we may know of them, in whose environment a variable starts with `entry`; none where the
    system does not tell."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"\0" + os.fsencode(entry) in b"\0" + (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def _is_ours(path: Path) -> bool:
    """A directory or a lock of this user's, no link: the place is everybody's."""
    try:
        found = path.lstat()
    except OSError:  # gone meanwhile
        return False
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return mine and (stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and path.suffix == ".lock"))


def hold(path: Path) -> int:
    """The descriptor that holds the lock. Raises BlockingIOError. (filelock does the same, and costs a run that has
    nothing to do as much time as all the rest of it to import.)"""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(directory: Path, descriptor: int) -> None:
    """The name goes first, and the lock with it: whoever has opened it meanwhile finds no directory.

    Where the directory could not be removed (a thread that nobody could end writes into it) the name stays, and with it
    the next run removes both: a directory without one would stay for a day.
    """
    if sys.platform == "win32":  # no name of an open file can go
        os.close(descriptor)
    with contextlib.suppress(OSError):
        if not directory.exists():
            lock_of(directory).unlink(missing_ok=True)
    if sys.platform != "win32":
        os.close(descriptor)


def lock_of(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")
