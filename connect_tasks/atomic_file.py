"""Files that are old or new, never half."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

#: What a new file may be, before the umask. Read once: asking for the umask sets it, which other threads would see.
_UMASK = os.umask(0)
os.umask(_UMASK)


def write_file(path: Path, content: bytes) -> bool:
    """Make `path` hold `content`; False when it did already. The mode of an existing file is kept. Raises OSError, and
    leaves the old file then."""
    try:
        if path.read_bytes() == content:
            return False
        mode = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mode = 0o666 & ~_UMASK
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return True
