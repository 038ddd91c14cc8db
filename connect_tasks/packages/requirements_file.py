"""Requirements files, text in and text out (pure).

The format is pip's: one requirement a line, options that start with a dash, `#` comments, a backslash joins lines.
What we write ourselves is the simplest part of it: `name==version`, sorted by name, LF, a final newline, so that the
same pins are the same bytes on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..errors import RequirementRefused
from ..secret import MASK

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"--hash[= ](?P<hash>[a-z0-9]+:[0-9a-fA-F]+)")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"]+")
#: The user part of a URL, up to the last @ before the path: a password may hold an @ of its own.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s'\"]+@")
_SECRET_QUERY = re.compile(
    r"(?P<name>[?&#](?:[a-z_-]*token|password|passwd|secret|api_?key|auth|sig|signature)=)[^&#\s'\"]+", re.IGNORECASE
)
_LOCAL = re.compile(r"^(?:/|~|[a-zA-Z]:[\\/]|\\\\|file:)", re.IGNORECASE)
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:#|$)")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One logical line. `requirement` where it is one; `option` is its long or short name ("-r", "--index-url") with
    `value`, where it is one."""

    number: int
    text: str
    requirement: Requirement | None = None
    option: str | None = None
    value: str = ""
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, order=True)
class Pin:
    """Exactly one release: `name==version`, or a URL with its commit or hash. `name` is canonical."""

    name: str
    version: str = ""
    url: str = ""
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class PinChange:
    """What became of one name. `old` or `new` None: added or removed. `kind`: added, removed, major, minor, patch,
    downgrade or other.

    `via` names the packages that want it; empty for what the app declares itself.
    """

    name: str
    old: str | None
    new: str | None
    kind: str
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        reason = f"via {', '.join(self.via)}" if self.via else "direct"
        return f"{self.name}: {self.old or 'none'} -> {self.new or 'none'} ({self.kind}, {reason})"


def parse(text: str) -> tuple[Line, ...]:
    """The logical lines that say something. Never raises: what is neither requirement nor option is a line without
    either."""
    return tuple(_line(number, content) for number, content in _logical(text.removeprefix("\ufeff")))


def pins_of(text: str) -> dict[str, Pin]:
    """The exact pins of a file, by canonical name; other lines are passed over. A marker does not make a pin less
    exact."""
    found = {}
    for line in parse(text):
        pin = exact(line.requirement, line.hashes) if line.requirement else None
        if pin is not None:
            found[pin.name] = pin
    return found


def exact(requirement: Requirement, hashes: tuple[str, ...] = ()) -> Pin | None:
    """The pin that a requirement is, or None where it leaves a choice."""
    name, hashes = canonicalize_name(requirement.name), tuple(sorted(hashes))
    if requirement.url:
        return Pin(name=name, url=requirement.url, hashes=hashes) if _is_exact_url(requirement.url) else None
    specifiers = list(requirement.specifier)
    if len(specifiers) == 1 and specifiers[0].operator in {"==", "==="} and not specifiers[0].version.endswith(".*"):
        return Pin(name=name, version=specifiers[0].version, hashes=hashes)
    return None


def unpinned(text: str) -> tuple[Line, ...]:
    """The requirements that leave a choice of release."""
    return tuple(line for line in parse(text) if line.requirement and exact(line.requirement) is None)


def render(pins: Iterable[Pin], *, header: Iterable[str] = (), options: Iterable[str] = ()) -> str:
    """The file as we write it: comment lines, options, pins sorted by name."""
    entries = (
        " \\\n    ".join([str(pin), *(f"--hash={digest}" for digest in sorted(pin.hashes))]) for pin in sorted(pins)
    )
    return "".join(f"{line}\n" for line in (*header, *options, *entries))


def anchored(text: str, directory: Path) -> str:
    """The file for use elsewhere: relative wheel directories and packages start from the directory."""
    lines = []
    for line in parse(text):
        if line.option in {"-f", "--find-links"} and "://" not in line.value:
            lines.append(f"{line.option} {directory / line.value}")
        elif line.requirement is None and line.option is None and "://" not in line.text:
            lines.append(str(directory / line.text))
        else:
            lines.append(line.text)
    return "".join(f"{line}\n" for line in lines)


def same_version(one: Pin, other: Pin) -> bool:
    """Whether two pins name one release: 1.0 is 1.0.0."""
    try:
        return Version(one.version) == Version(other.version)
    except InvalidVersion:
        return one.version == other.version


def compare(
    old: Mapping[str, Pin], new: Mapping[str, Pin], via: Mapping[str, tuple[str, ...]]
) -> tuple[PinChange, ...]:
    """What changed between two sets of pins, sorted by name."""
    changes = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before and after and str(before) == str(after):
            continue
        changes.append(
            PinChange(
                name=name, old=_shown(before), new=_shown(after), kind=_kind(before, after), via=via.get(name, ())
            )
        )
    return tuple(changes)


