"""Which pins may move (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import RequirementRefused, UsageWrong
from . import requirements_file
from .uv_lock import UV_LOCK


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """All pins, or those of `packages`, each NAME or NAME==VERSION; false where none may move."""

    all: bool = False
    packages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.all or bool(self.packages)

    @property
    def names(self) -> tuple[str, ...]:
        """Canonical names. Raises `UsageWrong` for what is neither NAME nor NAME==VERSION."""
        return tuple(map(_name, self.packages))

    @property
    def arguments(self) -> list[str]:
        """As `uv pip compile` is told."""
        return [*(["--upgrade"] if self.all else []), *(f"--upgrade-package={package}" for package in self.packages)]

    def covers(self, name: str) -> bool:
        return self.all or name in self.names

    def check(self, pins: Iterable[str] | None = None) -> None:
        """Raise `UsageWrong` for nonsense, and for a name that is not among the pins: uv would pass over it, and a
        person who mistyped would believe that it was done.
        """
        known = None if pins is None else list(pins)
        for name in self.names:
            if known is not None and name not in known:
                nearest = difflib.get_close_matches(name, known, 1)
                hint = f"--upgrade {nearest[0]}" if nearest else "name one of the pins in requirements.txt"
                raise UsageWrong(f"--upgrade {name}: {name} is not among the pins", hint=hint)

    def refuse_for(self, lock: str) -> None:
        """Raise `RequirementRefused` with the command of the tool that the lock file belongs to."""
        if not self:
            return
        if lock == UV_LOCK:
            words = [
                "uv lock",
                *(["--upgrade"] if self.all else (f"--upgrade-package {name}" for name in self.packages)),
            ]
        else:
            words = ["poetry update", *(() if self.all else (name.split("==")[0] for name in self.packages))]
        raise RequirementRefused(
            f"the pins come from {lock}, which only its own tool may change",
            where=lock,
            hint=f"{' '.join(words)}, then commit {lock}",
        )


def _name(package: str) -> str:
    try:
        requirement = Requirement(package)
    except InvalidRequirement:
        requirement = None
    if requirement and not requirement.url and (not requirement.specifier or requirements_file.exact(requirement)):
        return canonicalize_name(requirement.name)
    raise UsageWrong(f"--upgrade {package}: neither NAME nor NAME==VERSION", hint="--upgrade flask==3.1.0")
