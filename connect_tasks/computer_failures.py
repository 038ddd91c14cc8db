"""What this computer refuses: no room, no right, no more open files. Its words become a `Problem` with a cure."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from .errors import ComputerRefused

AGAIN = "then run the same command again"
_ROOM = f"free some room (df -h), {AGAIN}"
_RIGHT = f"look at its owner, its mode and its mount (ls -ld, findmnt -T), {AGAIN}"
_FILES = f"ulimit -n 1024, {AGAIN}"
_CURES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: f"free some of the quota (quota -s), {AGAIN}",
    errno.EFBIG: f"ulimit -f unlimited, {AGAIN}",
    errno.EROFS: _RIGHT,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: f"end what takes the memory, {AGAIN}",
    errno.EAGAIN: f"end some processes (ulimit -u), {AGAIN}",
    errno.EIO: f"look at the disk (dmesg), {AGAIN}",
}
#: How git and other programs pass the same on.
_WORDS = {
    "No space left on device": _ROOM,
    "Disk quota exceeded": _ROOM,
    "Read-only file system": _RIGHT,
    "Permission denied": _RIGHT,
    "Operation not permitted": _RIGHT,
    "Too many open files": _FILES,
    "File too large": _CURES[errno.EFBIG],
}


def computer_refused(error: OSError) -> ComputerRefused | None:
    """The problem of an error that the computer has with us; None where it is rather a fault of ours."""
    cure = _CURES.get(error.errno or 0)
    if cure is None:
        return None
    where = error.filename if isinstance(error.filename, str) else None
    message = f"this computer refuses: {error.strerror}"
    if error.errno == errno.ENOSPC and where is not None:
        message += f", {_free(Path(where))} bytes are free"
    return ComputerRefused(message, where=where, hint=cure)


def cure_of(words: str) -> str | None:
    """What to do where another program's words tell of such a refusal; None where they do not."""
    return next((cure for said, cure in _WORDS.items() if said in words), None)


def _free(path: Path) -> int:
    try:
        return shutil.disk_usage(path if path.exists() else path.parent).free
    except OSError:
        return 0
