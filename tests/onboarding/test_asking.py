"""`init` on a terminal: what is offered, what is asked, and what an answer does. A real pty."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from .project import FLASK, Project

ROOT = Path(__file__).parents[2]


def answered(project: Project, *answers: str) -> str:
    """What the terminal showed."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    child = subprocess.Popen(
        [sys.executable, "-m", "connect_tasks", "init"],
        cwd=project.root, env=env, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # Linux says EIO when the other end is closed
            break
        shown += piece
    os.close(ours)
    assert child.wait(60) == 0, shown.decode()
    return shown.decode()


@pytest.mark.skipif(os.name == "nt", reason="a pty of POSIX")
def test_the_hook_and_the_workflow_are_offered_and_then_it_asks(project: Project) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})
    project.commit()
    project.git("remote", "add", "origin", "https://github.com/team/shop.git")

    shown = answered(project, "n", "y", "n")
    assert "add the pre-commit hook" in shown
    assert "add a workflow for github?" in shown
    assert "+++ b/.github/workflows/connect.yml" in shown
    assert "nothing is written" in shown
    assert set(project.files()) == {"app.py", "requirements.txt"}

    answered(project, "y", "n", "y")
    ours = {"pyproject.toml", ".python-version", "noxfile.py", ".pre-commit-config.yaml"}
    assert set(project.files()) == {"app.py", "requirements.txt", *ours}
    assert "nothing to do" in answered(project)
