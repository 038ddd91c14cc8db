"""The Python interpreters of this machine, and the one an app's constraint chooses."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

NAME = re.compile(r"python3(\.\d+)?")  # and not python3-config, which would be run
OLDEST = Version("3.8")  # uv builds no environment for anything older


@dataclass(frozen=True)
class Interpreter:
    version: str  # "3.11.7"
    path: Path


def find_interpreters() -> tuple[Interpreter, ...]:
    """Every CPython found: one per version, newest first.

    Looks at the one that runs us, pyenv's (also those that its shims refuse to start), uv's own, and PATH.
    """
    found: dict[str, Interpreter] = {}
    for candidate in _candidates():
        version = _version(candidate, _stamp(candidate))
        if version is not None:
            found.setdefault(version, Interpreter(version, candidate))
    return tuple(sorted(found.values(), key=lambda interpreter: Version(interpreter.version), reverse=True))


def choose_interpreter(
    found: Sequence[Interpreter], *, requires: str | None, version: str | None
) -> Interpreter | None:
    """The newest that satisfies the PEP 440 specifier; without one, the patch nearest to `version` in the same minor.

    None if there is no such interpreter or the specifier is none. Nothing asked for: the newest.
    """
    if requires:
        try:
            specifier = SpecifierSet(requires)
        except InvalidSpecifier:
            return None
        return next((each for each in found if specifier.contains(each.version, prereleases=True)), None)
    if not version:
        return next(iter(found), None)
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    same_minor = [each for each in found if Version(each.version).release[:2] == wanted.release[:2]]
    return min(same_minor, key=lambda each: abs(Version(each.version).micro - wanted.micro), default=None)


def _candidates() -> Iterable[Path]:
    """Real executables, in order of preference, each once."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    path = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    names = [
        Path(getattr(sys, "_base_executable", sys.executable)),  # not the virtual environment's: that may go away
        *sorted(pyenv.glob("versions/*/bin/python"), reverse=True),
        *sorted(uv.glob("*/bin/python3"), reverse=True),
        *(python for entry in path for python in sorted(entry.glob("python3*")) if NAME.fullmatch(python.name)),
    ]
    shims = pyenv / "shims"
    executables = (each for each in names if each.is_file() and os.access(each, os.X_OK) and each.parent != shims)
    return dict.fromkeys(each.resolve() for each in executables)


def _stamp(path: Path) -> tuple[float, int]:
    status = path.stat()
    return status.st_mtime, status.st_size


@functools.lru_cache(maxsize=256)
def _version(path: Path, _stamp: tuple[float, int]) -> str | None:
    """What it says it is, None for anything but a usable CPython; asked once as long as the file is the same."""
    question = "import sys, platform, venv; print(platform.python_implementation(), platform.python_version())"
    try:
        answer = subprocess.run(
            [path, "-I", "-c", question],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout.split()
        usable = len(answer) == 2 and answer[0] == "CPython" and Version(answer[1]) >= OLDEST
    except (OSError, subprocess.SubprocessError, InvalidVersion, UnicodeDecodeError):
        return None
    return answer[1] if usable else None
