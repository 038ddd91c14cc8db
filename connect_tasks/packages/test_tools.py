"""What the app's tests need besides the app (pure)."""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..configuration import TestSettings
from ..errors import DependenciesMissing, RequirementRefused
from ..repository.tree import REQUIREMENTS
from . import requirements_file
from .dependencies import how_to_track
from .project_file import PYPROJECT, extra_requirements, group_requirements, project_table

_NAMES = ("test", "tests", "testing", "dev")
_FILES = tuple(f"requirements-{name}.{ending}" for name in ("test", "dev") for ending in ("in", "txt"))
_PYTEST = re.compile(r"^\s*pytest\b(?!-)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TestTools:
    """Requirement lines, installed beside the pins; `source` says where they stand, for people."""

    __test__ = False  # the name is the field's; pytest must not collect it

    lines: tuple[str, ...]
    source: str


def find_test_tools(test: TestSettings, files: Iterable[str], read: Callable[[str], str]) -> TestTools:
    """`test.group`, else a PEP 735 group or extra named test or dev, else requirements-{test,dev}.{in,txt}, else
    pytest alone where the command is pytest.

    `files` and `read` are of the app's directory. Raises `DependenciesMissing` for a group that does not exist.
    """
    names = frozenset(files)
    document = project_table(read(PYPROJECT)) if PYPROJECT in names else {}
    extras_cfg = _setup_cfg_extras(read("setup.cfg")) if "setup.cfg" in names else {}
    found = (
        _named(test.group, document, extras_cfg) if test.group else _by_convention(document, extras_cfg, names, read)
    )
    tools = found or TestTools(lines=(), source="nothing declared")
    if _runs_pytest(test.command) and not any(_PYTEST.match(line) for line in tools.lines):
        source = "pytest" if not tools.lines else f"{tools.source}, and pytest"
        return TestTools(lines=(*tools.lines, "pytest"), source=source)
    return tools


def _named(group: str, document: Mapping[str, Any], extras_cfg: Mapping[str, tuple[str, ...]]) -> TestTools:
    if _has(document.get("dependency-groups"), group):
        return TestTools(lines=tuple(group_requirements(document, group)), source=f"group {group} of {PYPROJECT}")
    if _has(document.get("project", {}).get("optional-dependencies"), group):
        return TestTools(lines=tuple(extra_requirements(document, group)), source=f"extra {group} of {PYPROJECT}")
    if group in extras_cfg:
        return TestTools(lines=extras_cfg[group], source=f"extra {group} of setup.cfg")
    raise DependenciesMissing(
        f"test.group = {group!r} is neither a group nor an extra",
        where=PYPROJECT,
        hint=f"add [dependency-groups] {group} = [...]",
    )


def _by_convention(
    document: Mapping[str, Any],
    extras_cfg: Mapping[str, tuple[str, ...]],
    names: frozenset[str],
    read: Callable[[str], str],
) -> TestTools | None:
    for name in _NAMES:
        groups = document.get("dependency-groups"), document.get("project", {}).get("optional-dependencies"), extras_cfg
        if any(_has(table, name) for table in groups):
            return _named(name, document, extras_cfg)
    for path in _FILES:
        if path in names:
            return TestTools(lines=tuple(_flat(path, names, read)), source=path)
    return None


def _flat(
    path: str, names: frozenset[str], read: Callable[[str], str], seen: frozenset[str] = frozenset()
) -> Iterator[str]:
    """A requirements file without the app's own dependencies, which the pins bring, and without the app itself, which
    is on the path."""
    for line in requirements_file.parse(read(path)):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), line.value))
        if line.option in {"-r", "--requirement"}:
            if posixpath.basename(target) in {REQUIREMENTS, "requirements.in"} or target in seen:
                continue
            if target not in names:
                raise DependenciesMissing(
                    f"{line.text} names a file that is not tracked",
                    where=f"{path}:{line.number}",
                    hint=how_to_track(target),
                )
            yield from _flat(target, names, read, seen | {path, target})
        elif (
            line.option in {"-c", "--constraint"}
            or line.text in {".", "./"}
            or (line.option in {"-e", "--editable"} and line.value in {".", "./"})
        ):
            continue
        elif reason := requirements_file.refusal(line):
            raise RequirementRefused(
                f"{reason[0]}: {requirements_file.mask(line.text)}", where=f"{path}:{line.number}", hint=reason[1]
            )
        else:
            yield line.text


def _setup_cfg_extras(text: str) -> dict[str, tuple[str, ...]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    if not parser.has_section("options.extras_require"):
        return {}
    return {
        name: tuple(filter(None, map(str.strip, value.splitlines())))
        for name, value in parser.items("options.extras_require")
    }


def _has(table: object, name: str) -> bool:
    return isinstance(table, dict) and name in table


def _runs_pytest(command: tuple[str, ...] | None) -> bool:
    if command is None:
        return True
    return posixpath.basename(command[0]) in {"pytest", "py.test"} or command[1:3] == ("-m", "pytest")
