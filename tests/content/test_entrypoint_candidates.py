"""Mode and entrypoint as the sources have them, before anything is imported."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connect_tasks.configuration.app_mode import MODES, AppMode, find_mode
from connect_tasks.content.entrypoint import detect
from connect_tasks.content.entrypoint_candidates import express_entrypoint, find_candidates, module_file, module_name
from connect_tasks.errors import EntrypointWrong, ModeUnknown

from .apps import APPS

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "import fastapi as f\napp: f.FastAPI = f.FastAPI()\n"
STREAMLIT = "import streamlit as st\nst.title('x')\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"


def found(files: dict[str, str], mode: str | None = None) -> str:
    """'mode entrypoint', or 'mode entrypoint | mode entrypoint' where the sources do not decide."""
    try:
        answer = detect(files, mode)
    except (EntrypointWrong, ModeUnknown) as problem:
        return str(problem)
    return f"{answer.mode.name} {answer.entrypoint}".strip()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("flask", "flask app:app"),
        ("fastapi", "fastapi main:app"),
        ("dash", "dash app:app"),
        ("streamlit", "streamlit app"),
        ("bokeh", "bokeh app"),
        ("shiny", "shiny app:app"),
        ("shiny-express", "shiny app"),
        ("gradio", "gradio app:demo"),
        ("panel", "panel app"),
        ("notebook", "notebook report.ipynb"),
        ("quarto", "quarto"),
        ("tensorflow", "tensorflow"),
        ("html", "html index.html"),
    ],
)
def test_every_mode_is_detected(name: str, answer: str) -> None:
    files = {path: content for path, content in APPS[name].items() if name != "notebook" or path.endswith(".ipynb")}

    assert found(files) == answer


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"app.py": FLASK, "main.py": FASTAPI}, "flask app:app"),
        (
            {"app.py": FLASK, "tests/test_app.py": FASTAPI, "conftest.py": FASTAPI, "docs/conf.py": FLASK},
            "flask app:app",
        ),
        ({"server.py": FLASK}, "flask server:app"),
        (
            {"flaskr/__init__.py": FACTORY, "flaskr/db.py": "import flask\n", "setup.py": FLASK},
            "flask flaskr:create_app",
        ),
        ({"shop/__init__.py": "", "shop/web.py": FLASK}, "flask shop.web:app"),
        ({"src/shop/app.py": FLASK}, "flask src.shop.app:app"),
        ({"app.py": "import flask\nclass Mine(flask.Flask): pass\napp = Mine(__name__)\n"}, "flask app:app"),
        ({"app.py": "from flask.app import Flask as F\nif True:\n    app = F(__name__)\n"}, "flask app:app"),
        ({"app.py": "import dash, flask\nserver = flask.Flask('x')\napp = dash.Dash(server=server)\n"}, "dash app:app"),
        ({"app.py": FLASK, "plots.py": "import bokeh\n"}, "flask app:app"),
        ({"app.py": "import flask\n\ndef make(x):\n    return flask.Flask(x)\n"}, "no app of a framework"),
        ({"app.py": "def broken(:\n", "main.py": FASTAPI}, "fastapi main:app"),
        ({"app.py": STREAMLIT, "pages/one.py": STREAMLIT}, "streamlit app"),
        ({"app.py": "import panel as pn\nimport bokeh\n"}, "panel app"),
        ({"shop/web.py": FLASK, "Home.py": STREAMLIT}, "more than one app"),
        ({"one.py": FLASK, "two.py": FLASK}, "more than one app"),
        (
            {
                "site/asgi.py": "from django.core.asgi import get_asgi_application as g\napplication = g()\n",
                "site/wsgi.py": "from django.core.wsgi import get_wsgi_application as g\napplication = g()\n",
            },
            "more than one app is in the directory: site.asgi:application (fastapi), site.wsgi:application (flask)",
        ),
        ({"one.ipynb": "", "two.ipynb": ""}, "more than one app"),
        ({"index.html": "", "other.html": ""}, "html index.html"),
        ({}, "no app of a framework"),
    ],
)
def test_layouts(files: dict[str, str], answer: str) -> None:
    assert answer in found(files)


@pytest.mark.parametrize(
    ("files", "mode", "answer"),
    [
        ({"app.py": FLASK, "main.py": FASTAPI}, "fastapi", "fastapi main:app"),
        ({"app.py": FLASK}, "fastapi", "no fastapi app is in the directory; found app:app (flask)"),
        ({"a.ipynb": "", "b.ipynb": ""}, "voila", "voila"),
        ({"a.ipynb": ""}, "voila", "voila a.ipynb"),
        ({"page.html": ""}, "html", "html page.html"),
        ({"app.py": FLASK, "page.html": ""}, "html", "html page.html"),
    ],
)
def test_a_declared_mode_narrows_the_search(files: dict[str, str], mode: str, answer: str) -> None:
    assert answer in found(files, mode)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.imported])
def test_a_declared_entrypoint_needs_no_search(mode: AppMode) -> None:
    assert detect({}, mode.name, "any.where:it").entrypoint == "any.where:it"


def test_a_document_that_is_not_there() -> None:
    with pytest.raises(EntrypointWrong, match=r"old\.ipynb does not exist") as caught:
        detect({"new.ipynb": ""}, "notebook", "old.ipynb")
    assert caught.value.hint == 'entrypoint = "new.ipynb"'


@pytest.mark.parametrize(("mode", "path"), [("notebook", "nb/x.ipynb"), ("html", "nb/x.html"), ("quarto", "nb/x.qmd")])
def test_a_document_further_down_has_its_manifest_beside_it(mode: str, path: str) -> None:
    with pytest.raises(EntrypointWrong, match="not at the top") as caught:
        detect({path: ""}, mode, path)
    assert caught.value.hint == 'let `path` end in "nb"'


def test_names_of_modes() -> None:
    assert find_mode("api") is find_mode("flask") is find_mode("python-api")
    with pytest.raises(ModeUnknown, match="flsk") as caught:
        find_mode("flsk")
    assert caught.value.hint == 'mode = "flask"'


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/:"), min_size=1, max_size=12))
def test_express_files_are_escaped_as_rsconnect_does(name: str) -> None:
    from rsconnect.shiny_express import escape_to_var_name

    path = f"{name}.py"
    source = "from shiny.express import ui\n"
    found = express_entrypoint(path, {path: source})
    if find_candidates({path: source}):
        assert found == f"shiny.express.app:{escape_to_var_name(path)}"
    assert express_entrypoint(path, {path: FLASK}) is None


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=4))
@example(["web", "py"])
def test_modules_and_files_are_two_names_of_one_thing(parts: list[str]) -> None:
    for path in ("/".join(parts) + ".py", "/".join(parts) + "/__init__.py"):
        assert module_file(f"{module_name(path)}:app", {path}) in (path, None if parts[-1] == "__init__" else path)


@given(st.dictionaries(st.sampled_from(["app.py", "b.py"]), st.text() | st.binary()))
def test_no_source_is_a_traceback(files: dict[str, str | bytes]) -> None:
    find_candidates(files)
