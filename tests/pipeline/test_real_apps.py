"""Apps that nobody here wrote, out of source distributions on the package index: nothing is added but git and a table
of at most five lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import uv

#: (project, directory within its source distribution, table, what the tests said)
FLASKR = (
    "flask",
    "examples/tutorial",
    ["[tool.connect-tasks]", 'python = "3.11"', 'verify = { path = "/hello", contains = "Hello" }'],
    "24 passed",
)
FASTAPI = (
    "fastapi",
    ".",
    [
        "[tool.connect-tasks]",
        'allow = ["tests/"]',  # tokens that its own tests made up
        'entrypoint = "docs_src.app_testing.app_a.main:app"',
        'test = { command = ["pytest", "-q", "-o", "addopts=", "docs_src/app_testing/app_a"] }',
        'verify = { contains = "Hello" }',
    ],
    "1 passed",
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "case", [pytest.param(FLASKR, id="flaskr"), pytest.param(FASTAPI, id="fastapi", marks=pytest.mark.slow)]
)
def test_a_strangers_app_is_rehearsed(
    case: tuple[str, str, list[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, directory, table, passed = case
    assert len(table) <= 5
    root = _source(project, tmp_path) / directory
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", *table, ""]))
    for command in (["init", "--quiet", "-b", "main"], ["add", "--all"], ["commit", "--quiet", "-m", "as it came"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    before = _listing(root)

    done = subprocess.run(
        [sys.executable, "-m", "connect_tasks", "rehearse", "--json", str(tmp_path / "report.json")],
        cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert passed in stages["test"]["detail"]
    assert "answers 200" in stages["visit"]["detail"]
    assert report["live_commit"] == report["commit"] == report["pushed"]
    assert _listing(root) == before


def _source(project: str, place: Path) -> Path:
    """The unpacked source distribution of a project."""
    pip = [
        uv.find_uv_bin(),
        "tool",
        "run",
        "--quiet",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        project,
    ]
    subprocess.run([*pip, "--dest", str(place), project], check=True, capture_output=True)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(place / "source", filter="data")
    (top,) = (place / "source").iterdir()
    return top


def _listing(root: Path) -> dict[str, bytes]:
    """Every file of the work tree, the object store aside: a rehearsal adds nothing to it."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
