"""What a server of some version can do. Older servers are rehearsed by their version, or by taking abilities away."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Final

RECENT: Final = "2026.04.0"
HIDDEN: Final = "hidden"  # a server that does not tell its version

# The first version with each ability, from the documentation and from the clients' own gates.
# None: no source names one.
SINCE: Final[dict[str, str | None]] = {
    "git": "2022.12.0",
    "bundle_from_ref": None,
    "drafts": "2025.06.0",
    "bundle_metadata": "2025.12.0",
    "lockfile": "2025.12.0",
    "packages": "2024.11.0",
    "vanity_include": "2024.06.0",
    "jobs": "2024.08.0",
    "requires": "2025.03.0",
    "gradio": "2024.12.0",
    "panel": "2025.10.0",
    "nodejs": "2026.04.0",
    "unknown_keys": None,
}


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """`version` as told to clients ("" when hidden); each ability by its name in SINCE."""

    version: str
    git: bool
    bundle_from_ref: bool
    drafts: bool
    bundle_metadata: bool
    lockfile: bool
    packages: bool
    vanity_include: bool
    jobs: bool
    requires: bool
    gradio: bool
    panel: bool
    nodejs: bool
    unknown_keys: bool  # accepts request keys that it does not know; older servers refuse them


def names() -> tuple[str, ...]:
    """The abilities that can be taken away, as written on the command line."""
    return tuple(field.name.replace("_", "-") for field in fields(Abilities) if field.name != "version")


def abilities(version: str = RECENT, without: Collection[str] = ()) -> Abilities:
    """Those of a version, minus the ones named in `without`. Raises ValueError for what is no version or no ability."""
    missing = {name.replace("-", "_") for name in without}
    unknown = missing - set(SINCE)
    if unknown:
        raise ValueError(f"no such ability: {', '.join(sorted(unknown))} (known: {', '.join(names())})")
    able = {
        name: name not in missing and (since is None or version == HIDDEN or _number(version) >= _number(since))
        for name, since in SINCE.items()
    }
    return Abilities(version="" if version == HIDDEN else version, **able)


def _number(version: str) -> tuple[int, ...]:
    parts = version.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"not a Connect version: {version!r} (example: {RECENT}, or {HIDDEN})")
    return tuple(int(part) for part in parts)
