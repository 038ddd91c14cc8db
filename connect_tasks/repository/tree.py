"""A git tree as we speak of it: paths of one directory, and the blobs behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: Modes as git stores them.
FILE, EXECUTABLE, SYMLINK, SUBMODULE, DIRECTORY = "100644", "100755", "120000", "160000", "040000"

#: The two files that we generate, in the order in which they are made.
REQUIREMENTS, MANIFEST = "requirements.txt", "manifest.json"
GENERATED = (REQUIREMENTS, MANIFEST)


class Blob(NamedTuple):
    """What a tree holds at a path: the mode and the object id (of a commit, for a submodule).

    A tuple, since a tree has many: 20,000 are made in 5 ms, of a frozen dataclass in 20.
    """

    mode: str
    oid: str

    @property
    def kind(self) -> str:
        """The type of the object, in git's words."""
        return {SUBMODULE: "commit", DIRECTORY: "tree"}.get(self.mode, "blob")


#: POSIX paths relative to the app's directory -> blobs.
Tree = Mapping[str, Blob]
