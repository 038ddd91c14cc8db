"""The traps of the recipe by hand, each first walked into with plain rsconnect-python, then past with ours."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import App
from connect_tasks.content.manifest_changes import drifted
from connect_tasks.content.manifest_check import check

from .repository import commit_all, git, make_manifest, make_repository, open_git, write_files
from .test_rsconnect_door import run_rsconnect

APP = App(name="app", path="app", mode="flask", entrypoint="app:app")
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FILES: dict[str, str | bytes] = {
    ".python-version": "3.12\n",
    ".gitignore": ".env\n.nox/\nbuild/\n",
    "app/app.py": FLASK,
    "app/helper.py": "x = 1\n",
    "app/requirements.txt": "flask==3.1.0\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", FILES)


def by_hand(root: Path, command: str = "flask", entrypoint: str = "app:app") -> dict[str, Any]:
    """`rsconnect write-manifest` in the work tree, as the documentation has it, and `git add . && git commit`."""
    run_rsconnect(command, "--overwrite", "-e", entrypoint, ".", cwd=root / "app")
    commit_all(root)
    written: dict[str, Any] = json.loads((root / "app/manifest.json").read_text())
    return written


def ours(root: Path, scratch: Path) -> dict[str, Any]:
    content = make_manifest(root, APP, scratch)
    write_files(root, {"app/manifest.json": content})
    commit_all(root)
    assert check(APP, open_git(root)) == ()
    manifest: dict[str, Any] = json.loads(content)
    return manifest


def stored(root: Path, path: str) -> str:
    blob = subprocess.run(["git", "show", f"HEAD:app/{path}"], cwd=root, capture_output=True, check=True).stdout
    return hashlib.md5(blob, usedforsecurity=False).hexdigest()


def test_junk_and_secrets_of_the_work_tree(root: Path, tmp_path: Path) -> None:
    junk = [".env", ".nox/tests/pyvenv.cfg", "build/lib/app.py", "notes.untracked"]
    write_files(root, {f"app/{path}": "junk\n" for path in junk})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root / "app")
    listed = json.loads((root / "app/manifest.json").read_text())["files"]
    assert set(junk) <= set(listed), "the trap"

    (root / ".git/info/exclude").write_text("*.untracked\n")
    assert set(ours(root, tmp_path / "export")["files"]) == {"app.py", "helper.py", "requirements.txt"}


def test_a_hook_that_formats_after_the_manifest_was_written(root: Path, tmp_path: Path) -> None:
    hook = root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho '# formatted' >> app/helper.py\ngit add app/helper.py\n")
    hook.chmod(0o755)
    assert by_hand(root)["files"]["helper.py"]["checksum"] != stored(root, "helper.py"), "the trap"
    changes = check(APP, open_git(root))
    assert ("changed", "helper.py") in {(change.kind, change.path) for change in changes}

    hook.unlink()
    assert ours(root, tmp_path / "export")["files"]["helper.py"]["checksum"] == stored(root, "helper.py")


def test_a_manifest_that_nobody_wrote_again(root: Path) -> None:
    by_hand(root)
    write_files(root, {"app/new.py": "y = 1\n", "app/requirements.txt": "flask==3.1.1\n"})
    (root / "app/helper.py").unlink()
    commit_all(root)
    changes = {(change.kind, change.path) for change in check(APP, open_git(root)) if change.path}

    assert changes == {("unlisted", "new.py"), ("changed", "requirements.txt"), ("missing", "helper.py")}


def test_a_checkout_with_carriage_returns(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "windows"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(root), str(clone))
    git(clone, "config", "core.autocrlf", "true")
    assert by_hand(clone)["files"]["app.py"]["checksum"] != stored(clone, "app.py"), "the trap"

    assert ours(clone, tmp_path / "export")["files"]["app.py"]["checksum"] == stored(clone, "app.py")


def test_a_requirement_called_like_the_tool(root: Path, tmp_path: Path) -> None:
    write_files(root, {"app/requirements.txt": "flask==3.1.0\nmy-rsconnect-client==1.0\n"})
    written = by_hand(root)["files"]["requirements.txt"]["checksum"]
    assert written != stored(root, "requirements.txt"), "the trap"

    manifest = ours(root, tmp_path / "export")
    assert manifest["files"]["requirements.txt"]["checksum"] == stored(root, "requirements.txt")


def test_the_python_of_whoever_wrote_it(root: Path, tmp_path: Path) -> None:
    manifest = by_hand(root)
    assert manifest["python"]["version"] == ".".join(map(str, sys.version_info[:3])), "the trap: that of the tool"
    assert "environment" not in manifest, "the trap: .python-version of the repository's root is not seen"
    assert any(change.kind == "constraint" for change in check(APP, open_git(root)))

    ours_now = ours(root, tmp_path / "export")
    assert ours_now["python"]["version"] == "3.12.0"
    assert ours_now["environment"] == {"python": {"requires": "~=3.12.0"}}


@pytest.mark.parametrize(
    ("command", "entrypoint", "kinds"),
    [
        ("fastapi", "app:app", {"mode"}),
        ("flask", "nosuch:thing", {"metadata"}),
        ("dash", "main:app", {"mode", "metadata"}),
    ],
)
def test_the_wrong_mode_or_entrypoint(root: Path, command: str, entrypoint: str, kinds: set[str]) -> None:
    by_hand(root, command, entrypoint)  # exit 0: the trap
    changes = check(APP, open_git(root))

    assert {change.kind for change in changes if change.matters} >= kinds
    assert drifted(changes)


SCRIPT = """
import json, os, sys
from pathlib import Path
from connect_tasks.configuration.app_mode import FLASK
from connect_tasks.content.connect_manifest import render_manifest
from connect_tasks.repository.git import Git
from connect_tasks.content.rsconnect_door import ManifestRequest, write_manifest
root, scratch = Path(sys.argv[1]), Path(sys.argv[2])
os.umask(int(sys.argv[3], 8))
git = Git.discover(root, os.environ)
tree = git.tree("HEAD", "app")
git.export(git.tree_id("HEAD", "app"), scratch, directory="app", revision="HEAD")
request = ManifestRequest(mode=FLASK, entrypoint="app:app", python="3.12.0", requires="~=3.12.0")
written = write_manifest(scratch, request)
sums = git.checksums(blob.oid for blob in tree.values())
sys.stdout.buffer.write(render_manifest(written, tree, sums))
"""


def test_the_same_bytes_everywhere(root: Path, tmp_path: Path) -> None:
    write_files(
        root, {"app/static/größe 1.txt": "x\n", "app/.gitattributes": "*.bat eol=crlf\n", "app/go.bat": "dir\n"}
    )
    (root / "app/link").symlink_to("app.py")
    commit_all(root)
    answers = {}
    places = {"plain": root, "crlf": tmp_path / "another place" / "clone"}
    places["crlf"].parent.mkdir()
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(root), str(places["crlf"]))
    variants = {
        "plain": {},
        "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "other": {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "RENV_PATHS_LOCKFILE": "/nonexistent"},
    }
    for place, directory in places.items():
        for variant, env in variants.items():
            for umask in ("022", "077"):
                scratch = tmp_path / f"{place}-{variant}-{umask}"
                argv = [sys.executable, "-c", SCRIPT, str(directory), str(scratch), umask]
                done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True)
                assert done.returncode == 0, done.stderr.decode()
                answers[scratch.name] = done.stdout

    assert len(set(answers.values())) == 1, answers.keys()
    files = json.loads(answers["plain-plain-022"])["files"]
    assert files["go.bat"]["checksum"] == stored(root, "go.bat")
    assert "static/größe 1.txt" in files
