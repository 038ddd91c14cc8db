"""Where a run makes its environments: in the cache, not in the scratch.

Environments are made of links to files, thousands of them, and a link does not reach another file system; but temporary
files often lie in memory, into which all of it would be copied. And the names come again: a run takes the lowest number
that is free, so that uv knows the Python of an environment that was there before, and need not ask it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from .interrupts import uninterrupted
from .process import inherited
from .scratch import hold, lock_of


@contextlib.contextmanager
def slot(cache: Path, scratch: Path) -> Iterator[Path]:
    """A directory below `cache` that no other run has, empty, and empty again afterwards; `scratch` where the cache
    can't be written to. What killed runs have left is removed.

    Its lock is held meanwhile, and stays as a file: whoever waits for it must find the one that the others hold.
    """
    places = cache / "runs"
    try:
        places.mkdir(parents=True, exist_ok=True)
        path, held = next(_free(places, map(str, count(1))))
        path.mkdir(mode=0o700)
    except OSError:
        yield scratch
        return
    try:
        for _, lock in _free(places, {left.name for left in places.iterdir() if left.is_dir()} - {path.name}):
            os.close(lock)
        with inherited(held):  # an installer that goes on when we are killed must not meet the next run here
            yield path
    finally:
        with uninterrupted():
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)


def _free(places: Path, names: Iterable[str]) -> Iterator[tuple[Path, int]]:
    """Those that nobody has, with the lock that is held from now on; what was there is removed."""
    for name in names:
        try:
            lock = hold(lock_of(places / name))
        except BlockingIOError:
            continue
        except PermissionError:
            if not lock_of(places / name).exists():
                raise
            continue  # another user's
        shutil.rmtree(places / name, ignore_errors=True)
        yield places / name, lock
