"""Example apps out of the source distributions of their frameworks: `init`, `rehearse`, and no edit by hand.

With TRIED_TABLE=FILE the outcome of each is added to that file, as a row of docs/tried.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from .project import Project, Ran


@dataclass(frozen=True, kw_only=True)
class Example:
    """`directory` within the source distribution of `project`. `refused`: words of the app's own error; None: it is
    live in the end."""

    name: str
    project: str
    directory: str
    refused: str | None = None


_TEMPLATES = "streamlit/.agents/skills/developing-with-streamlit/assets/templates/apps"
EXAMPLES = (
    Example(name="flaskr", project="flask", directory="examples/tutorial"),
    Example(name="js_example", project="flask", directory="examples/javascript"),
    Example(name="bigger_applications", project="fastapi", directory="docs_src/bigger_applications"),
    Example(name="hello", project="streamlit", directory="streamlit/hello"),
    Example(name="dashboard-metrics", project="streamlit", directory=f"{_TEMPLATES}/dashboard-metrics"),
    Example(name="penguins", project="shiny", directory="examples/penguins"),
    Example(name="uv", project="panel", directory="examples/apps/uv"),
    Example(name="demo", project="gradio_calendar", directory="demo", refused="No module named 'gradio_calendar'"),
)


def unpacked(project: str, place: Path) -> Path:
    """The source distribution of a project. Where its metadata can't be built here (Panel's wants the network), what
    pip had unpacked is there all the same."""
    (place / "build").mkdir()
    pip = [uv.find_uv_bin(), "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps", "--no-clean"]
    argv = [*pip, "--no-binary", project, "--dest", str(place), project]
    subprocess.run(argv, env={**os.environ, "TMPDIR": str(place / "build")}, check=False, capture_output=True)
    for archive in place.glob("*.tar.gz"):
        with tarfile.open(archive) as source:
            source.extractall(place / "source", filter="data")
        return next((place / "source").iterdir())
    return next((place / "build").glob(f"pip-download-*/{project}_*"))


@pytest.mark.frameworks
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_of_a_framework_needs_no_edit(example: Example, tmp_path: Path) -> None:
    source = unpacked(example.project, tmp_path) / example.directory
    shutil.copytree(source, tmp_path / example.name)
    app = Project(root=tmp_path / example.name)
    cache = {"CONNECT_TASKS_CACHE": str(tmp_path / "cache")}

    set_up = app.run("init", "--yes", **cache)
    assert set_up.status == 0, set_up.said
    ran = app.run("rehearse", **cache)

    _noted(example, set_up, ran)
    if example.refused is None:
        assert ran.status == 0, ran.said
        assert ran.report["live_commit"] == ran.report["commit"]
        return
    assert (ran.status, ran.report["error"]["code"]) == (1, "CT401"), ran.said
    assert example.refused in ran.report["error"]["message"]
    assert ran.report["commit"] is None  # refused before a commit


def _noted(example: Example, set_up: Ran, ran: Ran) -> None:
    if not os.environ.get("TRIED_TABLE"):
        return
    (found,) = set_up.report["state"]["apps"]
    seconds = sum(stage["seconds"] for report in (set_up.report, ran.report) for stage in report["stages"])
    error = ran.report["error"]
    result = f"refused: {error['message']}" if error else f"live; {_status(ran)}"
    cells = (
        f"{example.project}: {example.directory}",
        f"{found['mode']}, {found['entrypoint']}",
        "0",
        f"{seconds:.0f} s",
    )
    with Path(os.environ["TRIED_TABLE"]).open("a", encoding="utf-8") as table:
        table.write(f"| {' | '.join((*cells, result))} |\n")


def _status(ran: Ran) -> str:
    """What the page answered: "URL answers 200, commit ... is live"."""
    return str(ran.report["stages"][-1]["detail"]).partition(" answers ")[2].partition(",")[0]
