"""The doors to everything outside, together: what a stage is given besides its app."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Options
from .calling import Spelling
from .configuration import App
from .console import Console
from .content.evidence import EvidenceStore
from .repository.git import Git

if TYPE_CHECKING:  # with it come ssl and all that is said of failures: 25 ms
    from .server.connect import Connect


@dataclass(frozen=True, kw_only=True)
class World:
    """One run of one verb. `scratch` vanishes with it, and so does `slot`, which is for environments; `cache` stays.
    `connect` makes the door to an app's server.

    `passing`: it is a rehearsal, whose repository and server vanish too. `several_apps`: the repository has, of which
    this run may be about one. `spelled`: puts the commands of hints that are shown before the run is over into the
    words of whoever called us.
    """

    git: Git
    environ: Mapping[str, str]
    scratch: Path
    slot: Path
    cache: Path
    console: Console
    evidence: EvidenceStore
    connect: Callable[[App], Connect]
    options: Options
    passing: bool = False
    several_apps: bool = False
    spelled: Spelling = str

    @property
    def index(self) -> Path | None:
        """The index of the commit whose hook we are: one of some paths alone has an index of its own."""
        named = self.environ.get("GIT_INDEX_FILE")
        return Path(named).absolute() if named else None

    def place(self, name: str) -> Path:
        """A new, empty directory in the scratch."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def environment_place(self, name: str) -> Path:
        """A new, empty directory in the slot: where the last run's was, unless this run has another of that name."""
        for number in count(1):
            path = self.slot / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                path.mkdir(parents=True)
                break
        return path

    @property
    def templates(self) -> Path:
        """Where the environments are kept that others are copies of."""
        return self.cache / "environments"
