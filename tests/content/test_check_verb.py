"""The verb `check`: its exit codes, its report, what it says, and the command that repairs."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connect_tasks import process
from connect_tasks.arguments import parse
from connect_tasks.configuration import App
from connect_tasks.repository.git_calls import GitCalls
from connect_tasks.runner import run_verb
from connect_tasks.verbs import verb

from .repository import commit_all, git, make_manifest, make_repository, write_files
from .test_rsconnect_door import run_rsconnect

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
TABLE = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\n'
FILES: dict[str, str | bytes] = {
    ".python-version": "3.12\n",
    "app.py": FLASK,
    "requirements.in": "flask>=3\n",
    "requirements.txt": "flask==3.1.0\n",
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a verb left."""

    status: int
    report: dict[str, Any]
    said: str

    def changed(self, app: str | None = None) -> set[tuple[str, str | None]]:
        reports = [each for each in self.report["apps"] if each["app"] == app] if app else [self.report]
        return {(change["kind"], change["path"]) for change in reports[0]["changes"]}


def run(root: Path, *arguments: str, name: str = "check", **environ: str) -> Ran:
    report, said = root.parent / "report.json", io.StringIO()
    report.unlink(missing_ok=True)
    options = parse(verb(name), [*arguments, "--json", str(report)], program=name)
    with redirect_stdout(said):
        status = run_verb(verb(name), options, directory=root, environ={**os.environ, **environ})
    return Ran(status=status, report=json.loads(report.read_text()), said=said.getvalue())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One app, as a release leaves it."""
    root = make_repository(tmp_path / "repository", {**FILES, "pyproject.toml": TABLE})
    app = App(name="app", path=".", mode="flask", entrypoint="app:app")
    write_files(root, {"manifest.json": make_manifest(root, app, tmp_path / "export")})
    return commit_all(root)


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Three apps: one fresh, one stale, one whose manifest is none."""
    names = ("fresh", "stale", "broken")
    tables = "".join(f'[tool.connect-tasks.apps.{name}]\npath = "apps/{name}"\n' for name in names)
    files: dict[str, str | bytes] = {"pyproject.toml": TABLE + tables, ".python-version": "3.12\n"}
    files |= {f"apps/{name}/{path}": content for name in names for path, content in FILES.items()}
    root = make_repository(tmp_path / "repository", files)
    for name in names:
        app = App(name=name, path=f"apps/{name}", mode="flask", entrypoint="app:app")
        write_files(root, {f"apps/{name}/manifest.json": make_manifest(root, app, tmp_path / name)})
    write_files(
        root, {"apps/stale/new.py": "", "apps/broken/manifest.json": "{\n<<<<<<< HEAD\n=======\n>>>>>>> x\n}\n"}
    )
    return commit_all(root)


def test_fresh_is_0(root: Path) -> None:
    ran = run(root)

    assert (ran.status, ran.report["result"], ran.report["changes"]) == (0, "ok", [])
    assert "requirements and manifest describe the commit" in ran.said


def test_drift_is_2_with_every_file_and_the_command_that_repairs(root: Path) -> None:
    write_files(root, {"app.py": FLASK + "\n", "new.py": ""})
    (root / "requirements.in").unlink()
    commit_all(root)
    ran = run(root)

    assert (ran.status, ran.report["error"]["code"]) == (2, "CT490")
    assert ran.changed() == {("changed", "app.py"), ("unlisted", "new.py"), ("missing", "requirements.in")}
    for words in ("changed: app.py:", "unlisted: new.py:", "missing: requirements.in:", "3 differences"):
        assert words in ran.said
    assert ran.report["error"]["hint"] == "nox -s freeze manifest commit"


def test_a_manifest_that_is_none_is_1(root: Path) -> None:
    write_files(root, {"manifest.json": "{\n"})
    commit_all(root)
    ran = run(root)

    assert (ran.status, ran.report["error"]["code"]) == (1, "CT404")
    assert "manifest.json:2" in ran.said


