"""Reading poetry.lock (pure): the declared names, and every locked release as a constraint.

Poetry's own notation for versions (`^3.0`) need not be understood: the names are declared, the lock says which release
each is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import DependenciesMissing
from . import project_file
from .project_file import PYPROJECT, group_requirements, normal, project_table

POETRY_LOCK = "poetry.lock"
_STALE = "poetry lock, then commit poetry.lock"


def requirements(document: Mapping[str, Any], extras: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """The declared requirement lines, of `[project]` and of Poetry's own tables; the latter without versions."""
    extras = tuple(extras)
    own = {normal(name) for name in document.get("project", {}).get("optional-dependencies", {})}
    lines = project_file.requirements(document, tuple(extra for extra in extras if normal(extra) in own), ())
    return (*lines, *_poetry_roots(document, extras, tuple(groups)))


def constraints(lock: str, declared: Iterable[str]) -> list[str]:
    """One `name==version` or `name @ url` line for each locked package.

    `declared` are canonical names. Raises `DependenciesMissing` when the lock lacks one of them.
    """
    packages = project_table(lock, POETRY_LOCK).get("package", [])
    absent = sorted(set(declared) - {normal(package["name"]) for package in packages})
    if absent:
        names = ", ".join(absent)
        raise DependenciesMissing(
            f"{names} is declared in pyproject.toml and absent from poetry.lock", where=POETRY_LOCK, hint=_STALE
        )
    return [_locked(package) for package in packages]


def index_options(document: Mapping[str, Any]) -> list[str]:
    """Poetry's sources as pip's options; an explicit one too, since pip has no index per package."""
    sources = document.get("tool", {}).get("poetry", {}).get("source", [])
    found: list[str] = []
    for source in sources:
        if isinstance(source, dict) and "url" in source:
            replaces = source.get("priority", "primary") in {"primary", "default"} or source.get("default")
            found.append(("--index-url " if replaces and not found else "--extra-index-url ") + source["url"])
    return found


def _poetry_roots(document: Mapping[str, Any], extras: tuple[str, ...], groups: tuple[str, ...]) -> Iterator[str]:
    poetry = document.get("tool", {}).get("poetry", {})
    wanted = {normal(name) for extra in extras for name in poetry.get("extras", {}).get(extra, [])}
    tables = [poetry.get("dependencies", {})]
    for group in groups:
        if group in document.get("dependency-groups", {}):
            yield from group_requirements(document, group)
            continue
        table = poetry.get("group", {}).get(group)
        if table is None:
            raise DependenciesMissing(f"no Poetry group named {group!r}", where=PYPROJECT, hint="mend `dependencies`")
        tables.append(table.get("dependencies", {}))
    for table in tables:
        for name, value in table.items():
            entries = value if isinstance(value, list) else [value]
            details = [entry if isinstance(entry, dict) else {} for entry in entries]
            if name.lower() == "python" or (
                any(entry.get("optional") for entry in details) and normal(name) not in wanted
            ):
                continue
            declared_extras = sorted({extra for entry in details for extra in entry.get("extras", [])})
            marker = details[0].get("markers") if len(details) == 1 else None
            suffix = f"[{','.join(declared_extras)}]" if declared_extras else ""
            yield f"{name}{suffix}" + (f" ; {marker}" if marker else "")


def _locked(package: Mapping[str, Any]) -> str:
    """One locked package as a constraint; its markers (lock files of Poetry 2) tell two releases of one name apart."""
    source = package.get("source", {})
    kind, url = source.get("type"), str(source.get("url", ""))
    if kind == "git":
        subdirectory = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        line = f"{package['name']} @ git+{url}@{source.get('resolved_reference', '')}{subdirectory}"
    elif kind == "url":
        line = f"{package['name']} @ {url}"
    elif kind in {"directory", "file"}:
        line = f"{package['name']} @ file:{url}"
    else:
        line = f"{package['name']}=={package['version']}"
    markers = package.get("markers")
    if isinstance(markers, dict):
        markers = markers.get("main")
    return f"{line} ; {markers}" if markers and "extra ==" not in markers else line
