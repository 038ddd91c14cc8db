"""Whether an app was configured at a commit as it is now: read once for each version of the file, for many apps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..configuration import App, Config, load
from ..errors import Problem
from ..repository.git import Git

FILE = "pyproject.toml"
#: An app with a table of its own, which says nothing: what is read of it is what the repository's file says to all.
BESIDE, AN_APP = "an-app-with-a-table-of-its-own", "[tool.connect-tasks]\n"


@dataclass(frozen=True, kw_only=True)
class ConfiguredThen:
    """`scratch` makes an empty directory. An app's own files are not its concern: they are of its tree."""

    git: Git
    scratch: Callable[[], Path]
    _files: dict[str, str | None] = field(default_factory=dict)  # by commit: the id of the repository's file
    _configs: dict[str, Config | None] = field(default_factory=dict)  # by that id

    def same(self, app: App, commit: str) -> bool:
        """Whether what the repository's pyproject.toml says of `app` is the same at `commit` and at HEAD."""
        then, now = self._file(commit), self._file("HEAD")
        if then == now:
            return True
        before, after = self._read(then), self._read(now)
        if before is None or after is None:
            return False
        ours = _of(before, app)
        return ours is not None and ours == _of(after, app)

    def _file(self, commit: str) -> str | None:
        if commit not in self._files:
            self._files[commit] = self.git.look_up(f"{commit}:{FILE}")
        return self._files[commit]

    def _read(self, blob: str | None) -> Config | None:
        if blob is None:
            return None
        if blob not in self._configs:
            place = self.scratch()
            (place / BESIDE).mkdir()
            (place / FILE).write_bytes(self.git.read([blob])[blob])
            (place / BESIDE / FILE).write_text(AN_APP, encoding="utf-8")
            try:
                self._configs[blob] = load(place, [BESIDE])
            except Problem:
                self._configs[blob] = None
        return self._configs[blob]


def _of(config: Config, app: App) -> App | None:
    """The app by its directory and target; where its table stands elsewhere, what the file says to all of those."""
    places = {one.path: one for one in (*config.apps, *config.on_targets) if one.target == app.target}
    return places.get(app.path, places.get(BESIDE))