@pytest.mark.parametrize(
    "arguments", [("--app", "nosuch"), ("--target", "nosuch"), ("--path", "nosuch"), ("--path", "..")]
)
def test_what_is_not_configured_is_4(root: Path, arguments: tuple[str, ...]) -> None:
    assert run(root, *arguments).status == 4


def test_outside_of_a_repository_is_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "connect_tasks", "check"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_the_terminal_shows_twenty_and_the_report_has_all(root: Path) -> None:
    write_files(root, {f"new{number}.py": "" for number in range(30)})
    commit_all(root)
    ran = run(root)

    assert len(ran.report["changes"]) == 30
    assert ran.said.count("unlisted: ") == 20
    assert "and 10 more" in ran.said


# several apps ---------------------------------------------------------------------------------------------------------


def test_several_apps_have_a_report_each(several: Path) -> None:
    ran = run(several)

    assert ran.status == 1, "a manifest that is none is worse than a stale one"
    assert (ran.report["schema"], ran.report["verb"], ran.report["result"]) == (1, "check", "failed")
    found = {each["app"]: (each["result"], each["error"] and each["error"]["code"]) for each in ran.report["apps"]}
    assert found == {"fresh": ("ok", None), "stale": ("failed", "CT490"), "broken": ("failed", "CT404")}
    assert ran.changed("stale") == {("unlisted", "new.py")}
    assert [stage["name"] for each in ran.report["apps"] for stage in each["stages"]] == ["check"] * 3
    assert "3 apps, 2 of them stale" in ran.said
    assert re.search(r"^stale:\n +unlisted: new\.py:", ran.said, re.MULTILINE)
    assert "apps/broken/manifest.json:2" in ran.said


def test_one_of_several_is_asked_for_by_name(several: Path) -> None:
    assert run(several, "--app", "fresh").status == 0
    assert run(several, "--app", "stale").changed() == {("unlisted", "new.py")}


def test_what_concerns_all_is_said_once(tmp_path: Path) -> None:
    tables = "".join(f'[tool.connect-tasks.apps.a{number}]\npath = "a{number}"\n' for number in range(3))
    (tmp_path / "repository").mkdir()
    git(tmp_path / "repository", "init", "-q")
    write_files(tmp_path / "repository", {"pyproject.toml": TABLE + tables})
    ran = run(tmp_path / "repository")

    assert ran.status == 1
    assert [each["error"]["code"] for each in ran.report["apps"]] == [ran.report["apps"][0]["error"]["code"]] * 3
    assert ran.said.count("no commit yet") == 1


def test_git_is_asked_as_often_for_many_as_for_one(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    ask, call = GitCalls.ask, process.run

    def asked(door: GitCalls, *args: str) -> process.Completed:
        calls.append(args)
        return ask(door, *args)

    def called(argv: Any, **settings: Any) -> process.Completed:
        calls.append(tuple(argv))
        return call(argv, **settings)

    monkeypatch.setattr(GitCalls, "ask", asked)
    monkeypatch.setattr(process, "run", called)
    write_files(several, {"apps/broken/manifest.json": (several / "apps/fresh/manifest.json").read_bytes()})
    (several / "apps/stale/new.py").unlink()
    commit_all(several)
    assert run(several, "--app", "fresh").status == 0
    one = len(calls)
    assert run(several).status == 0

    assert 0 < len(calls) - one <= one


def test_a_commit_concerns_the_apps_that_it_touches(several: Path) -> None:
    write_files(several, {"apps/fresh/app.py": FLASK + "# edited\n"})
    git(several, "add", "apps/fresh")
    ran = run(several, "--staged")

    assert {each["app"]: each["result"] for each in ran.report["apps"]} == {
        "fresh": "failed",
        "stale": "ok",
        "broken": "ok",
    }
    assert ran.changed("fresh") == {("changed", "app.py")}


# the index ------------------------------------------------------------------------------------------------------------


def test_the_repair_that_is_named_repairs_what_is_staged(root: Path) -> None:
    write_files(root, {"requirements.in": "itsdangerous==2.2.0\n", "app.py": FLASK + "# edited\n"})
    git(root, "add", "requirements.in", "app.py")
    ran = run(root, "--staged")
    assert ran.status == 2
    assert {kind for kind, _ in ran.changed()} == {"changed", "pins"}
    freeze, manifest, add = ran.report["error"]["hint"].split(" && ")
    assert (freeze, manifest) == (
        "python -m connect_tasks freeze --staged",
        "python -m connect_tasks manifest --staged",
    )

    for name in ("freeze", "manifest"):
        assert run(root, "--staged", name=name).status == 0
    assert (root / "requirements.txt").read_text().splitlines()[-1] == "itsdangerous==2.2.0"
    git(root, *add.split()[1:])
    assert run(root, "--staged").status == 0
    git(root, "commit", "-q", "-m", "repaired")
    assert run(root).status == 0


# other people's repositories ------------------------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """No configuration; the manifest is plain rsconnect-python's, and the commit is what the author made of it."""
    files: dict[str, str | bytes] = {"app.py": FLASK, "requirements.txt": "flask==3.1.0\n", "helper.py": "x = 1\n"}
    root = make_repository(tmp_path / "theirs", {f"site/{path}": content for path, content in files.items()})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root / "site")
    return commit_all(root)


