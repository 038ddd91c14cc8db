"""Which Python the app declares (pure: text in, value out).

We parse by ourselves: rsconnect-python 1.32 looks only into the app's own directory, drops `cpython-3.12` and `3.12.x`
with a log line and exit code 0, and a manifest without a Python constraint lets the server choose any interpreter that
it has.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import tomli
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..errors import PythonMissing

#: The files that say it, in the order in which they are asked.
PYTHON_FILES = (".python-version", "pyproject.toml", "setup.cfg")
_PLAIN = re.compile(r"(?:cpython|python)?[-@]?(?P<version>3(?:\.\d+){0,2})")
_CURE = 'echo "3.12" > .python-version, then commit that file'


@dataclass(frozen=True, kw_only=True)
class PythonRequirement:
    """A PEP 440 specifier as Connect's manifest wants it, and where it stands.

    `minor` is (3, 12) where the declaration leaves one choice, None for a range. A patch level is not kept: "3.12.1"
    is "~=3.12.0" to Connect.
    """

    requires: str
    minor: tuple[int, int] | None
    source: str

    def allows(self, version: str) -> bool:
        """Whether an interpreter of that version (X.Y.Z) will do; a pre-release of Python never does unless it is
        asked for."""
        return SpecifierSet(self.requires).contains(version)


def declared_python(
    tree_texts: Mapping[str, str], parents: Sequence[Mapping[str, str]], configured: str | None
) -> PythonRequirement:
    """What the app declares: the configuration, else the nearest `.python-version`, else the nearest `requires-python`
    or `python_requires`.

    The mappings are file name -> text, of the app's directory and of those above it, nearest first, up to the
    repository's root. Raises `PythonMissing` with the line that cures it: nothing declared, not a version, or a
    `.python-version` that the app's own `requires-python` excludes.
    """
    directories = [("", tree_texts), *(("../" * (depth + 1), texts) for depth, texts in enumerate(parents))]
    ranges = [found for prefix, texts in directories for found in _ranges(prefix, texts)]
    if configured is not None:
        return _parse(configured, "python in the configuration", _fitting_cure(ranges))
    for prefix, texts in directories:
        if ".python-version" in texts:
            where = f"{prefix}.python-version"
            cure = _fitting_cure(ranges)
            pinned = _parse(_first_line(texts[".python-version"], where, cure), where, cure)
            own = [found for found in ranges if not found.source.startswith("..")]
            _agree(pinned, own)
            return pinned
    if ranges:
        return ranges[0]
    raise PythonMissing("the app does not say which Python it runs on", where=".python-version", hint=_CURE)


def _ranges(prefix: str, texts: Mapping[str, str]) -> Iterator[PythonRequirement]:
    if "pyproject.toml" in texts:
        where = f"{prefix}pyproject.toml"
        try:
            declared = _requires_python(texts["pyproject.toml"])
        except tomli.TOMLDecodeError as error:
            raise PythonMissing(f"not readable as TOML: {error}", where=where, hint=f"mend {where}") from error
        if declared is not None:
            yield _parse(declared, f"requires-python in {where}", f'set requires-python = ">=3.10" in {where}')
    if "setup.cfg" in texts:
        where = f"{prefix}setup.cfg"
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(texts["setup.cfg"])
        except configparser.Error as error:
            raise PythonMissing(
                f"not readable: {error.message.splitlines()[0]}", where=where, hint=f"mend {where}"
            ) from error
        if declared := parser.get("options", "python_requires", fallback=None):
            yield _parse(declared, f"python_requires in {where}", f"set python_requires = >=3.10 in {where}")


@lru_cache(maxsize=8)
def _requires_python(pyproject: str) -> str | None:
    """Kept, because the file at the root of a repository is asked for each of its 500 apps. Raises TOMLDecodeError."""
    project = tomli.loads(pyproject).get("project")
    declared = project.get("requires-python") if isinstance(project, dict) else None
    return declared if isinstance(declared, str) else None


def _first_line(text: str, where: str, cure: str) -> str:
    """pyenv reads several versions, one a line; the first is the one that `python` means."""
    lines = (line.split("#", 1)[0].strip() for line in text.lstrip("\ufeff").splitlines())
    first = next(filter(None, lines), None)
    if first is None:
        raise PythonMissing("the file is empty", where=where, hint=cure)
    return first


def _parse(text: str, source: str, cure: str = _CURE) -> PythonRequirement:
    declared = text.strip()
    plain = _PLAIN.fullmatch(declared.removesuffix(".x"))
    if plain:
        parts = [int(part) for part in plain["version"].split(".")]
        if len(parts) == 1:
            return PythonRequirement(requires="~=3.0", minor=None, source=source)
        return PythonRequirement(requires=f"~=3.{parts[1]}.0", minor=(3, parts[1]), source=source)
    if re.fullmatch(r"3(\.\d+)?\.\*", declared):
        declared = f"=={declared}"
    try:
        specifiers = SpecifierSet(declared)
    except InvalidSpecifier:
        specifiers = SpecifierSet()
    if not specifiers:
        raise PythonMissing(
            f"{text.strip()!r} is not a version of CPython that Connect can be asked for", where=source, hint=cure
        )
    parts_in_order = ",".join("".join(part.split()) for part in declared.split(",") if part.strip())
    return PythonRequirement(requires=parts_in_order, minor=_only_minor(specifiers), source=source)


def _only_minor(specifiers: SpecifierSet) -> tuple[int, int] | None:
    """The one minor that the specifiers leave, if they leave one.

    The numbers that they speak of and those beside them stand for all patch levels: to try each took 30 ms.
    """
    named = {int(number) for number in re.findall(r"\d{1,4}", str(specifiers))}
    patches = sorted({0, 99, *named, *(number + 1 for number in named), *(abs(number - 1) for number in named)})
    left = [minor for minor in range(100) if any(specifiers.contains(f"3.{minor}.{patch}") for patch in patches)]
    return (3, left[0]) if len(left) == 1 else None


def _agree(pinned: PythonRequirement, ranges: Sequence[PythonRequirement]) -> None:
    """A `.python-version` outside of the app's own range would give an app that no one can install."""
    for declared in ranges:
        if pinned.minor and not any(declared.allows(f"3.{pinned.minor[1]}.{patch}") for patch in range(100)):
            minor = ".".join(map(str, pinned.minor))
            raise PythonMissing(
                f"{minor} is excluded by {declared.source}, {declared.requires!r}",
                where=pinned.source,
                hint=_fitting_cure(ranges),
            )


def _fitting_cure(ranges: Sequence[PythonRequirement]) -> str:
    for declared in ranges:
        for minor in (12, 13, 11, 10, 14, 9):
            if declared.allows(f"3.{minor}.99"):
                return f'echo "3.{minor}" > .python-version, then commit that file'
    return _CURE
