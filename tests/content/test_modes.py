"""A small app of every mode: detected, described, checked, on a real repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import App
from connect_tasks.configuration.app_mode import MODES
from connect_tasks.content.entrypoint import detect
from connect_tasks.content.manifest_check import check

from .apps import APPS, COMMON
from .repository import commit_all, git, make_manifest, make_repository, open_git, write_files

#: Where the mode can't be told from the files: a notebook can be shown by Voila too.
DECLARED = {"voila": "voila", "voila-many": "voila"}
INSPECTION = {"engines": ["jupyter"], "quarto": {"version": "1.6.40"}, "files": {"input": ["index.qmd", "about.qmd"]}}


@pytest.mark.parametrize("name", APPS)
def test_every_mode_is_described_and_found_fresh(name: str, tmp_path: Path) -> None:
    files = {**COMMON, **APPS[name]}
    root = make_repository(tmp_path / "repository", {f"app/{path}": content for path, content in files.items()})
    (root / ".git/info/exclude").write_text(".env\n__pycache__/\n.ipynb_checkpoints/\n")
    write_files(root, {"app/.env": "TOKEN=1\n", "app/__pycache__/app.pyc": "", "app/.ipynb_checkpoints/x": ""})
    found = detect({path: content.encode() for path, content in files.items()}, DECLARED.get(name))
    app = App(name=name, path="app", mode=found.mode.name, entrypoint=found.entrypoint)
    more: dict[str, Any] = {"inspection": INSPECTION} if found.mode.kind == "quarto" else {}
    write_files(root, {"app/manifest.json": make_manifest(root, app, tmp_path / "export", "3.11", **more)})
    commit_all(root)
    manifest = json.loads((root / "app/manifest.json").read_text())

    assert set(manifest["files"]) == set(files)
    assert manifest["metadata"]["appmode"] == found.mode.connect
    assert check(app, open_git(root)) == ()
    assert check(App(name=name, path="app"), open_git(root), configured=False) == ()
    again = make_manifest(root, app, tmp_path / "again", "3.11", **more)
    assert again == (root / "app/manifest.json").read_bytes(), "written once more, it is the same"


def test_every_mode_has_its_app() -> None:
    assert {mode.name for mode in MODES} - {"quarto-shiny"} <= {name.removesuffix("-many") for name in APPS}


def test_the_document_that_is_gone_is_named(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repository", {**COMMON, **APPS["notebook"]})
    app = App(name="n", path=".", mode="notebook", entrypoint="report.ipynb")
    write_files(root, {"manifest.json": make_manifest(root, app, tmp_path / "export", "3.11")})
    git(root, "mv", "report.ipynb", "renamed.ipynb")
    commit_all(root)
    changes = check(App(name="n", path="."), open_git(root), configured=False)

    assert {(change.kind, change.path) for change in changes} == {
        ("missing", "report.ipynb"),
        ("unlisted", "renamed.ipynb"),
        ("metadata", None),
    }