def test_a_missing_constraint_alone_is_a_warning_and_0(foreign: Path) -> None:
    ran = run(foreign, "--path", "site")

    assert (ran.status, ran.report["result"]) == (0, "ok")
    assert ran.changed() == {("constraint", None)}
    assert "warning, constraint: manifest: no Python constraint" in ran.said


def test_exactly_the_missing_the_changed_and_the_unlisted(foreign: Path) -> None:
    write_files(foreign, {"site/.env": "TOKEN=x\n", "site/.gitignore": ".env\n"})
    run_rsconnect("flask", "--overwrite", "-e", "app:app", ".", cwd=foreign / "site")
    write_files(foreign, {"site/app.py": FLASK + "# later\n", "site/later.py": ""})
    (foreign / "site/helper.py").unlink()
    commit_all(foreign)
    ran = run(foreign, "--path", "site")

    assert ran.status == 2
    files = {change for change in ran.changed() if change[0] in {"missing", "changed", "unlisted"}}
    assert files == {
        ("missing", ".env"),
        ("missing", "helper.py"),
        ("changed", "app.py"),
        ("unlisted", "later.py"),
    }
    matter = {change["path"] for change in ran.report["changes"] if change["matters"]}
    assert matter == {".env", "helper.py"}, "what Connect will not have; it takes the other two as they are committed"
    assert ran.report["error"]["hint"] == "python -m connect_tasks manifest --path site"


def test_a_directory_of_theirs_without_a_manifest_is_2(foreign: Path) -> None:
    git(foreign, "rm", "-q", "site/manifest.json")
    commit_all(foreign)

    assert (run(foreign, "--path", "site").status, run(foreign, "--path", "site").changed()) == (
        2,
        {("missing", "manifest.json")},
    )


def test_their_manifest_that_is_none_is_1(foreign: Path) -> None:
    write_files(foreign, {"site/manifest.json": "[]"})
    commit_all(foreign)

    assert run(foreign, "--path", "site").status == 1


def test_an_r_app_of_theirs_is_compared_by_its_files(tmp_path: Path) -> None:
    manifest = {
        "version": 1,
        "platform": "4.3.1",
        "metadata": {"appmode": "shiny", "entrypoint": "app.R"},
        "packages": {},
        "files": {"app.R": {"checksum": "0" * 32}, "gone.R": {"checksum": "0" * 32}},
    }
    files = {"app.R": "library(shiny)\n", "new.R": "", "manifest.json": json.dumps(manifest)}
    ran = run(make_repository(tmp_path / "theirs", files), "--path", ".")

    assert ran.status == 2
    assert ran.changed() == {("changed", "app.R"), ("missing", "gone.R"), ("unlisted", "new.R")}
