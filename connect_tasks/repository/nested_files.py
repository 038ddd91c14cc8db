"""The tracked files below a directory that hold a text, found in one call: no walk of the work tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .. import process
from ..errors import Problem
from .git_environment import git_environment

#: Seconds: in a noxfile that only lists its sessions, nobody waits longer.
PATIENCE = 3.0


def grep_for_files(file: str, text: str, *, top: bool = True) -> tuple[str, ...]:
    """The arguments of the git call: files named `file` in directories below the top, or below where git runs."""
    options = ("--files-with-matches", "--null", "--no-color", "--fixed-strings", "--max-depth=-1")
    place = ":(top,glob)" if top else ":(glob)"
    return ("grep", *options, *(("--full-name",) if top else ()), "-e", text, "--", f"{place}*/**/{file}")


def directories_of(found: bytes) -> tuple[str, ...]:
    """Of what that call printed (POSIX)."""
    return tuple(sorted(path.rpartition("/")[0] for path in os.fsdecode(found).split("\0")[:-1]))


def nested_directories(directory: Path, file: str, text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The directories below `directory`, relative to it, whose tracked `file` holds `text` in the work tree.

    For `nox -l`: one process, none of the imports that a `Git` brings along, and () where git can't tell.
    """
    asked = ["git", *grep_for_files(file, text, top=False)]
    try:
        found = process.run(asked, cwd=directory, env=git_environment(environ, {}), timeout=PATIENCE)
    except (Problem, OSError):
        return ()
    return directories_of(found.stdout) if found.ok else ()