def mask(text: str) -> str:
    """The text with the user part and secret-looking query values of every URL masked."""
    return _SECRET_QUERY.sub(rf"\g<name>{MASK}", _USERINFO.sub(rf"\g<scheme>{MASK}@", text))


def refusals(text: str, where: Callable[[int], str]) -> list[RequirementRefused]:
    """Each line that must not be shipped: credentials, editable installs, paths that exist on one machine only.
    `where` names a line by its number."""
    found = []
    for line in parse(text):
        reason = refusal(line)
        if reason:
            found.append(
                RequirementRefused(f"{reason[0]}: {mask(line.text)}", where=where(line.number), hint=reason[1])
            )
    return found


def refusal(line: Line) -> tuple[str, str] | None:
    """Why a line must not be shipped, and what to do instead; None for a good one."""
    if has_credentials(line.text):
        return (
            "credentials in a URL would reach the repository and the server",
            "take them out of the line; put them into your pip.conf, netrc or the UV_INDEX_* variables",
        )
    if line.option in {"-e", "--editable"}:
        return (
            "an editable install exists on this computer only",
            "publish it to an index, or name it by a VCS URL with a commit",
        )
    target = _target(line)
    if target and _LOCAL.match(target):
        return (
            "a path of this computer means nothing to the server",
            "publish it to an index, or name it by a VCS URL with a commit",
        )
    return None


def has_credentials(text: str) -> bool:
    """Whether a URL in the text carries a password, a token, or a token-like query. `git@` of an ssh URL is only a
    user's name."""
    for match in _URL.finditer(text):
        try:
            parts = urlsplit(match[0])
        except ValueError:
            return "@" in match[0]
        user, _, _ = parts.netloc.rpartition("@")
        if user and (":" in user or not parts.scheme.endswith("ssh")):
            return True
    return bool(_SECRET_QUERY.search(text))


def without_credentials(url: str) -> str:
    """A URL as it may be recorded."""
    return _SECRET_QUERY.sub("", _USERINFO.sub(r"\g<scheme>", url))


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined at backslashes, comments taken away, numbered by their first physical line."""
    start, parts = 0, list[str]()
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        if not parts:
            start = number
        comment = _COMMENT.search(raw)
        if raw.endswith("\\") and not (comment and comment.start() == 0):
            parts.append(raw[:-1].rstrip() + " ")
            continue
        parts.append(raw)
        content = _COMMENT.sub("", "".join(parts)).strip()
        parts = []
        if content:
            yield start, content


def _line(number: int, text: str) -> Line:
    if text.startswith("-"):
        match = re.match(r"(?P<option>--[a-z0-9-]+|-[a-zA-Z])(?:\s*=\s*|\s+|(?<=-[a-zA-Z])|$)(?P<value>.*)", text)
        if match:
            return Line(number=number, text=text, option=match["option"], value=match["value"].strip().strip("\"'"))
        return Line(number=number, text=text)
    hashes = tuple(match["hash"] for match in _HASH.finditer(text))
    try:
        requirement = _requirement(re.split(r"\s--[a-z]", text, maxsplit=1)[0].strip())
    except InvalidRequirement:
        return Line(number=number, text=text, hashes=hashes)
    return Line(number=number, text=text, requirement=requirement, hashes=hashes)


@lru_cache(maxsize=2048)
def _requirement(text: str) -> Requirement:
    """Parsed once: the apps of a repository have many lines in common. Raises InvalidRequirement."""
    return Requirement(text)


def _target(line: Line) -> str:
    """The path or URL that a line speaks of."""
    if line.requirement:
        return line.requirement.url or ""
    if line.option:
        return (
            line.value
            if line.option not in {"-r", "--requirement", "-c", "--constraint", "--hash"} or line.value.startswith("/")
            else ""
        )
    name, at, url = line.text.partition("@")
    return url.strip() if at and re.fullmatch(r"[\w.\[\],-]+\s*", name) else line.text


def _is_exact_url(url: str) -> bool:
    if url.startswith(("git+", "hg+", "svn+", "bzr+")):
        return bool(_COMMIT.search(url))
    return True


def _shown(pin: Pin | None) -> str | None:
    return None if pin is None else (pin.url or pin.version)


def _kind(old: Pin | None, new: Pin | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    try:
        before, after = Version(old.version), Version(new.version)
    except InvalidVersion:
        return "other"
    if after < before:
        return "downgrade"
    for kind, index in (("major", 0), ("minor", 1)):
        if _part(before, index) != _part(after, index) or before.epoch != after.epoch:
            return kind
    return "patch"


def _part(version: Version, index: int) -> int:
    return version.release[index] if index < len(version.release) else 0
