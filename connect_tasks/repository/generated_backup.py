"""Edits of the generated files that a run of ours is about to drop: kept in a ref, and shown."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from ..configuration import App
from .git import Git, full_path
from .tree import FILE, Blob


@dataclass(frozen=True, kw_only=True)
class Backup:
    """Where the edits are (`git show REF:PATH`), and what they were, as a unified diff towards what replaces them."""

    ref: str
    commit: str
    paths: tuple[str, ...]  # from the root
    diff: str


def backup_ref(app: App) -> str:
    """The ref of the newest backup, whose parent is the commit that it was made on."""
    return f"refs/connect-tasks/backup/{app.name}"


def keep_backup(git: Git, app: App, replacing: Mapping[str, bytes]) -> Backup | None:
    """Keep those files of the work tree that are neither as in HEAD nor as they will be; None when there are none.

    `replacing`: path in the app's directory -> new content. Earlier backups stay in the ref's log.
    """
    head = git.resolve("HEAD")
    there = {path: git.root / app.path / path for path in replacing}
    now = {path: target.read_bytes() for path, target in there.items() if target.is_file() and not target.is_symlink()}
    differing = {path: content for path, content in now.items() if content != replacing[path]}
    if head is None or not differing:
        return None
    committed = git.tree(head, app.path)
    blobs = {path: Blob(FILE, git.store(full_path(app.path, path), content)) for path, content in differing.items()}
    edited = {path: blob for path, blob in blobs.items() if path not in committed or committed[path].oid != blob.oid}
    if not edited:
        return None
    ref = backup_ref(app)
    tree = git.graft(head, app.path, git.overlay(head, app.path, edited))
    message = f"The generated files of {app.name} as they stood before connect-tasks replaced them\n".encode()
    commit = git.line(git.run("commit-tree", "-p", head, tree, input=message))
    git.line(git.run("update-ref", "--create-reflog", "-m", "connect-tasks: backup", ref, commit))
    paths = tuple(full_path(app.path, path) for path in sorted(edited))
    diff = "".join(_diff(full_path(app.path, path), differing[path], replacing[path]) for path in sorted(edited))
    return Backup(ref=ref, commit=commit, paths=paths, diff=diff)


def _diff(path: str, old: bytes, new: bytes) -> str:
    yours, generated = (content.decode("utf-8", "replace").splitlines(keepends=True) for content in (old, new))
    return "".join(difflib.unified_diff(yours, generated, f"{path} (yours)", f"{path} (generated)"))
