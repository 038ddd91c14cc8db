"""Finished environments that are kept as templates, of which each run gets a copy.

A fresh environment costs pytest 0.9 s of compiling on its first run, a warm one 0.3 s. So one is made for each key
(Python, pins, tools) and compiled once; the template itself is never used. Its copies are hard links, made in 25 ms, or
none: one may be in stock, made while the run before had to wait for its server.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import process
from ..errors import CommandMissing, CommandTimedOut, ResolutionFailed

#: What there is of a template. The marker is written last, and never again: an environment without it was never
#: finished, and a file that is newer has been written into by those who had a copy.
ENVIRONMENT, MARKER, SPARE = "environment", ".complete", "spare"
#: Templates that are kept; the least recently used goes first.
KEPT = 12
#: Seconds for a copy.
COPY_PATIENCE = 300.0
#: Seconds to wait for another process that builds the same template.
PATIENCE = 1800.0


@dataclass(frozen=True, kw_only=True)
class Template:
    """An environment with that key; `build` makes it in the directory that it is given, if there is none in `cache`.

    Safe against other processes (one lock per template, which dies with its holder), against its own death (what has no
    marker is made anew), and against tests that write into installed files, which are the template's too: the next run
    finds them newer than the marker, and makes it anew.
    """

    key: str
    cache: Path
    build: Callable[[Path], None]

    @property
    def home(self) -> Path:
        return self.cache / self.key

    def copy(self, destination: Path) -> Path:
        """A copy for one run. Raises `ResolutionFailed`, and what `build` raises."""
        self.cache.mkdir(parents=True, exist_ok=True)
        fresh = False
        with _locked(self.cache, self.key):
            if not _is_whole(self.home):
                _clear(self.home)
                self.home.mkdir()
                self.build(self.home / ENVIRONMENT)
                (self.home / MARKER).touch()
                fresh = True
            _clear(destination)
            if not _taken(self.home / SPARE, destination):
                _copy(self.home / ENVIRONMENT, destination)
            os.utime(self.home)
        if fresh:
            _sweep(self.cache)
        return destination

    def restock(self) -> None:
        """Make the copy that the next run takes, unless there is one or the template is in use."""
        with contextlib.suppress(ResolutionFailed, OSError), _locked(self.cache, self.key, 0):
            spare, half_made = self.home / SPARE, self.home / f".{SPARE}"
            if (self.home / MARKER).is_file() and not spare.exists():
                _clear(half_made)
                _copy(self.home / ENVIRONMENT, half_made)
                half_made.rename(spare)


def key_of(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:32]


def _is_whole(home: Path) -> bool:
    try:
        made = (home / MARKER).stat().st_mtime_ns
        return not _is_newer(home / ENVIRONMENT, made)
    except OSError:
        return False


def _is_newer(directory: Path, moment: int) -> bool:
    """Whether a file at or below it was written after that moment, in nanoseconds."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if _is_newer(Path(entry.path), moment):
                    return True
            elif entry.stat(follow_symlinks=False).st_mtime_ns > moment:
                return True
    return False


def _taken(spare: Path, destination: Path) -> bool:
    try:
        spare.rename(destination)
    except OSError:  # none in stock, or on another file system
        return False
    return True


def _copy(source: Path, destination: Path) -> None:
    if not _linked_by_cp(source, destination):
        _clear(destination)
        _copy_by_python(source, destination)


def _linked_by_cp(source: Path, destination: Path) -> bool:
    """By a program where there is one that can: two copies at once would wait for each other's interpreter lock."""
    if sys.platform != "linux":
        return False
    argv: list[str | Path] = ["cp", "--archive", "--link", source, destination]
    try:
        return process.run(argv, cwd=source, env=os.environ, timeout=COPY_PATIENCE).ok
    except (CommandMissing, CommandTimedOut):
        return False


def _copy_by_python(source: Path, destination: Path) -> None:
    def linked(original: str, copy: str) -> None:
        try:
            os.link(original, copy)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(original, copy)

    shutil.copytree(source, destination, symlinks=True, copy_function=linked)


@contextlib.contextmanager
def _locked(cache: Path, key: str, patience: float = PATIENCE) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(cache / f"{key}.lock", timeout=patience):
            yield
    except Timeout as error:
        raise ResolutionFailed(
            f"another process has been building the same environment for {patience:g} s", where=str(cache)
        ) from error


def _sweep(cache: Path) -> None:
    """Remove what died half-built, and the templates that nobody used for longest. One in use is left alone: its lock
    is held."""
    homes = [path for path in cache.iterdir() if path.is_dir()]
    finished = sorted((path for path in homes if (path / MARKER).is_file()), key=_last_used, reverse=True)
    orphans = [path for path in homes if not (path / MARKER).is_file()]
    for home in [*orphans, *finished[KEPT:]]:
        with contextlib.suppress(ResolutionFailed), _locked(cache, home.name, 0):
            if home in finished or not (home / MARKER).is_file():
                _clear(home)


def _last_used(home: Path) -> float:
    try:
        return home.stat().st_mtime
    except OSError:
        return 0.0


def _clear(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
