"""What other tools wrote counts as a default: rsconnect-python's own templates, Posit Publisher's files."""

from __future__ import annotations

import string
from importlib.resources import files
from pathlib import Path

import pytest

from connect_tasks.configuration import App, explain, for_path, load
from connect_tasks.configuration.app_mode import find_mode
from connect_tasks.configuration.interop import PUBLISHER_MODES
from connect_tasks.errors import ConfigurationInvalid, Problems

PUBLISHER = """\
"$schema" = "https://cdn.posit.co/publisher/schemas/posit-publishing-schema-v3.json"
product_type = "connect"
type = "{type}"
entrypoint = "{entrypoint}"
validate = true
files = ["/app.py", "/requirements.txt"]
title = "Sales by region"
description = "Figures of the week."
[python]
version = "3.11.7"
package_file = "requirements.txt"
package_manager = "pip"
"""


def write(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def app_of(root: Path, table: str = "") -> App:
    """The app in the root, our table added to what stands in pyproject.toml."""
    file = root / "pyproject.toml"
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(f"{before}\n[tool.connect-tasks]\n{table}\n", encoding="utf-8")
    return load(root).apps[0]


@pytest.mark.parametrize("kind", ["api", "fastapi", "notebook", "quarto", "shiny", "streamlit", "voila"])
def test_what_rsconnect_quickstart_writes(tmp_path: Path, kind: str) -> None:
    template = files("rsconnect.quickstart") / "templates" / kind / "pyproject.toml.tmpl"
    text = string.Template(template.read_text(encoding="utf-8")).substitute(name="stock", requires_python=">=3.11")
    write(tmp_path, "pyproject.toml", text)
    app = app_of(tmp_path)
    assert find_mode(app.mode or "").connect in text
    assert f'entrypoint = "{app.entrypoint}"' in text
    assert (app.name, app.title) == ("stock", "stock")


def test_our_own_table_wins(tmp_path: Path) -> None:
    theirs = '[tool.rsconnect]\napp_mode = "python-fastapi"\nentrypoint = "main:api"\ntitle = "Theirs"\n'
    write(tmp_path, "pyproject.toml", theirs)
    app = app_of(tmp_path, 'title = "Ours"')
    assert (app.mode, app.entrypoint, app.title) == ("python-fastapi", "main:api", "Ours")
    config = load(tmp_path)
    said = {key: source for key, _, source in explain(config, config.apps[0])}
    assert said["mode"] == "pyproject.toml:2 [tool.rsconnect]"
    assert said["title"] == "pyproject.toml:7 [tool.connect-tasks]"


def test_each_app_has_its_own_files(tmp_path: Path) -> None:
    write(tmp_path, "a/pyproject.toml", '[tool.rsconnect]\napp_mode = "python-dash"\n')
    write(tmp_path, "b/.posit/publish/b-X1.toml", PUBLISHER.format(type="python-flask", entrypoint="app.py"))
    write(tmp_path, ".posit/publish/c.toml", PUBLISHER.format(type="html", entrypoint="index.html"))
    tables = "".join(f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\n' for name in "abc")
    write(tmp_path, "pyproject.toml", tables)
    assert [(app.mode, app.title) for app in load(tmp_path).apps] == [
        ("python-dash", None),
        ("flask", "Sales by region"),
        (None, None),
    ]


@pytest.mark.parametrize(("theirs", "ours"), PUBLISHER_MODES.items())
def test_every_type_of_publisher_is_a_mode(tmp_path: Path, theirs: str, ours: str) -> None:
    write(tmp_path, ".posit/publish/one.toml", PUBLISHER.format(type=theirs, entrypoint="app.py"))
    assert find_mode(ours).name == ours
    assert app_of(tmp_path).mode == ours


def test_publishers_entrypoint(tmp_path: Path) -> None:
    """A file is an entrypoint where the mode starts from one; a web app needs an object of it."""
    for kind, entrypoint, more, expected in (
        ("python-streamlit", "main.py", "", "main.py"),
        ("jupyter-notebook", "report.ipynb", "", "report.ipynb"),
        ("python-flask", "main.py", "", None),
        (
            "python-shiny",
            "app.py",
            'entrypointObjectRef = "shiny.express.app:app_2e_py"\n',
            "shiny.express.app:app_2e_py",
        ),
    ):
        root = tmp_path / kind
        text = PUBLISHER.format(type=kind, entrypoint=entrypoint).replace("[python]", f"{more}[python]")
        write(root, ".posit/publish/one.toml", text)
        assert app_of(root).entrypoint == expected


def test_several_configurations_of_publisher_decide_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path, f".posit/publish/{name}.toml", PUBLISHER.format(type="python-flask", entrypoint="app.py"))
    assert app_of(tmp_path) == App(name="app")


def test_a_record_of_a_deployment_is_no_configuration(tmp_path: Path) -> None:
    write(tmp_path, ".posit/publish/one.toml", PUBLISHER.format(type="python-flask", entrypoint="app.py"))
    write(tmp_path, ".posit/publish/deployments/d.toml", 'server_url = "https://example.com"\n')
    assert app_of(tmp_path).mode == "flask"


def test_r_content_says_nothing_of_mode_and_entrypoint(tmp_path: Path) -> None:
    write(tmp_path, ".posit/publish/one.toml", PUBLISHER.format(type="r-shiny", entrypoint="app.R"))
    app = app_of(tmp_path)
    assert (app.mode, app.entrypoint, app.title) == (None, None, "Sales by region")


def test_rsconnect_is_nearer_than_publisher(tmp_path: Path) -> None:
    write(tmp_path, ".posit/publish/one.toml", PUBLISHER.format(type="python-flask", entrypoint="app.py"))
    write(tmp_path, "pyproject.toml", '[tool.rsconnect]\napp_mode = "python-fastapi"\n')
    app = app_of(tmp_path)
    assert (app.mode, app.title) == ("python-fastapi", "Sales by region")


def test_what_is_wrong_there_is_said_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[tool.rsconnect]\napp_mode = "python-fastap"\nentrypoint = 3\nother = []\n')
    with pytest.raises(Problems) as caught:
        app_of(tmp_path)
    first, second = caught.value.problems
    assert first.message.startswith("tool.rsconnect.app_mode must be one of flask,")
    assert first.message.endswith("did you mean python-fastapi?")
    assert (first.where, first.hint) == ("pyproject.toml:2", "correct it, or set mode in [tool.connect-tasks]")
    assert second.message == "tool.rsconnect.entrypoint must be a string, not a number"


def test_what_our_table_overrides_is_not_checked(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[tool.rsconnect]\napp_mode = "nodejs"\n')
    assert app_of(tmp_path, 'mode = "flask"').mode == "flask"


@pytest.mark.parametrize("text", ["type = 'python-flask", "\ufeff", "tool = 1"])
def test_a_broken_file_of_publisher(tmp_path: Path, text: str) -> None:
    write(tmp_path, ".posit/publish/one.toml", text)
    if text == "tool = 1":
        assert app_of(tmp_path) == App(name="app")
    else:
        with pytest.raises(ConfigurationInvalid) as caught:
            app_of(tmp_path)
        assert (caught.value.where or "").startswith(".posit/publish/one.toml:1:")


def test_reading_other_peoples_repositories_goes_on(tmp_path: Path) -> None:
    """`check --path` works where nobody heard of us: what other tools say wrongly is not ours to refuse."""
    write(tmp_path, "app/pyproject.toml", '[tool.rsconnect]\napp_mode = "rmd-shiny"\nentrypoint = "app:app"\n')
    write(tmp_path, "app/.posit/publish/one.toml", "not toml")
    assert for_path(tmp_path, "app").apps == (App(name="app", path="app", entrypoint="app:app"),)
