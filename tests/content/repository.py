"""Real git repositories for tests, and the manifests that belong into them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from connect_tasks.configuration import App
from connect_tasks.configuration.app_mode import find_mode
from connect_tasks.content.connect_manifest import read_manifest, render_manifest
from connect_tasks.content.rsconnect_door import ManifestRequest, write_manifest
from connect_tasks.repository.git import Git
from connect_tasks.repository.tree import MANIFEST


def git(root: Path, *arguments: str) -> str:
    """Run git as the tester would; fails the test when git fails."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_repository(root: Path, files: dict[str, str | bytes]) -> Path:
    """A repository with one commit of these files."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q")
    write_files(root, files)
    return commit_all(root)


def write_files(root: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def commit_all(root: Path) -> Path:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "work", "--allow-empty")
    return root


def open_git(root: Path) -> Git:
    return Git.discover(root, os.environ)


def make_manifest(root: Path, app: App, scratch: Path, minor: str = "3.12", **more: Any) -> bytes:
    """The manifest of HEAD's tree, made the way the product makes it: export, rsconnect-python, render.

    `more` goes into the request: `inspection` for Quarto, say.
    """
    repository = open_git(root)
    tree = repository.tree("HEAD", app.path)
    repository.export(repository.tree_id("HEAD", app.path) or "", scratch, directory=app.path, revision="HEAD")
    previous = read_manifest((scratch / MANIFEST).read_bytes()) if (scratch / MANIFEST).exists() else None
    request = ManifestRequest(
        mode=find_mode(app.mode or "flask"),
        entrypoint=app.entrypoint or "",
        python=f"{minor}.0",
        requires=f"~={minor}.0",
        **more,
    )
    return render_manifest(
        write_manifest(scratch, request),
        tree,
        repository.checksums(blob.oid for blob in tree.values()),
        previous,
        include=app.include,
        exclude=app.exclude,
    )
