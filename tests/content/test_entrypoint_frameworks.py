"""Each framework's own objects and scripts, imported for real. Heavy: `nox -s frameworks` runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from connect_tasks.content.entrypoint import verify_entrypoint
from connect_tasks.errors import EntrypointWrong

from .apps import make_app
from .conftest import make_environment

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="session")
def frameworks_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("frameworks") / "venv"
    packages = ("flask", "fastapi", "dash", "streamlit", "bokeh", "shiny", "gradio", "panel")
    return make_environment(place, *packages, python=sys.executable)


@pytest.mark.parametrize(
    ("name", "mode", "entrypoint"),
    [
        ("dash", "dash", "app:app"),
        ("streamlit", "streamlit", "app"),
        ("bokeh", "bokeh", "app"),
        ("shiny", "shiny", "app:app"),
        ("shiny-express", "shiny", "app"),
        ("gradio", "gradio", "app:demo"),
        ("panel", "panel", "app"),
    ],
)
@pytest.mark.parametrize("declared", [False, True])
def test_each_framework_is_verified(
    name: str,
    mode: str,
    entrypoint: str,
    declared: bool,
    tmp_path: Path,
    frameworks_python: Path,
    app_env: dict[str, str],
) -> None:
    app = make_app(tmp_path / "app", name)
    arguments = (mode, entrypoint) if declared else (None, None)
    answer = verify_entrypoint(frameworks_python, app, *arguments, app_env)

    assert (answer.mode.name, answer.entrypoint) == (mode, entrypoint)


def test_the_server_of_a_dash_app_is_the_dash_app(
    tmp_path: Path, frameworks_python: Path, app_env: dict[str, str]
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text("import dash\napp = dash.Dash()\nserver = app.server\n")

    answer = verify_entrypoint(frameworks_python, tmp_path / "app", "dash", "app:server", app_env)
    assert answer.entrypoint == "app:server"


GRADIO = "import gradio as gr\ndemo = gr.Interface(lambda x: x, 'text')\n"


@pytest.mark.parametrize(
    ("mode", "entrypoint", "code", "words", "where"),
    [
        (
            "streamlit",
            "app",
            "import streamlit as st\nst.title('x')\nimport helper\n",
            "git does not track helper.py",
            "app.py:3",
        ),
        ("streamlit", "app", "x = 1\n", "does not import streamlit", "app.py"),
        ("streamlit", "app.py", "import streamlit\n1/0\n", "ZeroDivisionError: division by zero", "app.py:2"),
        (
            "bokeh",
            "app",
            "from bokeh.plotting import curdoc\nimport helper\n",
            "git does not track helper.py",
            "app.py:2",
        ),
        ("bokeh", "app", "def broken(:\n", "SyntaxError", "app.py:1"),
        ("panel", "app:app", "import panel as pn\npn.panel(undefined)\n", "NameError: name 'undefined'", "app.py:2"),
        ("gradio", "app:demo", GRADIO, "TypeError", "app.py:2"),
        ("gradio", "app:app", "import dash\napp = dash.Dash()\n", "is a Dash app", "app.py"),
        (
            "dash",
            "app:web",
            "import dash, flask\napp = dash.Dash()\nweb = flask.Flask('x')\n",
            "app:app (dash",
            "app.py",
        ),
        (
            "dash",
            "app:app",
            "import dash\napp = dash.Dash()\napp.layout = dash.html.Div()\napp.run(port=0)\n",
            "starts a server",
            "app.py:4",
        ),
        ("shiny", "app", "from shiny.express import ui\nui.h1(undefined)\n", "NameError", "app.py:2"),
        ("shiny", "app:app", "import flask\napp = flask.Flask('x')\n", "is a WSGI app", "app.py"),
        ("flask", "app:app", "import dash\napp = dash.Dash()\n", "is a Dash app", "app.py"),
    ],
)
def test_what_is_wrong_is_said_in_the_apps_own_words(
    mode: str,
    entrypoint: str,
    code: str,
    words: str,
    where: str,
    tmp_path: Path,
    frameworks_python: Path,
    app_env: dict[str, str],
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text(code)
    with pytest.raises(EntrypointWrong) as caught:
        verify_entrypoint(
            frameworks_python, tmp_path / "app", mode, entrypoint, app_env, untracked=lambda: ["helper.py"]
        )

    assert words in caught.value.message
    assert caught.value.where == where


@pytest.mark.parametrize("mode", ["streamlit", "bokeh", "panel", "gradio"])
def test_a_framework_that_is_not_declared_is_named(
    mode: str, tmp_path: Path, frozen_python: Path, app_env: dict[str, str]
) -> None:
    app = make_app(tmp_path / "app", mode)
    with pytest.raises(EntrypointWrong, match=f"No module named '{mode}"):
        verify_entrypoint(frozen_python, app, mode, None, app_env)
