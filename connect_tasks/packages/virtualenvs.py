"""Virtual environments made by uv: making, filling, listing; and finished ones kept as templates, of which each run
gets a copy.

A fresh environment costs pytest 0.9 s of compiling on its first run, a warm one 0.3 s. So one is made for each key
(Python, pins, tools), compiled once, and hard-linked for each run in 25 ms; the template itself is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from .. import process
from ..errors import CommandMissing, CommandTimedOut, ResolutionFailed
from . import requirements_file
from .interpreters import Interpreter
from .requirements_file import Pin
from .uv_door import Uv

#: Written last: an environment without it was never finished.
MARKER = ".complete"
#: Templates that are kept; the least recently used goes first.
KEPT = 12
#: Seconds for a copy.
COPY_PATIENCE = 300.0
#: Seconds to wait for another process that builds the same template.
PATIENCE = 1800.0


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def site_packages(environment: Path, interpreter: Interpreter) -> Path:
    return environment / (
        "Lib/site-packages" if sys.platform == "win32" else f"lib/python{interpreter.minor}/site-packages"
    )


def make(environment: Path, interpreter: Interpreter, uv: Uv, *, relocatable: bool = False) -> Path:
    """A fresh, empty environment: no pip, no setuptools, nothing of ours. Returns its Python."""
    more = ["--relocatable"] if relocatable else []
    done = uv.run(
        "venv", environment, "--python", interpreter.path, "--no-python-downloads", "--no-project", "--clear", *more
    )
    if not done.ok:
        raise uv.failure(done, f"no environment can be made with Python {interpreter.version}")
    return python_of(environment)


def install(python: Path, uv: Uv, *arguments: str | Path, where: str | None = None, cached: bool = True) -> None:
    """Install into an environment; `cached` False where only the index knows the newest release.

    Raises `ResolutionFailed` with uv's reasons.
    """
    done = uv.fetch("pip", "install", "--python", python, "--no-python-downloads", *arguments, cached=cached)
    if not done.ok:
        raise uv.failure(done, "the dependencies can't be installed", where=where)


def installed(python: Path, uv: Uv) -> dict[str, Pin]:
    """What `uv pip freeze` says. Its streams are never merged: it greets on the second one."""
    done = uv.run("pip", "freeze", "--python", python, "--no-python-downloads", quiet=False)
    if not done.ok:
        raise uv.failure(done, "the environment can't be read")
    found = requirements_file.pins_of(done.text)
    for line in requirements_file.parse(done.text):
        if line.requirement and line.requirement.url:
            name = canonicalize_name(line.requirement.name)
            found.setdefault(name, Pin(name=name, url=line.requirement.url))
    return found


def key_of(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:32]


def copy_of(template: str, cache: Path, destination: Path, build: Callable[[Path], None], *, link: bool = True) -> Path:
    """A copy of the template with that key, which `build` makes in the directory that it is given if it isn't there.

    Safe against other processes (one lock per template, which dies with its holder) and against its own death: what
    has no marker is made anew. `link` False copies the bytes, for tests that write into installed files.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache, template):
        home = cache / template
        if not (home / MARKER).is_file():
            _clear(home)
            build(home)
            (home / MARKER).touch()
            fresh = True
        else:
            os.utime(home / MARKER)
            fresh = False
        _clear(destination)
        _copy(home, destination, link=link)
    if fresh:
        _sweep(cache)
    return destination


def _copy(source: Path, destination: Path, *, link: bool) -> None:
    if not (link and _linked_by_cp(source, destination)):
        _clear(destination)
        _copy_by_python(source, destination, link=link)
    (destination / MARKER).unlink()


def _linked_by_cp(source: Path, destination: Path) -> bool:
    """By a program where there is one that can: two copies at once would wait for each other's interpreter lock."""
    if sys.platform != "linux":
        return False
    argv: list[str | Path] = ["cp", "--archive", "--link", source, destination]
    try:
        return process.run(argv, cwd=source, env=os.environ, timeout=COPY_PATIENCE).ok
    except (CommandMissing, CommandTimedOut):
        return False


def _copy_by_python(source: Path, destination: Path, *, link: bool) -> None:
    def linked(original: str, copy: str) -> None:
        try:
            os.link(original, copy)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(original, copy)

    shutil.copytree(
        source,
        destination,
        symlinks=True,
        copy_function=linked if link else shutil.copy2,
    )


@contextlib.contextmanager
def _locked(cache: Path, template: str, patience: float = PATIENCE) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(cache / f"{template}.lock", timeout=patience):
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
        return (home / MARKER).stat().st_mtime
    except OSError:
        return 0.0


def _clear(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
