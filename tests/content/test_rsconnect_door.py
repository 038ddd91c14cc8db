"""rsconnect-python's functions, called in process, against its own command: byte for byte, one test per mode."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import app_mode
from connect_tasks.content.rsconnect_door import ManifestRequest, inspect_quarto, write_manifest
from connect_tasks.errors import CommandMissing, ManifestRefused

from .apps import make_app

#: app -> (arguments of `rsconnect write-manifest`, with DIR for the app's directory; mode; entrypoint)
COMMANDS: dict[str, tuple[list[str], app_mode.AppMode, str]] = {
    "flask": (["flask", "-e", "app:app", "DIR"], app_mode.FLASK, "app:app"),
    "fastapi": (["fastapi", "-e", "main:app", "DIR"], app_mode.FASTAPI, "main:app"),
    "dash": (["dash", "-e", "app:app", "DIR"], app_mode.DASH, "app:app"),
    "streamlit": (["streamlit", "-e", "app", "DIR"], app_mode.STREAMLIT, "app"),
    "bokeh": (["bokeh", "-e", "app", "DIR"], app_mode.BOKEH, "app"),
    "shiny": (["shiny", "-e", "app:app", "DIR"], app_mode.SHINY, "app:app"),
    "shiny-express": (["shiny", "-e", "app", "DIR"], app_mode.SHINY, "app"),
    "gradio": (["gradio", "-e", "app:demo", "DIR"], app_mode.GRADIO, "app:demo"),
    "panel": (["panel", "-e", "app", "DIR"], app_mode.PANEL, "app"),
    "notebook": (
        [
            "notebook",
            "DIR/report.ipynb",
            *(f"DIR/{extra}" for extra in (".python-version", "data/a b.csv", "helper.py")),
        ],
        app_mode.NOTEBOOK,
        "report.ipynb",
    ),
    "voila": (["voila", "DIR/"], app_mode.VOILA, "report.ipynb"),
    "voila-many": (["voila", "--multi-notebook", "DIR/"], app_mode.VOILA, ""),
    "quarto": (["quarto", "DIR"], app_mode.QUARTO, ""),
    "tensorflow": (["tensorflow", "DIR"], app_mode.TENSORFLOW, ""),
}


def run_rsconnect(*arguments: str, cwd: Path) -> None:
    """The command that people type, as a process of its own."""
    script = "import sys; from rsconnect.main import cli; sys.argv[0] = 'rsconnect'; cli()"
    env = {**os.environ, "RSCONNECT_DISABLE_VERSION_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, "write-manifest", *arguments], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def quarto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the quarto program, which no package index has: it answers `inspect` as quarto does."""
    tool = tmp_path / "tools" / "quarto"
    tool.parent.mkdir()
    answer = {
        "quarto": {"version": "1.6.40"},
        "engines": ["markdown", "jupyter"],
        "files": {"input": ["DIR/index.qmd", "DIR/about.qmd"]},
        "config": {"project": {"output-dir": "_site"}},
    }
    tool.write_text(f"""#!/bin/sh\necho '{json.dumps(answer)}' | sed "s|DIR|$2|g"\n""")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return tool


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_bytes_as_the_command(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    arguments, mode, entrypoint = COMMANDS[name]
    if mode.kind == "quarto":
        request.getfixturevalue("quarto")
    theirs, ours = make_app(tmp_path / "theirs" / "app", name), make_app(tmp_path / "ours" / "app", name)

    run_rsconnect(*(argument.replace("DIR", str(theirs)) for argument in arguments), cwd=tmp_path)
    expected = (theirs / "manifest.json").read_bytes()
    written: Any = json.loads(expected)
    python = written.get("python", {})
    inspection = inspect_quarto(ours, "", os.environ) if mode.kind == "quarto" else None
    manifest = write_manifest(
        ours,
        ManifestRequest(
            mode=mode,
            entrypoint=entrypoint,
            python=python.get("version", ""),
            pip=python.get("package_manager", {}).get("version", ""),
            locale=written.get("locale", ""),
            requires=written.get("environment", {}).get("python", {}).get("requires"),
            inspection=inspection,
        ),
    )

    assert manifest == written
    assert (ours / "manifest.json").read_bytes() == expected
    assert "data/a b.csv" in manifest["files"], "the comparison is worth nothing on an empty list"


def test_html_is_described_as_rsconnect_deploys_it(tmp_path: Path) -> None:
    from rsconnect.bundle import make_html_bundle

    app = make_app(tmp_path / "app", "html")
    with make_html_bundle(f"{app}/", str(app / "index.html"), (), ()) as file, tarfile.open(fileobj=file) as bundle:
        member = bundle.extractfile("manifest.json")
        assert member is not None
        expected = json.loads(member.read())

    assert write_manifest(app, ManifestRequest(mode=app_mode.HTML, entrypoint="index.html")) == expected
    assert expected["metadata"] == {"appmode": "static", "entrypoint": "index.html", "primary_html": "index.html"}


def test_quarto_with_shiny_differs_in_the_mode_alone(tmp_path: Path, quarto: Path) -> None:
    app = make_app(tmp_path / "app", "quarto")
    inspection = inspect_quarto(app, "", os.environ)
    static = write_manifest(app, ManifestRequest(mode=app_mode.QUARTO, inspection=inspection))
    shiny = write_manifest(app, ManifestRequest(mode=app_mode.QUARTO_SHINY, inspection=inspection))

    assert shiny["metadata"].pop("appmode") == "quarto-shiny"
    assert static["metadata"].pop("appmode") == "quarto-static"
    assert shiny == static


def test_a_quarto_project_without_jupyter_has_no_python(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", "quarto")
    manifest = write_manifest(app, ManifestRequest(mode=app_mode.QUARTO, inspection={"engines": ["markdown"]}))

    assert "python" not in manifest


def test_quarto_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CommandMissing, match="quarto is not installed"):
        inspect_quarto(tmp_path, "", os.environ)


def test_a_warning_of_quarto_is_no_part_of_its_answer(tmp_path: Path, quarto: Path) -> None:
    quarto.write_text("""#!/bin/sh\necho 'WARN: old' >&2\necho '{"engines": ["markdown"]}'\n""")

    assert inspect_quarto(tmp_path, "", os.environ) == {"engines": ["markdown"]}


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo broken >&2; exit 3", "broken"), ("echo no json", "JSON"), ("""echo '{"engines": ["knitr"]}'""", "knitr")],
)
def test_quarto_that_fails_is_quoted(tmp_path: Path, quarto: Path, script: str, message: str) -> None:
    quarto.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(ManifestRefused, match=message):
        inspect_quarto(tmp_path, "", os.environ)


def test_without_requirements_nothing_is_written(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", "flask")
    (app / "requirements.txt").unlink()
    with pytest.raises(ManifestRefused, match=r"requirements\.txt") as caught:
        write_manifest(app, ManifestRequest(mode=app_mode.FLASK, entrypoint="app:app"))
    assert caught.value.hint == "nox -s freeze"
    assert not (app / "manifest.json").exists()


@pytest.mark.parametrize("name", ["flask", "voila", "tensorflow", "html", "notebook"])
def test_a_dangling_link_is_no_traceback(name: str, tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", name)
    (app / "nowhere").symlink_to("missing")
    (app / "circle").symlink_to("circle")
    entrypoint = {"flask": "app:app", "html": "index.html", "tensorflow": ""}.get(name, "report.ipynb")

    manifest = write_manifest(app, ManifestRequest(mode=app_mode.find_mode(name), entrypoint=entrypoint))

    assert not {"nowhere", "circle"} & set(manifest["files"])


def test_r_packages_come_along(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", "flask")
    package = {"Package": "jsonlite", "Version": "1.8.8", "Source": "Repository", "Repository": "CRAN"}
    repositories = [{"Name": "CRAN", "URL": "https://cran.example.org"}]
    lock = {"R": {"Version": "4.4.1", "Repositories": repositories}, "Packages": {"jsonlite": package}}
    (app / "renv.lock").write_text(json.dumps(lock))

    manifest = write_manifest(app, ManifestRequest(mode=app_mode.FLASK, entrypoint="app:app"))

    assert manifest["platform"] == "4.4.1"
    assert list(manifest["packages"]) == ["jsonlite"]
