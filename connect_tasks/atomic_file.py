"""Files that are old or new, never half."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

#: What a new file may be, before the umask. Read once: asking for the umask sets it, which other threads would see.
_UMASK = os.umask(0)
os.umask(_UMASK)
#: Of a file that is being written: then comes the number of the process that writes it.
PREFIX = ".connect-tasks-"


def write_file(path: Path, content: bytes) -> bool:
    """Make `path` hold `content`; False when it did already. The mode of an existing file is kept. Raises OSError, and
    leaves the old file then."""
    try:
        if path.read_bytes() == content:
            return False
        mode = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mode = 0o666 & ~_UMASK
    _replace(path, content, mode)
    return True


def write_private(path: Path, text: str) -> None:
    """Make `path` hold `text`, readable by its owner only. Raises OSError, and leaves the old file then."""
    _replace(path, text.encode(), 0o600)


def remove_half_written(directory: Path) -> None:
    """Remove what processes that are dead were about to write in `directory`; never an error."""
    for path in _half_written(directory):
        with contextlib.suppress(OSError):
            path.unlink()


def _replace(path: Path, content: bytes, mode: int) -> None:
    half = path.with_name(f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}")  # beside it: a rename is of one file system
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.chmod(mode)
        half.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink()
        raise


def _half_written(directory: Path) -> Iterator[Path]:
    for path in directory.glob(f"{PREFIX}*"):
        number = path.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and path.is_file() and not is_alive(int(number)):
            yield path


def is_alive(process: int) -> bool:
    """Whether a process of that number exists, whoever's it is."""
    if os.name == "nt":  # there, signal 0 ends it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
