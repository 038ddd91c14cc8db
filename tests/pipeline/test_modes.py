"""A small real app of every mode: frozen, described, committed, checked; rehearsed where the local server can run it.

What needs no heavy framework runs by default, the others are marked `frameworks`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connect_tasks.configuration.app_mode import MODES as EVERY_MODE
from connect_tasks.emulator.modes import MODES as RUNNABLE

from .conftest import Workshop

NOTEBOOK = json.dumps(
    {
        "cells": [
            {
                "cell_type": "code",
                "id": "one",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": "import helper\nprint('the word is ' + helper.WORD)",
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)
HELPER = {"helper.py": "WORD = 'swordfish'\n"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An app: what it needs, its files, what is found out about it, and a word that its page shows by itself."""

    needs: str = ""
    files: dict[str, str] = field(default_factory=dict)
    mode: str
    entrypoint: str = ""
    table: str = ""
    says: str = ""


SAMPLES = {
    "flask": Sample(
        needs="flask",
        files={
            "app.py": "from flask import Flask\n\nimport helper\n\napp = Flask(__name__)\n\n\n"
            "@app.get('/')\ndef index():\n    return helper.WORD\n",
            **HELPER,
        },
        mode="python-api",
        entrypoint="app:app",
        says="swordfish",
    ),
    "fastapi": Sample(
        needs="fastapi",
        files={
            "main.py": "from fastapi import FastAPI\n\nimport helper\n\napp = FastAPI()\n\n\n"
            "@app.get('/')\ndef index():\n    return helper.WORD\n",
            **HELPER,
        },
        mode="python-fastapi",
        entrypoint="main:app",
        says="swordfish",
    ),
    "html": Sample(
        files={"index.html": "<link rel=stylesheet href=style.css><h1>swordfish</h1>\n", "style.css": "h1 {}\n"},
        mode="static",
        entrypoint="index.html",
        says="swordfish",
    ),
    "tensorflow": Sample(
        files={"1/saved_model.pb": "a model, as far as a manifest goes\n", "1/variables/variables.index": "\n"},
        mode="tensorflow-saved-model",
    ),
    "quarto": Sample(
        files={"_quarto.yml": "project:\n  type: website\n", "index.qmd": "# hello\n", "about.qmd": "# about\n"},
        mode="quarto-static",
    ),
    "dash": Sample(
        needs="dash",
        files={"app.py": "from dash import Dash, html\n\napp = Dash(__name__)\napp.layout = html.Div('hello')\n"},
        mode="python-dash",
        entrypoint="app:app",
        says="dash",
    ),
    "streamlit": Sample(
        needs="streamlit",
        files={"app.py": "import streamlit as st\n\nimport helper\n\nst.title(helper.WORD)\n", **HELPER},
        mode="python-streamlit",
        entrypoint="app",
        says="Streamlit",
    ),
    "bokeh": Sample(
        needs="bokeh",
        files={"app.py": "from bokeh.plotting import curdoc, figure\n\ncurdoc().add_root(figure())\n"},
        mode="python-bokeh",
        entrypoint="app",
        says="bokeh",
    ),
    "shiny": Sample(
        needs="shiny",
        files={"app.py": "from shiny import App, ui\n\napp = App(ui.page_fluid('swordfish'), None)\n"},
        mode="python-shiny",
        entrypoint="app:app",
        says="swordfish",
    ),
    "shiny-express": Sample(
        needs="shiny",
        files={"app.py": "from shiny.express import ui\n\nui.h1('swordfish')\n"},
        mode="python-shiny",
        entrypoint="shiny.express.app:app_2e_py",
        says="swordfish",
    ),
    "gradio": Sample(
        needs="gradio",
        files={
            "app.py": "import gradio as gr\n\nwith gr.Blocks(title='swordfish') as demo:\n    gr.Markdown('hello')\n\n"
            "demo.launch()\n"
        },
        mode="python-gradio",
        entrypoint="app:demo",
        says="swordfish",
    ),
    "panel": Sample(
        needs="panel",
        files={"app.py": "import panel as pn\n\npn.panel('# swordfish').servable(title='swordfish')\n"},
        mode="python-panel",
        entrypoint="app",
        says="swordfish",
    ),
    "notebook": Sample(
        needs="ipykernel\nnbconvert",
        files={"report.ipynb": NOTEBOOK, **HELPER},
        mode="jupyter-static",
        entrypoint="report.ipynb",
        says="the word is swordfish",
    ),
    "voila": Sample(
        needs="voila\nipykernel",
        files={"report.ipynb": NOTEBOOK, **HELPER},
        mode="jupyter-voila",
        entrypoint="report.ipynb",
        table='mode = "voila"\n',  # a notebook may be shown in two ways
        says="the word is swordfish",
    ),
}
#: Of those, what needs nothing that takes long to install.
LIGHT = ("flask", "fastapi", "html", "tensorflow", "quarto")


