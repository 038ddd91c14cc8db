"""`init`, then `rehearse`, with nothing committed in between; and the commit that stands in for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from connect_tasks.repository.git import Git
from connect_tasks.repository.work_tree_commit import commit_work_tree

from .project import Project

BARE_APP = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"version 1"]
"""
RSCONNECT = '[tool.rsconnect]\napp_mode = "python-api"\nentrypoint = "app:app"\n'


def test_what_init_has_made_is_rehearsed_before_it_is_committed(project: Project) -> None:
    project.write({"app.py": BARE_APP, "requirements.in": "", "pyproject.toml": RSCONNECT})
    assert project.run("init", "--yes").status == 0
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}

    ran = project.run("rehearse")

    assert ran.status == 0, ran.said
    assert "what is rehearsed is the work tree" in ran.said
    assert ran.report["live_commit"] == ran.report["commit"]
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("commits", [0, 1])
def test_the_commit_is_the_one_that_git_would_make(project: Project, tmp_path: Path, commits: int) -> None:
    project.write({"a.txt": "1\n", "gone.txt": "1\n"})
    if commits:
        project.commit()
    else:
        project.git("init", "--quiet", "--initial-branch", "main")
    (project.root / "gone.txt").unlink()
    project.write({"a.txt": "2\n", "new/b.txt": "3\n", ".gitignore": "*.log\n", "x.log": "", "secret.env": ""})
    (project.root / ".git" / "info" / "exclude").write_text("secret.env\n")
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(project.root), str(bare)], check=True)
    git = Git.discover(project.root, {})
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}

    commit = commit_work_tree(git, bare, message="x")

    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before
    project.git("add", "--all")
    show = ["git", "-C", str(bare), "rev-parse", f"{commit}^{{tree}}"]
    made = subprocess.run(show, capture_output=True, text=True, check=True).stdout.strip()
    assert made == project.git("write-tree")
