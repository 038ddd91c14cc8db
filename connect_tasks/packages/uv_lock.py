"""Whether a uv.lock still belongs to its pyproject.toml (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..errors import DependenciesMissing
from .project_file import project_table

UV_LOCK = "uv.lock"
_CURE = "uv lock, then commit uv.lock"


def name_of(project: str) -> str:
    """The canonical name of the project; the lock holds the project itself under it."""
    return canonicalize_name(str(project_table(project).get("project", {}).get("name", "")))


def raise_if_outdated(lock: str, project: str) -> None:
    """Raises `DependenciesMissing` that names what the pyproject.toml declares otherwise than the lock remembers."""
    table = project_table(project).get("project", {})
    if "dependencies" in table.get("dynamic", []):
        return
    packages = project_table(lock, UV_LOCK).get("package", [])
    own = next((package for package in packages if package.get("name") == name_of(project)), None)
    if own is None:
        raise DependenciesMissing(f"uv.lock is not the lock of {table.get('name')!r}", where=UV_LOCK, hint=_CURE)
    declared, locked = _declared(table), _locked(own)
    different = sorted(declared.symmetric_difference(locked))
    if different:
        shown = ", ".join(f"{name}{specifier}" for name, specifier in different[:5])
        raise DependenciesMissing(
            f"uv.lock is older than pyproject.toml, which declares otherwise: {shown}", where=UV_LOCK, hint=_CURE
        )


def _declared(table: Mapping[str, Any]) -> set[tuple[str, str]]:
    lines = [*table.get("dependencies", [])]
    for extra in table.get("optional-dependencies", {}).values():
        lines += extra
    found: set[tuple[str, str]] = set()
    for line in lines:
        try:
            requirement = Requirement(str(line))
        except InvalidRequirement as error:
            raise DependenciesMissing(f"{line!r} is no requirement", where="pyproject.toml", hint="mend it") from error
        found.add((canonicalize_name(requirement.name), str(requirement.specifier)))
    return found


def _locked(package: Mapping[str, Any]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for row in package.get("metadata", {}).get("requires-dist", []):
        try:
            specifier = str(SpecifierSet(str(row.get("specifier", ""))))
        except InvalidSpecifier:
            specifier = str(row.get("specifier"))
        found.add((canonicalize_name(str(row.get("name"))), specifier))
    return found
