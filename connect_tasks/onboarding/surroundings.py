"""Looks at a directory for `init`: files, git, Python, nox. Changes nothing."""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from .. import process
from ..configuration import app_names, load
from ..errors import CommandTimedOut, ConfigurationMissing, Problem, PythonMissing
from ..packages.python_version import PYTHON_FILES, declared_python
from ..server.deployment_records import read_records
from .app_search import FoundApp, find_apps
from .habit_files import PRE_COMMIT
from .init_plan import Surroundings
from .noxfile_text import NOXFILE
from .table_text import FILE, Shared
from .work_files import WorkFiles, find_work_files

_TEXTS = (FILE, NOXFILE, ".gitignore", PRE_COMMIT, ".gitlab-ci.yml", "connect.gitlab-ci.yml")
_WORKFLOW = ".github/workflows/connect.yml"
_VERSION_FILE = ".python-version"


def look_around(directory: Path, path: str | None, environ: Mapping[str, str]) -> tuple[WorkFiles, Surroundings]:
    """`path`: the app's directory, relative to `directory`. Raises what `find_apps` and the configuration raise."""
    files = find_work_files(directory, environ)
    configured = _is_configured(files.root)
    apps = () if configured else find_apps(files, _only(files.root, directory, path))
    texts = {name: text for name in (*_TEXTS, _WORKFLOW) if (text := _text(files.root / name)) is not None}
    ignored = [app for app in apps if files.ignored(posixpath.normpath(posixpath.join(app.path, _VERSION_FILE)))]
    return files, Surroundings(
        apps=apps,
        texts={**texts, **_own_texts(files, apps)},
        has_repository=files.git is not None,
        configured=configured,
        shared=_shared(files, apps),
        branch=_branch(files) or "main",
        python=_pythons(files, apps),
        python_ignored=bool(ignored),
        nox_lacks_us=_nox_lacks_us(environ),
    )


def _is_configured(root: Path) -> bool:
    """Raises ConfigurationInvalid: what is there and wrong is to be mended, not added to."""
    try:
        load(root)
    except ConfigurationMissing:
        return False
    return bool(app_names(root))


def _only(root: Path, directory: Path, path: str | None) -> str | None:
    """The directory asked for, from the root; the one that we stand in, unless that is the root."""
    place = (directory / (path or ".")).resolve()
    if path is None and place == root.resolve():
        return None
    return place.relative_to(root.resolve()).as_posix() if place.is_relative_to(root.resolve()) else path


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _own_texts(files: WorkFiles, apps: tuple[FoundApp, ...]) -> dict[str, str]:
    names = (
        posixpath.normpath(posixpath.join(app.path, name))
        for app in apps
        for name in (_VERSION_FILE, "requirements.in")
    )
    return {name: text for name in names if (text := _text(files.root / name)) is not None}


# git --------------------------------------------------------------------------------------------------------------


def _shared(files: WorkFiles, apps: tuple[FoundApp, ...]) -> Shared:
    remotes = files.git.remotes() if files.git else ()
    remote = remotes[0] if len(remotes) == 1 and remotes[0] != "origin" else None
    servers = {record.server for app in apps for record in read_records(files.root / app.path)}
    return Shared(remote=remote, branch=_branch(files), server=servers.pop() if len(servers) == 1 else None)


def _branch(files: WorkFiles) -> str | None:
    """The remote's own main branch, where a clone knows it; else the one that HEAD is on."""
    if files.git is None:
        return "main"
    for remote in files.git.remotes():
        known = files.git.ask("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD")
        if known.ok:
            return known.text.strip().removeprefix(f"{remote}/")
    return files.git.head().branch


# Python -----------------------------------------------------------------------------------------------------------


def _pythons(files: WorkFiles, apps: tuple[FoundApp, ...]) -> dict[str, str]:
    """`.python-version` -> minor, for each app whose directories declare no Python."""
    wanted = [app for app in apps if app.has_python and not _declares(files, app.path)]
    return {posixpath.normpath(posixpath.join(app.path, _VERSION_FILE)): _minor(files.root, app) for app in wanted}


def _declares(files: WorkFiles, place: str) -> bool:
    """Raises `PythonMissing` for a declaration that can't be read."""
    above = [place]
    while above[-1] not in {"", "."}:
        above.append(posixpath.dirname(above[-1]) or ".")
    texts = [
        {name: text for name in PYTHON_FILES if (text := _listed(files, posixpath.join(there, name))) is not None}
        for there in above
    ]
    try:
        declared_python(texts[0], texts[1:], None)
    except PythonMissing:
        if any(_VERSION_FILE in each or _names_a_python(each) for each in texts):
            raise
        return False
    return True


def _names_a_python(texts: Mapping[str, str]) -> bool:
    return any(re.search(r"(?m)^\s*(requires-python|python_requires)\s*=", text) for text in texts.values())


def _listed(files: WorkFiles, path: str) -> str | None:
    path = posixpath.normpath(path)
    return files.read(path) if path in files.paths else None


def _minor(root: Path, app: FoundApp) -> str:
    """What the app has been run with, by whatever tells; else the Python that runs us, which is surely here."""
    directory = root / app.path
    told = (
        app.manifest_python,
        _text(directory / _VERSION_FILE),
        _text(directory / "runtime.txt"),
        *(_text(directory / name / "pyvenv.cfg") for name in (".venv", "venv", "env")),
        _pipfile(_text(directory / "Pipfile.lock")),
    )
    for text in told:
        if found := re.search(r"(?<![\d.])3\.\d+", text or ""):
            return found[0]
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _pipfile(lock: str | None) -> str | None:
    try:
        return str(json.loads(lock or "{}")["_meta"]["requires"]["python_version"])
    except (ValueError, KeyError, TypeError):
        return None


# nox --------------------------------------------------------------------------------------------------------------


def _nox_lacks_us(environ: Mapping[str, str]) -> bool:
    """Whether the nox that a shell would find runs in an environment without us: one of pipx or uvx (T24)."""
    nox = shutil.which("nox", path=environ.get("PATH"))
    if nox is None or Path(nox).parent == Path(sys.executable).parent:
        return False
    python = _interpreter(Path(nox).resolve())
    if python is None:
        return False
    ask = "import importlib.util, sys; sys.exit(importlib.util.find_spec('connect_tasks') is None)"
    try:
        env = process.child_environment(environ)
        return process.run([python, "-c", ask], cwd=python.parent, env=env, timeout=30).status == 1
    except (CommandTimedOut, Problem, OSError):
        return False


def _interpreter(script: Path) -> Path | None:
    """The Python of a console script, by its first line."""
    try:
        with script.open("rb") as file:
            first = file.readline(500).decode("utf-8", "replace").strip()
    except OSError:
        return None
    path = Path(first[2:].strip().split(" ")[0]) if first.startswith("#!") else script.parent / "python.exe"
    return path if path.name.startswith("python") and path.is_file() else None
