"""The tutorial, typed in as it stands, from an empty directory; only the server's address is another."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from connect_tasks.emulator import running

from .pages import ROOT, Snippet, snippets

#: Blocks that the reader types elsewhere, or that show what was printed.
ASIDE = {"by hand", "another terminal", "what it prints"}


def tutorial() -> list[Snippet]:
    found = [each for each in snippets("sh", "python", "text", "toml") if each.page == "docs/tutorial.md"]
    assert {each.title for each in found} >= ASIDE
    return found


def type_in(steps: list[Snippet], directory: Path, environ: dict[str, str]) -> list[str]:
    """Files are written where their titles say; commands run in one shell after the other -> what each block said.

    The shell remembers where it is, as the reader's does.
    """
    said = []
    here = directory
    for step in steps:
        if step.language != "sh":
            (directory / step.title).write_text(step.text)
            continue
        script = f"set -eu\n{step.text}\npwd > {directory}/here\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=here, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{step.place}: {done.stdout}{done.stderr}"
        here = Path((directory / "here").read_text().strip())
        said.append(done.stdout)
    return said


def reader(**changes: str) -> dict[str, str]:
    """Somebody with this package and nox in an active environment."""
    names = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return names | {"PATH": path, "PYTHONPATH": str(ROOT), **changes}


@pytest.mark.timeout(600)
def test_it_can_be_typed_in(tmp_path: Path, private_home: Path) -> None:
    place = tmp_path / "reader"
    place.mkdir()
    with running(tmp_path / "server") as server:
        environ = reader(CONNECT_SERVER=server.url, CONNECT_API_KEY=server.api_key)
        said = type_in([step for step in tutorial() if step.title not in ASIDE], place, environ)
        rehearsed, status, first, live, nothing, back = said[2:]
        url = next(line.strip() for line in back.splitlines() if line.strip().startswith(server.url))
        request = urllib.request.Request(url, headers={"Authorization": f"Key {server.api_key}"})
        with urllib.request.urlopen(request) as answer:
            page = answer.read()
    assert "visit" in rehearsed
    assert status == "", "a rehearsal leaves nothing behind"
    assert "is live" in first
    assert "in sync" in live
    assert "push" not in nothing, "there was nothing to push"
    assert page == b"Hello, version 1"


@pytest.mark.slow
def test_so_can_the_recipe_by_hand(tmp_path: Path, private_home: Path) -> None:
    steps = tutorial()
    first = next(index for index, step in enumerate(steps) if step.title == "by hand")
    bare = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    by_hand = Snippet(
        page="", line=0, language="sh", title="", text=f"git remote add origin {bare}\n{steps[first].text}"
    )
    type_in([*steps[:first], by_hand], tmp_path, reader())
    listed = subprocess.run(
        ["git", "-C", str(bare), "ls-tree", "--name-only", "main"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"app.py", "manifest.json", "requirements.txt"} <= set(listed)
