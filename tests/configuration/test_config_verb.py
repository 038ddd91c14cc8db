"""`config`: the values that count, and who says so."""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from connect_tasks.arguments import parse
from connect_tasks.runner import run_verb
from connect_tasks.verbs import verb

TABLE = """\
# ours
[tool.connect-tasks]
branch = "main"
[tool.connect-tasks.apps.sales]
path = "sales"
verify = { path = "/health" }
[tool.connect-tasks.targets.live]
server = "https://connect.example.com"
"""
APP = "import flask\napp = flask.Flask(__name__)\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "pyproject.toml": TABLE,
        "sales/app.py": APP,
        "sales/requirements.in": "flask\n",
        ".python-version": "3.12",
    }
    for name, text in files.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shop = tmp_path / "shop"
    remote = "git@git.example.org:team/shop.git"
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", *command], cwd=shop, check=True)
    return shop


def values(root: Path, *arguments: str, **environ: str) -> tuple[dict[str, tuple[object, str]], str]:
    said, report = io.StringIO(), root.parent / "report.json"
    options = parse(verb("config"), [*arguments, "--json", str(report)], program="config")
    with redirect_stdout(said):
        status = run_verb(verb("config"), options, directory=root, environ={**os.environ, **environ})
    assert status == 0, said.getvalue()
    listed = json.loads(report.read_text())["state"]["values"]
    return {one["key"]: (one["value"], one["source"]) for one in listed}, said.getvalue()


def test_each_value_names_its_line_or_how_it_was_found(root: Path) -> None:
    found, said = values(root, CONNECT_API_KEY="s3cr3t-key-of-ours")

    assert found["branch"] == ("main", "pyproject.toml:3 [tool.connect-tasks]")
    assert found["verify.path"] == ("/health", "pyproject.toml:6 [tool.connect-tasks.apps.sales]")
    assert found["server"] == ("https://connect.example.com", "pyproject.toml:8 [tool.connect-tasks.targets.live]")
    assert found["mode"] == ("flask", "found in the app's files")
    assert found["entrypoint"] == ("app:app", "found in the app's files")
    assert found["python"] == ("~=3.12.0", "../.python-version")
    assert found["dependencies"] == ("requirements.in", "found in the app's directory")
    assert found["repository"] == ("https://git.example.org/team/shop.git", "made from the address of origin")
    assert found["content_name"] == ("shop-sales", "made from repository and path")
    assert found["remote"] == ("origin", "default")
    assert found["key"] == ("is set", "CONNECT_API_KEY")
    assert "s3cr3t" not in said
    assert 'branch = "main"' in said
    assert "pyproject.toml:3" in said


def test_what_is_not_there_says_why(root: Path) -> None:
    (root / "pyproject.toml").write_text(TABLE[: TABLE.index("[tool.connect-tasks.targets")])
    subprocess.run(["git", "remote", "remove", "origin"], cwd=root, check=True)

    found, _ = values(root)
    named, _ = values(root, CONNECT_SERVER="https://other.example.com", CONNECT_API_KEY="k")

    assert found["repository"] == (None, "there is no remote origin")
    assert found["server"][0] is None
    assert found["key"][0] is None
    assert named["server"] == ("https://other.example.com", "CONNECT_SERVER")

    subprocess.run(["git", "update-ref", "-d", "HEAD"], cwd=root, check=True)  # as `init` leaves it
    assert values(root)[0]["dependencies"] == (None, "the repository has no commit yet")
