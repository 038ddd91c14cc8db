"""The door: discovery, reading, and trees that are not commits yet."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from connect_tasks.errors import NotARepository
from connect_tasks.repository.git import Git
from connect_tasks.repository.tree import FILE, Blob

from .conftest import APP_FILES, Clone
from .conftest import git as run_git


def test_the_tree_is_heads_and_never_the_index(clone: Clone) -> None:
    (clone.directory / "new.py").write_text("new\n")
    (clone.directory / "app.py").write_text("edited\n")
    clone("add", "-A")
    tree = clone.git.tree("HEAD", clone.app.path)
    assert set(APP_FILES) <= set(tree)
    assert "new.py" not in tree
    assert clone.git.read([tree["app.py"].oid]) == {tree["app.py"].oid: APP_FILES["app.py"].encode()}
    assert clone.git.checksums([tree["app.py"].oid]) == {
        tree["app.py"].oid: hashlib.md5(APP_FILES["app.py"].encode(), usedforsecurity=False).hexdigest()
    }
    assert clone.git.tree_id("HEAD", clone.app.path) == clone(
        "rev-parse", f"HEAD:{'' if clone.app.path == '.' else clone.app.path}"
    )
    assert clone.git.tree("HEAD", "nowhere") == {}
    assert clone.git.tree_id("HEAD", "nowhere") is None


def test_an_export_is_what_a_fresh_clone_on_linux_holds(clone: Clone, tmp_path: Path) -> None:
    """The user's own line endings and filters do not apply, the attributes in the repository do, those above the app
    too."""
    (clone.root / ".gitattributes").write_text("*.bat text eol=crlf\n")
    (clone.directory / "run.bat").write_text("a\n")
    (clone.directory / "tool.sh").write_text("#!/bin/sh\n")
    (clone.directory / "tool.sh").chmod(0o755)
    (clone.directory / "link").symlink_to("app.py")
    clone("add", "-A")
    clone("commit", "-qm", "attributes")
    clone("config", "--global", "core.autocrlf", "true")
    clone("config", "--global", "core.attributesFile", str(tmp_path / "attributes"))
    (tmp_path / "attributes").write_text("*.py filter=shout\n")
    clone("config", "--global", "filter.shout.smudge", "tr a-z A-Z")
    clone("config", "filter.shout.smudge", "tr a-z A-Z")
    (clone.root / ".git/info/attributes").write_text("*.py filter=shout\n")
    door = clone.git
    tree = door.overlay(
        "HEAD",
        clone.app.path,
        {
            "requirements.txt": Blob(FILE, door.store(clone.full("requirements.txt"), b"flask\n")),
            "static/style.css": None,
        },
    )
    door.export(tree, tmp_path / "out", directory=clone.app.path, revision="HEAD")
    out = tmp_path / "out"
    assert (out / "app.py").read_bytes() == APP_FILES["app.py"].encode()
    assert (out / "run.bat").read_bytes() == b"a\r\n"
    assert (out / "requirements.txt").read_bytes() == b"flask\n"
    assert os.access(out / "tool.sh", os.X_OK)
    assert (out / "link").readlink() == Path("app.py")
    assert not (out / "static/style.css").exists()
    assert not (out / ".git").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["attributes", "home", "remote.git", "seed", "clone", "out"]
    )


def test_discovery_from_below_and_outside(clone: Clone, tmp_path: Path) -> None:
    below = Git.discover(clone.directory, os.environ)
    assert below.root == clone.root
    assert below.common_dir == clone.root / ".git"
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(NotARepository, match="not inside a git repository"):
        Git.discover(outside, os.environ)
    with pytest.raises(NotARepository, match="bare"):
        Git.discover(clone.remote, os.environ)


def test_a_hooks_variables_do_not_lead_us_astray(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a hook of another repository: GIT_DIR and GIT_INDEX_FILE name that one."""
    other = tmp_path / "other"
    run_git("init", "-q", str(other), cwd=tmp_path)
    (tmp_path / "shallow").write_text(clone.commit_file("docs/second.md", "x\n") + "\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_PREFIX", "sub/")
    monkeypatch.setenv("GIT_SHALLOW_FILE", str(tmp_path / "shallow"))
    door = Git.discover(clone.root, os.environ)
    assert door.root == clone.root
    assert door.head().branch == "main"
    assert "app.py" in door.tree("HEAD", clone.app.path)
    assert door.changes(clone.app.path).tracked == ()
    assert [subject for _, subject in door.subjects("HEAD")] == ["work", "first"]
