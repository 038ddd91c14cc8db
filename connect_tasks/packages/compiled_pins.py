"""What `uv pip compile` and `uv export` print: pins, and in comments who wants each and which index has it (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from ..errors import RequirementRefused, raise_all
from . import requirements_file
from .requirements_file import Pin


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Pins by canonical name; `via` the packages that want each (empty: the app itself); `origins` the index that each
    came from.
    """

    pins: Mapping[str, Pin]
    via: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


def read(text: str, where: str) -> Resolution:
    """The pins of uv's output. Raises `RequirementRefused` for a line that is no pin: a local directory or archive."""
    raise_all(list(requirements_file.refusals(text, lambda _number: where)))
    strange = [line.text for line in requirements_file.parse(text) if line.requirement is None]
    raise_all(
        [
            RequirementRefused(
                f"{requirements_file.mask(line)} is a path, which has no version that could be pinned",
                where=where,
                hint="publish it to an index, or name it by a VCS URL with a commit",
            )
            for line in strange
        ]
    )
    via, origins = reasons(text)
    return Resolution(pins=requirements_file.pins_of(text), via=via, origins=origins)


def reasons(text: str, own: Collection[str] = ()) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Canonical name -> the packages that want it, and -> its index.

    uv writes `# via NAME` and `# from INDEX` below each pin. The app itself is left out: `-r requirements.in`,
    `app (pyproject.toml)`, the canonical names in `own`.
    """
    via: dict[str, list[str]] = {}
    origins: dict[str, str] = {}
    name = ""
    for raw in text.splitlines():
        comment = raw.strip()
        if not comment.startswith("#"):
            if raw[:1].strip() and not raw.startswith("-"):
                name = canonicalize_name(re.split(r"[=<>!~@;\[ ]", raw, maxsplit=1)[0])
                via[name] = []
            continue
        words = comment.lstrip("#").strip()
        if words.startswith("from "):
            origins[name] = words.removeprefix("from ")
            continue
        parent = words.removeprefix("via").strip()
        if name and re.fullmatch(r"[\w.-]+(\[.*\])?", parent) and not parent.startswith("-"):
            parent = canonicalize_name(parent.partition("[")[0])
            if parent not in own:
                via[name].append(parent)
    return {child: tuple(parents) for child, parents in via.items()}, origins
