"""The trees of apps: as a commit has them, or as `git commit` would make them of the index now."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import GitFailed, OperationInProgress
from ..packages.python_version import PYTHON_FILES
from ..repository.git import Git
from ..repository.tree import Blob, Tree


def staged_tree(git: Git, directory: str, *, index: Path | None = None) -> Tree:
    """The tree of a directory that `git commit` would make of the index now."""
    revision = git.resolve("HEAD")
    whole = overlaid(git.tree(revision, ".") if revision else {}, staged_changes(git, revision, index))
    return split(whole, ".", [directory])[directory]


def staged_changes(git: Git, revision: str | None, index: Path | None) -> dict[str, Blob | None]:
    """What `git commit` would change now, by path; None for a removed file. `git add -N` adds nothing yet."""
    base = revision or git.line(git.ask("hash-object", "-t", "tree", os.devnull))
    command = ("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-invisible-in-index", base)
    env = {"GIT_INDEX_FILE": str(index)} if index else {}
    done = git.run(*command, "--", env={"GIT_OPTIONAL_LOCKS": "0", **env})
    if not done.ok:
        raise GitFailed(f"git diff-index: {done.error_text.strip()}", hint="git status")
    records = done.stdout.split(b"\0")
    changed: dict[str, Blob | None] = {}
    for facts, path in zip(records[0:-1:2], records[1::2], strict=False):
        _, mode, _, oid, status = facts.decode().split(" ")
        name = os.fsdecode(path)
        if status == "U":
            raise OperationInProgress(f"{name} is unmerged", where=name, hint=f"resolve it, then git add {name}")
        changed[name] = None if status == "D" else Blob(mode, oid)
    return changed


def overlaid(tree: Tree, changed: Mapping[str, Blob | None]) -> Tree:
    """A tree with changes laid over it; None removes."""
    if not changed:
        return tree
    return {path: blob for path, blob in {**tree, **changed}.items() if blob is not None}


def files_above(git: Git, revision: str, directory: str) -> dict[str, Blob]:
    """The files that may name a Python in the directories above one."""
    places = [posixpath.join(parent, name) for parent in directories_above(directory) for name in PYTHON_FILES]
    if not places:
        return {}
    found = git.ask("--literal-pathspecs", "ls-tree", "-z", "--full-tree", revision, "--", *places)
    entries = (entry.split(b"\t", 1) for entry in found.stdout.split(b"\0")[:-1])
    return {os.fsdecode(path): Blob(*facts.decode().split()[::2]) for facts, path in entries}


def holds_any(directory: str, paths: Iterable[str]) -> bool:
    """Whether one of the paths lies below a directory."""
    return any(directory == "." or path.startswith(f"{directory}/") for path in paths)


def split(whole: Tree, base: str, directories: Sequence[str]) -> Mapping[str, Tree]:
    """The tree of each directory, from the tree of `base`, in one pass. Directories may lie in each other."""
    if set(directories) == {base}:
        return {base: whole}
    trees: dict[str, dict[str, Blob]] = {directory: {} for directory in directories}
    prefixes = {"" if directory == "." else f"{directory}/": directory for directory in directories}
    for path, blob in whole.items():
        end = 0
        while end >= 0:
            if directory := prefixes.get(path[:end]):
                trees[directory][path[end:]] = blob
            end = path.find("/", end) + 1 or -1
    return trees


def directories_above(path: str) -> list[str]:
    """The directories above an app's, nearest first, up to the repository's root, which is ""."""
    parts = [] if path == "." else path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, -1, -1)]
