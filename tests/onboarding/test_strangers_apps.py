"""Example apps that nobody here wrote, out of source distributions: `init`, `doctor`, `plan`, `rehearse`, and no edit
by hand.

With TRIED_TABLE=FILE the outcome of each is added to that file, as a row of docs/tried.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from connect_tasks.emulator import Running, running

from .project import Project, Ran


@dataclass(frozen=True, kw_only=True)
class Example:
    """`directory` within the source distribution of `project` (and its version, where the last one holds no apps).

    `refused`: words of the app's own error; None: it is live in the end.
    """

    name: str
    project: str
    directory: str
    refused: str | None = None


_TEMPLATES = "streamlit/.agents/skills/developing-with-streamlit/assets/templates/apps"
EXAMPLES = (
    Example(name="flaskr", project="flask", directory="examples/tutorial"),
    Example(name="js_example", project="flask", directory="examples/javascript"),
    Example(name="bigger_applications", project="fastapi", directory="docs_src/bigger_applications"),
    Example(name="embeddingbuddy", project="embeddingbuddy", directory="."),
    Example(
        name="multi_page", project="dash-labs", directory="docs/demos/multi_page_example1", refused="named 'dash_labs'"
    ),
    Example(name="hello", project="streamlit", directory="streamlit/hello"),
    Example(name="dashboard-metrics", project="streamlit", directory=f"{_TEMPLATES}/dashboard-metrics"),
    Example(name="penguins", project="shiny", directory="examples/penguins"),
    Example(name="uv", project="panel", directory="examples/apps/uv"),
    Example(name="player", project="holoviews", directory="holoviews/examples/reference/apps/bokeh"),
    Example(name="ohlc", project="bokeh==0.12.16", directory="examples/app/ohlc", refused="attribute 'plot_height'"),
    Example(name="demo", project="gradio_calendar", directory="demo", refused="No module named 'gradio_calendar'"),
)  # fmt: skip


def unpacked(project: str, place: Path) -> Path:
    """The source distribution of a project. Where its metadata can't be built here (Panel's wants the network), what
    pip had unpacked is there all the same."""
    (place / "build").mkdir()
    pip = [uv.find_uv_bin(), "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps", "--no-clean"]
    name = project.partition("==")[0]
    argv = [*pip, "--no-binary", name, "--dest", str(place), project]
    subprocess.run(argv, env={**os.environ, "TMPDIR": str(place / "build")}, check=False, capture_output=True)
    for archive in place.glob("*.tar.gz"):
        with tarfile.open(archive) as source:
            source.extractall(place / "source", filter="data")
        return next((place / "source").iterdir())
    return next((place / "build").glob(f"pip-download-*/{name}_*"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("connect")) as started:
        yield started


@pytest.mark.frameworks
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_of_a_framework_needs_no_edit(example: Example, tmp_path: Path, server: Running) -> None:
    source = unpacked(example.project, tmp_path) / example.directory
    shutil.copytree(source, tmp_path / example.name)
    app = Project(root=tmp_path / example.name)
    environ = {
        "CONNECT_TASKS_CACHE": str(tmp_path / "cache"),
        "CONNECT_SERVER": server.url,
        "CONNECT_API_KEY": server.api_key,
    }

    set_up = app.run("init", "--yes", **environ)
    assert set_up.status == 0, set_up.said
    _as_init_says(app, server, example.name)
    examined = app.run("doctor", **environ)
    assert examined.status == 0, examined.said
    planned = app.run("plan", **environ)
    assert planned.status == 2, planned.said  # a release is pending
    assert set(planned.report["plan"]["diffs"]) == {"requirements.txt", "manifest.json"}
    ran = app.run("rehearse", **environ)

    _noted(example, set_up, examined, planned, ran)
    assert app.git("status", "--porcelain") == ""  # nothing was edited, by hand or by us
    if example.refused is None:
        assert ran.status == 0, ran.said
        assert ran.report["live_commit"] == ran.report["commit"]
        return
    assert (ran.status, ran.report["error"]["code"]) == (1, "CT401"), ran.said
    assert example.refused in ran.report["error"]["message"]
    assert ran.report["commit"] is None  # refused before a commit


def _as_init_says(app: Project, server: Running, name: str) -> None:
    """What is left to its owner: to commit what `init` has written, and to have a remote."""
    app.git("add", "--all")
    app.git("commit", "--quiet", "--message", "Release by connect_tasks")
    app.git("remote", "add", "origin", server.git_url(name))
    app.git("config", f"http.{server.url}/.extraHeader", f"Authorization: Key {server.api_key}")
    app.git("push", "--quiet", "origin", "main")


def _noted(example: Example, set_up: Ran, examined: Ran, planned: Ran, ran: Ran) -> None:
    if not os.environ.get("TRIED_TABLE"):
        return
    (found,) = set_up.report["state"]["apps"]
    reports = (set_up.report, examined.report, planned.report, ran.report)
    seconds = sum(stage["seconds"] for report in reports for stage in report["stages"])
    verdicts = Counter(check["verdict"] for check in examined.report["state"]["checks"])
    pins = len(re.findall(r"^\+\S+==", planned.report["plan"]["diffs"]["requirements.txt"], re.MULTILINE))
    error = ran.report["error"]
    cells = (
        f"{example.project}: {example.directory}",
        f"{found['mode']}, {found['entrypoint']}",
        "0",
        ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
        f"{len(planned.report['plan']['actions'])} actions, {pins} pins",
        f"refused: {error['message']}" if error else f"live; {_status(ran)}",
        f"{seconds:.0f} s",
    )
    with Path(os.environ["TRIED_TABLE"]).open("a", encoding="utf-8") as table:
        table.write(f"| {' | '.join(cells)} |\n")


def _status(ran: Ran) -> str:
    """What the page answered: "URL answers 200, commit ... is live"."""
    return str(ran.report["stages"][-1]["detail"]).partition(" answers ")[2].partition(",")[0]
