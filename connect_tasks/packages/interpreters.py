"""Finding the app's interpreter on this computer, without a download.

Under pyenv `python3.12` on PATH is a shim that exits 127 unless that version is activated; nox, uv and
python-discovery then all say that 3.12 is missing although it is installed. So we look at pyenv's versions ourselves
(0.7 ms for nine), and ask uv for the rest only when that did not serve (0.4 s).
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import process
from ..errors import PythonMissing
from .python_version import PythonRequirement

_ASK = "import sys, platform; print(platform.python_implementation(), platform.python_version(), sys.executable)"
#: path, mtime, size -> version, so that a warm process asks an interpreter once.
_asked: dict[tuple[str, int, int], str | None] = {}


@dataclass(frozen=True)
class Interpreter:
    """A CPython on this computer: `version` is X.Y.Z, `path` absolute."""

    version: str
    path: Path

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


def find_interpreter(
    requirement: PythonRequirement, environ: Mapping[str, str], *, prefer: tuple[int, int] | None = None
) -> Interpreter:
    """The interpreter that the app shall be tested with: it satisfies the requirement and was run once to prove it.

    Where the requirement leaves a choice: the minor `prefer` (that of the committed manifest, say) if it is there,
    else the highest. The interpreter that runs us has no privilege among minors: the result must not depend on the
    Python of nox. Raises `PythonMissing` with the list of what was found.
    """
    wanted = requirement.minor or prefer
    seen: dict[Path, str] = {}
    for place in (_running, _pyenv, _uv_managed, _on_path):
        found = {candidate.path: candidate.version for candidate in place(environ)}
        seen |= found
        # One minor needs no further search once it is found; a range is decided among all that we know.
        fitting = {path: version for path, version in found.items() if _key(version)[:2] == wanted}
        if chosen := _first_working(requirement, fitting, environ):
            return chosen
    if not requirement.minor and (chosen := _first_working(requirement, seen, environ)):
        return chosen
    seen |= {candidate.path: candidate.version for candidate in _known_to_uv(environ)}
    if chosen := _first_working(requirement, seen, environ):
        return chosen
    raise PythonMissing(_not_found(requirement, seen), where=requirement.source, hint=_cure(requirement, seen))


def _first_working(
    requirement: PythonRequirement, found: Mapping[Path, str], environ: Mapping[str, str]
) -> Interpreter | None:
    fitting = [(path, version) for path, version in found.items() if requirement.allows(version)]
    for path, _ in sorted(fitting, key=lambda pair: (_key(pair[1]), pair[0] == Path(sys.executable)), reverse=True):
        version = _ask(path, environ)
        if version is not None and requirement.allows(version):
            return Interpreter(version, path)
    return None


def _running(_environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """The interpreter that runs us; its base, since ours may be a virtualenv that goes away."""
    base = Path(getattr(sys, "_base_executable", None) or sys.executable)
    if (base.parent.parent / "pyvenv.cfg").exists():  # Python 3.10 calls a symlinked virtualenv its own base
        base = base.resolve()
    if platform.python_implementation() == "CPython" and sys.version_info.releaselevel == "final":
        yield Interpreter(platform.python_version(), base)


def _pyenv(environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """Every version under pyenv's roots, activated or not. The root is known by a PATH entry called `shims` even where
    HOME is empty."""
    shims = [entry.parent for entry in _path(environ) if entry.name == "shims"]
    homes = [Path(environ[name]) / tail for name, tail in (("PYENV_ROOT", ""), ("HOME", ".pyenv")) if environ.get(name)]
    for root in dict.fromkeys([*homes, *shims]):
        yield from _versions_in(root / "versions", re.compile(r"(3\.\d+\.\d+)"))


def _uv_managed(environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """What `uv python install` put in its default place, or in the one that the environment names."""
    data = environ.get("XDG_DATA_HOME") or (environ["HOME"] + "/.local/share" if environ.get("HOME") else None)
    place = environ.get("UV_PYTHON_INSTALL_DIR") or (f"{data}/uv/python" if data else None)
    if place:
        yield from _versions_in(Path(place), re.compile(r"cpython-(3\.\d+\.\d+)-[^+]*"))


def _versions_in(directory: Path, name: re.Pattern[str]) -> Iterator[Interpreter]:
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        match = name.fullmatch(entry.name)
        python = next((path for path in (entry / "bin" / "python", entry / "python.exe") if path.is_file()), None)
        if match and python:
            yield Interpreter(match[1], python)


def _on_path(environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """`python3.N` on PATH, the first of each N. Shims promise what they can't give, and a virtualenv is somebody's
    own."""
    minors: set[str] = set()
    for entry in _path(environ):
        if entry.name == "shims" or (entry.parent / "pyvenv.cfg").is_file():
            continue
        for python in sorted(entry.glob("python3.*")):
            if (
                re.fullmatch(r"python3\.\d+", python.name)
                and python.name not in minors
                and (version := _ask(python, environ))
            ):
                minors.add(python.name)
                yield Interpreter(version, python)


def _known_to_uv(environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """The last resort (0.4 s): uv also knows the registry of Windows and the other places where Pythons live."""
    from .uv_door import uv_binary, uv_environment

    argv = [
        uv_binary(),
        "python",
        "list",
        "--only-installed",
        "--no-python-downloads",
        "--no-config",
        "--output-format",
        "json",
    ]
    done = process.run(argv, cwd=Path(sys.prefix), env=uv_environment(environ), timeout=60)
    try:
        rows = json.loads(done.text) if done.ok else []
    except ValueError:
        rows = []
    for row in rows:
        version = str(row.get("version"))
        if (
            re.fullmatch(r"3\.\d+\.\d+", version)
            and row.get("implementation") == "cpython"
            and row.get("variant", "default") == "default"
            and row.get("path")
        ):
            yield Interpreter(version, Path(row["path"]))


def _path(environ: Mapping[str, str]) -> list[Path]:
    return [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if entry]


def _ask(path: Path, environ: Mapping[str, str]) -> str | None:
    """Run it once: a directory's name is a promise, and a shim or a broken build breaks it. The one that runs us has
    proven itself."""
    if any(path == ours.path for ours in _running(environ)):
        return platform.python_version()
    try:
        status = path.stat()
    except OSError:
        return None
    key = (str(path), status.st_mtime_ns, status.st_size)
    if key not in _asked:
        env = {name: environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in environ}
        try:
            done = process.run([path, "-I", "-S", "-c", _ASK], cwd=path.parent, env=env, timeout=30)
        except Exception:  # noqa: BLE001  # whatever is wrong with a candidate, the next one may serve
            _asked[key] = None
        else:
            words = done.text.split()
            _asked[key] = words[1] if done.ok and words[:1] == ["CPython"] else None
    return _asked[key]


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _not_found(requirement: PythonRequirement, seen: Mapping[Path, str]) -> str:
    names = _sorted(set(seen.values()))
    have = f"found here: {', '.join(names)}" if names else "no CPython was found here"
    wanted = ".".join(map(str, requirement.minor)) if requirement.minor else requirement.requires
    return f"Python {wanted} is not installed; {have}"


def _sorted(versions: Iterable[str]) -> list[str]:
    return sorted(versions, key=_key)


def _cure(requirement: PythonRequirement, seen: Mapping[Path, str]) -> str:
    """How to get it; where nobody can (3.99), how to ask for what is here."""
    newest = max((_key(version)[:2] for version in seen.values()), default=(3, 12))
    minor = requirement.minor or newest
    if minor[1] > newest[1] + 3:
        return f'echo "3.{newest[1]}" > .python-version, then commit that file'
    return f"uv python install 3.{minor[1]}, or pyenv install 3.{minor[1]}"