def samples(*, runnable: bool) -> list[object]:
    chosen = [name for name, sample in SAMPLES.items() if not runnable or sample.mode in RUNNABLE]
    heavy = (pytest.mark.frameworks, pytest.mark.timeout(900))
    return [pytest.param(name, marks=() if name in LIGHT else heavy) for name in chosen]


@pytest.fixture
def shop(workshop: Workshop, name: str) -> Workshop:
    """The repository of one sample app; nothing is said about it but what its files do not tell."""
    sample = SAMPLES[name]
    workshop.git("rm", "--quiet", "app.py", "test_app.py")
    verify = f'verify = {{ contains = "{sample.says}", timeout = 120 }}\n' if sample.says else ""
    files = {**sample.files, "requirements.in": f"{sample.needs}\n"}
    workshop.commit("the sample", **{"pyproject.toml": f"[tool.connect-tasks]\n{sample.table}{verify}"})
    for path, content in files.items():
        workshop.write(path, content)
    workshop.write("junk.txt", "not in git\n")
    workshop.git("add", *files)
    workshop.git("commit", "--quiet", "-m", "the app")
    return workshop


@pytest.fixture
def quarto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the program, which no package index has: it answers `inspect` as quarto does."""
    answer = {"quarto": {"version": "1.6.40"}, "engines": ["markdown"], "files": {"input": ["index.qmd", "about.qmd"]}}
    tool = tmp_path / "tools" / "quarto"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("quarto")
@pytest.mark.parametrize("name", samples(runnable=False))
def test_each_mode_is_frozen_described_and_found_fresh(shop: Workshop, name: str) -> None:
    sample = SAMPLES[name]
    for verb in ("freeze", "manifest"):
        ran = shop.run(verb)
        assert ran.status == 0, ran.said
    assert shop.run("commit", "--no-test", "the manifest is the subject").status == 0
    ran = shop.run("check")
    assert (ran.status, ran.report["changes"]) == (0, []), ran.said

    manifest = json.loads(shop.git("show", "HEAD:manifest.json"))
    assert set(manifest["files"]) == set(shop.git("ls-files").splitlines()) - {"manifest.json"}
    assert manifest["metadata"]["appmode"] == sample.mode
    assert manifest["metadata"].get("entrypoint", "") == sample.entrypoint
    if sample.needs:
        frozen = {line.split("==")[0] for line in (shop.root / "requirements.txt").read_text().splitlines()}
        assert set(sample.needs.split()) <= frozen
        assert manifest["environment"]["python"]["requires"].startswith("~=3.")
    for verb in ("freeze", "manifest"):
        assert shop.run(verb).report["result"] == "noop", "once more changes nothing"


@pytest.mark.parametrize("name", samples(runnable=True))
def test_what_the_local_server_can_run_is_rehearsed(shop: Workshop, name: str) -> None:
    done = shop.process("rehearse", "--json", "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((shop.root / "report.json").read_text())
    assert report["live_commit"] == report["pushed"] == report["commit"]
    assert "answers 200" in report["stages"][-1]["detail"]


def test_every_mode_has_a_sample() -> None:
    missing = {mode.connect for mode in EVERY_MODE} - {sample.mode for sample in SAMPLES.values()}
    assert missing == {"quarto-shiny"}, "which differs from quarto in the mode alone: tests/content"
    assert set(RUNNABLE) <= {sample.mode for sample in SAMPLES.values()}
