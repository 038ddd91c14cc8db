"""Which apps a repository holds, where, and what their directories say about them."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..configuration import for_path
from ..configuration.app_mode import connect_mode, find_mode
from ..content.entrypoint import Entrypoint, detect
from ..content.entrypoint_candidates import find_candidates, module_file
from ..errors import DependenciesMissing, EntrypointWrong, ModeUnknown, Problem, raise_all
from ..packages.dependencies import DependencySource, find_dependencies
from ..packages.requirements_file import unpinned
from ..repository.tree import REQUIREMENTS
from .imported_packages import Imported, imported_packages, installed_packages
from .work_files import WorkFiles

#: Files that say: this directory is a project of its own.
MARKERS = frozenset(
    {"requirements.txt", "requirements.in", "uv.lock", "poetry.lock", "pyproject.toml", "manifest.json", "Pipfile"}
)
MANIFEST = "manifest.json"
#: Directories that hold other things than apps that somebody deploys.
_ASIDE = re.compile(r"(^|/)(tests?|docs?|examples?|samples?|node_modules|site-packages|\.[^/]*)(/|$)")
#: A file without any of these words makes no app; to parse each file of a large repository would take minutes.
_WORDS = re.compile(
    r"flask|fastapi|starlette|quart|litestar|falcon|bottle|django|dash|shiny|gradio|streamlit|panel|bokeh",
    re.IGNORECASE,
)
#: Pages that are made for those who ask whether the app is well; they need no database that a first start may lack.
_HEALTH = re.compile(r"""["'](/(?:health|healthz|healthcheck|ready|livez|ping|hello|status))["']""")
#: What shiny's express mode is called in a manifest: `shiny.express.app:app_2e_py` for app.py.
_EXPRESS = re.compile(r"shiny\.express\.app:(?P<file>\w+)")


NOTHING = Imported(packages=())


@dataclass(frozen=True, kw_only=True)
class FoundApp:
    """An app as its directory describes it; `path` as in the configuration.

    `declared`: the file with its dependencies; None: nothing declares them, and `imported` is what its files import.
    `inherited`: mode and entrypoint stand in another tool's configuration, which counts.
    `unpinned`: the declared requirements.txt leaves the choice of some version to whoever installs it.
    """

    name: str
    path: str
    mode: str
    entrypoint: str
    declared: str | None
    imported: Imported = NOTHING
    unpinned: bool = False
    health: str | None = None
    has_python: bool = True
    tests: bool = False
    inherited: bool = False
    manifest_python: str | None = None
    notes: tuple[str, ...] = ()


def find_apps(files: WorkFiles, only: str | None) -> tuple[FoundApp, ...]:
    """The apps below the root, in the order of their paths; or the one in the directory `only`.

    Raises what `detect` and `find_dependencies` raise, where there is none or it can't be told which one is meant.
    """
    if only is not None:
        return (_app_in(files, only, _owned(files, only, ())),)
    places = _places(files)
    found: dict[str, FoundApp] = {}
    doubtful: list[Problem] = []
    for place in sorted(places, key=lambda place: (place.count("/"), place)):
        if any(_within(place, parent) for parent in found):
            continue  # the configuration has no app within an app
        try:
            app = _app_in(files, place, _owned(files, place, places))
        except ModeUnknown:
            continue
        except (EntrypointWrong, DependenciesMissing) as problem:
            doubtful.append(problem)
            continue
        if _looks_deployed(app):
            found[place] = app
    if not found and doubtful:
        raise_all(doubtful[:1])
    if not found:
        found["."] = _app_in(files, ".", _owned(files, ".", ()))
    return _named(tuple(found[place] for place in sorted(found)), files.root)


def _places(files: WorkFiles) -> tuple[str, ...]:
    """Directories with a file that makes them a project; for Python files of none, where an app's file lies."""
    marked = {posixpath.dirname(path) or "." for path in files.paths if posixpath.basename(path) in MARKERS}
    marked |= {path.split("/.posit/")[0] for path in files.paths if "/.posit/publish/" in path}
    marked = {place for place in marked if not _ASIDE.search(place)}
    loose = _sources(files, ".", [path for path in files.paths if not any(_within(path, place) for place in marked)])
    for candidate in find_candidates(loose):
        path = module_file(candidate.entrypoint, loose) or ""
        place = posixpath.dirname(path)
        while place and posixpath.join(place, "__init__.py") in loose:
            place = posixpath.dirname(place)
        if candidate.mode.imported:
            marked.add(place or ".")
    return tuple(marked)


def _within(path: str, place: str) -> bool:
    return place in {".", path} or path.startswith(f"{place}/")


def _owned(files: WorkFiles, place: str, places: tuple[str, ...]) -> dict[str, str]:
    """The files of a place that belong to no other place within it, by their path there, as `detect` wants them."""
    inner = [other for other in places if other != place and _within(other, place)]
    paths = [p for p in files.paths if _within(p, place) and not any(_within(p, other) for other in inner)]
    return _sources(files, place, paths)


def _sources(files: WorkFiles, place: str, paths: list[str]) -> dict[str, str]:
    sources = {}
    for path in paths:
        text = files.read(path) or "" if path.endswith(".py") else ""
        sources[path if place == "." else path[len(place) + 1 :]] = text if _WORDS.search(text) else ""
    return sources


def _app_in(files: WorkFiles, place: str, sources: dict[str, str]) -> FoundApp:
    theirs = for_path(files.root, place).apps[0]  # what [tool.rsconnect] and Publisher's files say
    manifest = _old_manifest(files, place)
    said = Said(mode=theirs.mode, entrypoint=theirs.entrypoint)
    if theirs.mode is None and manifest is not None:
        said = _by_manifest(manifest, sources)
    entrypoint = detect(sources, said.mode, said.entrypoint)
    source, imported = _dependencies(files, place, entrypoint)
    return FoundApp(
        name=theirs.name,
        path=place,
        mode=entrypoint.mode.name,
        entrypoint=entrypoint.entrypoint,
        declared=source.spelling if source else None,
        imported=imported,
        unpinned=source is not None and _unpinned(source),
        health=_health(files, place, entrypoint, sources),
        has_python=entrypoint.mode.has_python,
        tests=any(re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", path) for path in sources),
        inherited=theirs.mode is not None,
        manifest_python=said.python,
        notes=said.notes,
    )


def _looks_deployed(app: FoundApp) -> bool:
    """A directory of pages or notebooks that nobody pointed at is documentation rather than content."""
    return find_mode(app.mode).imported or app.manifest_python is not None or app.inherited


@dataclass(frozen=True, kw_only=True)
class Said:
    """What another tool says of the app; None where it says nothing."""

    mode: str | None = None
    entrypoint: str | None = None
    python: str | None = None
    notes: tuple[str, ...] = ()


def _old_manifest(files: WorkFiles, place: str) -> Mapping[str, object] | None:
    path = posixpath.normpath(posixpath.join(place, MANIFEST))
    if path not in files.paths:
        return None
    try:
        manifest = json.loads(files.read(path) or "")
    except (ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) and "metadata" in manifest else None  # else some other tool's


def _by_manifest(manifest: Mapping[str, object], sources: Mapping[str, str]) -> Said:
    """Mode, entrypoint and Python of a manifest that was written before us. Raises `ModeUnknown` for an R app's."""
    metadata, python = manifest.get("metadata"), manifest.get("python")
    metadata = metadata if isinstance(metadata, dict) else {}
    version = python.get("version") if isinstance(python, dict) else None
    written = str(metadata.get("appmode") or "")
    mode = connect_mode(written)
    if mode is None:
        raise ModeUnknown(f"{MANIFEST} is that of {written or 'no'} content, which is no Python's", where=MANIFEST)
    entrypoint = str(metadata.get("entrypoint") or metadata.get("primary_html") or "")
    if express := _EXPRESS.fullmatch(entrypoint):
        name = re.sub(r"_([0-9a-f]{2})_", lambda match: chr(int(match[1], 16)), express["file"])
        entrypoint = name.removesuffix(".py")
    said = Said(mode=mode.name, entrypoint=entrypoint or None, python=version if isinstance(version, str) else None)
    there = module_file(entrypoint, sources) if mode.imported else entrypoint in sources
    if entrypoint and not there:
        note = f"{MANIFEST} names the entrypoint {entrypoint}, which is not there any more: looked for another"
        return replace(said, entrypoint=None, notes=(note,))
    return replace(said, notes=(f"mode and entrypoint are those of the {MANIFEST} that is there",))


def _dependencies(files: WorkFiles, place: str, entrypoint: Entrypoint) -> tuple[DependencySource | None, Imported]:
    if not entrypoint.mode.has_python:
        return None, NOTHING
    prefix = "" if place == "." else f"{place}/"
    try:
        source = _declared_in(files, prefix)
    except DependenciesMissing as missing:
        own = _below(files, prefix)
        if any(name in own for name in ("requirements.in", "requirements.txt", "uv.lock", "poetry.lock")):
            raise  # declared, and not readable: its own error says how
        sources = {path: files.read(prefix + path) or "" for path in own if path.endswith(".py")}
        sources = {path: text for path, text in sources.items() if not _ASIDE.search(posixpath.dirname(path))}
        imported = imported_packages(sources, installed_packages(Path(files.root, place)))
        if not imported.packages:
            raise missing from None
        return None, _declared_above(files, place, imported.packages) or imported
    return source, NOTHING


def _declared_in(files: WorkFiles, prefix: str) -> DependencySource:
    return find_dependencies(_below(files, prefix), lambda path: files.read(prefix + path) or "", None)


def _below(files: WorkFiles, prefix: str) -> list[str]:
    return [path[len(prefix) :] for path in files.paths if path.startswith(prefix)]


def _declared_above(files: WorkFiles, place: str, imported: tuple[str, ...]) -> Imported | None:
    """What the nearest directory above declares, where that is about this app: it declares something that is imported.

    People with a src layout say it once, at the root; Connect looks into the app's directory only.
    """
    while place not in {"", "."}:
        place = posixpath.dirname(place)
        prefix = f"{place}/" if place else ""
        try:
            source = _declared_in(files, prefix)
        except Problem:  # of another's file
            continue
        if source.direct & set(imported):
            lines = dict.fromkeys(line.line.text for line in source.lines if line.line.requirement)
            return Imported(packages=tuple(lines), declared_in=prefix + source.path)
    return None


def _unpinned(source: DependencySource) -> bool:
    """Whether a hand-written requirements.txt has a line that is no pin: kept as it is, it would freeze nothing."""
    return source.kind == REQUIREMENTS and bool(unpinned(source.content))


def _health(files: WorkFiles, place: str, entrypoint: Entrypoint, sources: Mapping[str, str]) -> str | None:
    """A page that the app's own file serves for those who ask whether it is well."""
    path = module_file(entrypoint.entrypoint, sources) if entrypoint.mode.kind in {"wsgi", "asgi"} else None
    text = files.read(posixpath.normpath(posixpath.join(place, path))) if path else None
    found = _HEALTH.search(text or "")
    return found[1] if found else None


def _named(apps: tuple[FoundApp, ...], root: Path) -> tuple[FoundApp, ...]:
    """Each with a name of its own: the last part of its path, or the whole of it where that is taken."""
    names = [posixpath.basename(app.path) if app.path != "." else root.name for app in apps]
    return tuple(
        app if names.count(name) == 1 else replace(app, name=app.path.replace("/", "-"))
        for app, name in zip(apps, names, strict=True)
    )
