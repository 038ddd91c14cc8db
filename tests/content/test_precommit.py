"""Our hooks, run by the real pre-commit out of a repository as its users have them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from .repository import git, make_repository, write_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # pre-commit installs us with all that we need

PROJECT = Path(__file__).parents[2]
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FILES: dict[str, str | bytes] = {
    ".gitignore": ".env\n",
    ".python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n",
    "pyproject.toml": '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\n',
    "app.py": FLASK,
    "requirements.txt": "flask==3.1.0\n",
}


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A repository of this project as it is now, and where pre-commit keeps what it installed of it."""
    place = tmp_path_factory.mktemp("hooks")
    ours = place / "connect-tasks"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "connect_tasks", ours / "connect_tasks", ignore=ignored)
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, ours / name)
    identity = {"GIT_CONFIG_GLOBAL": str(place / "gitconfig")}
    (place / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "as it is now"]):
        subprocess.run(["git", *command], cwd=ours, env={**os.environ, **identity}, check=True)
    return ours, {"PRE_COMMIT_HOME": str(place / "cache")}


def pre_commit(root: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [uv.find_uv_bin(), "tool", "run", "--quiet", "pre-commit", *arguments]
    return subprocess.run(command, cwd=root, env={**os.environ, **environ}, capture_output=True, text=True)


@pytest.fixture
def root(tmp_path: Path, hooks: tuple[Path, dict[str, str]]) -> Path:
    """A repository whose commits go through `connect-manifest` and then `connect-check`."""
    ours, environ = hooks
    revision = git(ours, "rev-parse", "HEAD").strip()
    named = "".join(f"      - id: {name}\n" for name in ("connect-manifest", "connect-check"))
    config = f"repos:\n  - repo: {ours}\n    rev: {revision}\n    hooks:\n{named}"
    root = make_repository(tmp_path / "repository", {**FILES, ".pre-commit-config.yaml": config})
    done = pre_commit(root, environ, "install", "--install-hooks")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def commit(root: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "commit", "-m", "work", *arguments],
        cwd=root, env={**os.environ, **environ}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_hooks_keep_the_manifest_true(root: Path, hooks: tuple[Path, dict[str, str]]) -> None:
    _, environ = hooks
    write_files(root, {"helper.py": "x = 1\n", ".env": "TOKEN=x\n", "later.py": "not yet\n"})
    git(root, "add", "helper.py")
    head = git(root, "rev-parse", "HEAD")

    refused = commit(root, environ)
    assert refused.returncode != 0
    assert git(root, "rev-parse", "HEAD") == head
    assert "missing: manifest.json" in refused.stderr, "written, and not staged yet"
    assert "next: python -m connect_tasks manifest --staged && git add manifest.json" in refused.stderr
    listed = set(json.loads((root / "manifest.json").read_text())["files"])
    assert "helper.py" in listed
    assert not listed & {".env", "later.py", "manifest.json"}
    git(root, "add", "manifest.json")
    done = commit(root, environ)
    assert done.returncode == 0, done.stderr

    write_files(root, {"helper.py": "x = 2\n"})
    git(root, "add", "helper.py")
    refused = commit(root, environ)
    assert refused.returncode != 0
    assert "files were modified by this hook" in refused.stderr
    assert "changed: helper.py:" in refused.stderr
    git(root, "add", "manifest.json")
    done = commit(root, environ)
    assert done.returncode == 0, done.stderr
    assert git(root, "status", "--porcelain") == "?? later.py\n"


def test_a_commit_of_one_path_is_looked_at_by_itself(root: Path, hooks: tuple[Path, dict[str, str]]) -> None:
    _, environ = hooks
    subprocess.run([sys.executable, "-m", "connect_tasks", "manifest", "--staged"], cwd=root, check=True,
                   env={**os.environ, "PYTHONPATH": str(PROJECT)})  # fmt: skip
    git(root, "add", "--all")
    assert commit(root, environ).returncode == 0
    write_files(root, {"app.py": FLASK + "# edited\n", "notes.py": ""})
    git(root, "add", "notes.py")

    refused = commit(root, environ, "--", "app.py")
    assert refused.returncode != 0
    assert "changed: app.py:" in refused.stderr
    assert "notes.py" not in refused.stderr
