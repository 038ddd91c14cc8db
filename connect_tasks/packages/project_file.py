"""pyproject.toml's tables that name requirements (pure): [project], its extras, PEP 735 groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tomli

from ..errors import DependenciesMissing
from . import requirements_file

PYPROJECT = "pyproject.toml"


def project_table(text: str, where: str = PYPROJECT) -> dict[str, Any]:
    """A pyproject.toml as a dictionary. Raises `DependenciesMissing` when it is no TOML."""
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise DependenciesMissing(f"not readable as TOML: {error}", where=where, hint=f"mend {where}") from error


def requirements(document: Mapping[str, Any], extras: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """The requirement lines of `[project]`, of the extras and of the PEP 735 groups, includes and references to the
    project's own extras followed."""
    project = document.get("project", {})
    lines = [str(line) for line in project.get("dependencies", [])]
    for extra in extras:
        lines += extra_requirements(document, extra)
    for group in groups:
        lines += group_requirements(document, group)
    return tuple(dict.fromkeys(lines))


def extra_requirements(document: Mapping[str, Any], extra: str, seen: tuple[str, ...] = ()) -> list[str]:
    """The lines of one extra; `app[test]` within the app's own extras stands for the lines of that extra."""
    project = document.get("project", {})
    known = {normal(name): lines for name, lines in project.get("optional-dependencies", {}).items()}
    if normal(extra) not in known:
        raise DependenciesMissing(
            f"no extra named {extra!r}; there is {_listed(known)}", where=PYPROJECT, hint="mend `dependencies`"
        )
    found: list[str] = []
    for line in known[normal(extra)]:
        own = requirements_file.parse(str(line))
        requirement = own[0].requirement if own else None
        if requirement and normal(requirement.name) == normal(str(project.get("name", ""))):
            for inner in sorted(requirement.extras):
                if normal(inner) not in (*seen, normal(extra)):
                    found += extra_requirements(document, inner, (*seen, normal(extra)))
        else:
            found.append(str(line))
    return found


def group_requirements(document: Mapping[str, Any], group: str) -> list[str]:
    """The lines of one PEP 735 group. Raises `DependenciesMissing` for an unknown, cyclic or malformed one."""
    from packaging.dependency_groups import resolve_dependency_groups
    from packaging.errors import ExceptionGroup

    tables = document.get("dependency-groups", {})
    try:
        return list(resolve_dependency_groups(tables, group))
    except ExceptionGroup as errors:
        raise DependenciesMissing(
            str(errors.exceptions[0]), where=PYPROJECT, hint="mend [dependency-groups]"
        ) from errors
    except (LookupError, ValueError, TypeError) as error:
        raise DependenciesMissing(
            f"no group named {group!r}; there is {_listed(tables)}", where=PYPROJECT, hint="mend [dependency-groups]"
        ) from error


def index_options(document: Mapping[str, Any]) -> list[str]:
    """uv's indexes as pip's options; one that serves only named packages too, since pip has no such thing."""
    table = document.get("tool", {}).get("uv", {})
    rows = [row for row in table.get("index", []) if isinstance(row, dict) and "url" in row]
    defaults = [row["url"] for row in rows if row.get("default")] or [
        table[key] for key in ("index-url",) if key in table
    ]
    further = [row["url"] for row in rows if not row.get("default")] + list(table.get("extra-index-url", []))
    return [*(f"--index-url {url}" for url in defaults[:1]), *(f"--extra-index-url {url}" for url in further)]


def line_of(text: str, needle: str) -> str:
    """Where a value stands in the file: "pyproject.toml:7", or its name alone where the value is spelled otherwise."""
    number = next((number for number, line in enumerate(text.splitlines(), start=1) if needle in line), None)
    return f"{PYPROJECT}:{number}" if number else PYPROJECT


def normal(name: str) -> str:
    """The one spelling of an extra's, group's or package's name: `Foo_bar` is `foo-bar`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
