"""`check` on real repositories: what is committed, what is staged, and what rsconnect-python left in other people's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.configuration import App
from connect_tasks.content.app_trees import staged_tree
from connect_tasks.content.manifest_changes import ManifestChange, drifted
from connect_tasks.content.manifest_check import check, check_all
from connect_tasks.errors import AppEmpty, ManifestInvalid, NoCommits, OperationInProgress

from .repository import commit_all, git, make_manifest, make_repository, open_git, write_files
from .test_rsconnect_door import run_rsconnect

APP = App(name="sales", path="apps/sales", mode="flask", entrypoint="app:app")
#: The minor of this Python, which plain rsconnect-python records.
OURS = f"{sys.version_info.major}.{sys.version_info.minor}\n"
FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FILES: dict[str, str | bytes] = {
    ".python-version": "3.12\n",
    "apps/sales/app.py": FLASK,
    "apps/sales/requirements.in": "flask>=3\n",
    "apps/sales/requirements.txt": "flask==3.1.0\nwerkzeug==3.1.3\n",
    "apps/sales/static/logo.bin": bytes(range(256)),
    "apps/other/app.py": "x = 1\n",
}


def facts(changes: tuple[ManifestChange, ...]) -> set[tuple[str, str | None]]:
    return {(change.kind, change.path) for change in changes}


def details(changes: tuple[ManifestChange, ...]) -> str:
    return "\n".join(change.detail for change in changes)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A repository whose app has the manifest that we write."""
    root = make_repository(tmp_path / "repository", FILES)
    manifest = make_manifest(root, APP, tmp_path / "export")
    write_files(root, {"apps/sales/manifest.json": manifest})
    return commit_all(root)


def test_what_we_write_is_fresh(fresh: Path) -> None:
    assert check(APP, open_git(fresh)) == ()


def test_nothing_is_changed_by_looking(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": FLASK + "# edited\n", "apps/sales/new.py": ""})
    git(fresh, "add", "apps/sales/new.py")
    before = {path: path.read_bytes() for path in sorted((fresh / ".git").rglob("*")) if path.is_file()}
    check(APP, open_git(fresh))
    check(APP, open_git(fresh), staged=True)

    assert {path: path.read_bytes() for path in sorted((fresh / ".git").rglob("*")) if path.is_file()} == before


def test_every_missing_changed_and_unlisted_file_is_named(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": FLASK + "# formatted\n", "apps/sales/new.py": ""})
    (fresh / "apps/sales/static/logo.bin").unlink()
    commit_all(fresh)
    changes = check(APP, open_git(fresh))

    assert facts(changes) == {("changed", "app.py"), ("unlisted", "new.py"), ("missing", "static/logo.bin")}
    assert [change.path for change in changes if change.matters] == ["static/logo.bin"]
    assert drifted(changes)


def test_edits_that_are_not_committed_are_of_no_concern(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": "edited", "apps/sales/untracked.py": ""})
    git(fresh, "add", "apps/sales/app.py")

    assert check(APP, open_git(fresh)) == ()


def test_the_work_tree_may_hold_carriage_returns(fresh: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(fresh), str(clone))
    assert b"\r\n" in (clone / "apps/sales/app.py").read_bytes(), "the premise of the test"

    assert check(APP, open_git(clone)) == ()
    assert check(APP, open_git(clone), staged=True) == ()


def test_symbolic_links_count_as_git_stores_them(fresh: Path, tmp_path: Path) -> None:
    (fresh / "apps/sales/link.py").symlink_to("app.py")
    (fresh / "apps/sales/nowhere").symlink_to("missing")
    commit_all(fresh)
    write_files(fresh, {"apps/sales/manifest.json": make_manifest(fresh, APP, tmp_path / "again")})
    commit_all(fresh)

    assert check(APP, open_git(fresh)) == ()


def test_clean_filters_count_as_git_stores_them(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repository", {"apps/sales/.gitattributes": "*.py filter=upper\n*.txt ident\n"})
    git(root, "config", "filter.upper.clean", "tr a-z A-Z")
    git(root, "config", "filter.upper.smudge", "tr A-Z a-z")
    write_files(root, FILES)
    commit_all(root)
    write_files(root, {"apps/sales/manifest.json": make_manifest(root, APP, tmp_path / "export")})
    commit_all(root)
    (root / "apps/sales/app.py").unlink()
    git(root, "checkout", "-q", "--", "apps/sales/app.py")
    assert (root / "apps/sales/app.py").read_text() == FLASK.lower()
    assert git(root, "show", "HEAD:apps/sales/app.py") == FLASK.upper()

    assert check(APP, open_git(root)) == ()


# the index ----------------------------------------------------------------------------------------------------------


def test_staged_looks_at_what_would_be_committed(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": FLASK + "# staged\n", "apps/sales/new.py": "x = 1\n"})
    git(fresh, "add", "apps/sales")
    write_files(fresh, {"apps/sales/app.py": FLASK, "apps/sales/later.py": "", "apps/sales/intended.py": ""})
    git(fresh, "add", "-N", "apps/sales/intended.py")
    git(fresh, "rm", "-q", "--cached", "apps/sales/static/logo.bin")
    repository = open_git(fresh)

    assert check(APP, repository) == ()
    staged = {("changed", "app.py"), ("unlisted", "new.py"), ("missing", "static/logo.bin")}
    assert facts(check(APP, repository, staged=True)) == staged
    would_be = git(fresh, "ls-tree", "-r", "--name-only", git(fresh, "write-tree").strip() + ":apps/sales").split()
    assert sorted(staged_tree(repository, "apps/sales")) == would_be


def test_a_commit_of_some_paths_has_an_index_of_its_own(fresh: Path, tmp_path: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": FLASK + "# edited\n"})
    hook = fresh / ".git/hooks/pre-commit"
    hook.write_text(f'#!/bin/sh\ncp "$GIT_INDEX_FILE" {tmp_path}/index-of-the-commit\nexit 1\n')
    hook.chmod(0o755)
    refused = subprocess.run(
        ["git", "commit", "-q", "-m", "x", "--", "apps/sales/app.py"], cwd=fresh, capture_output=True
    )
    assert refused.returncode != 0
    repository, index = open_git(fresh), tmp_path / "index-of-the-commit"

    assert check(APP, repository, staged=True) == ()
    assert facts(check(APP, repository, staged=True, index=index)) == {("changed", "app.py")}


def test_before_the_first_commit_the_index_can_be_checked(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    write_files(root, FILES)
    git(root, "add", "-A")

    with pytest.raises(NoCommits):
        check(APP, open_git(root))
    assert facts(check(APP, open_git(root), staged=True)) == {("missing", "manifest.json")}


def test_unmerged_paths_are_named(fresh: Path) -> None:
    git(fresh, "checkout", "-q", "-b", "side")
    write_files(fresh, {"apps/sales/app.py": "one\n"})
    commit_all(fresh)
    git(fresh, "checkout", "-q", "main")
    write_files(fresh, {"apps/sales/app.py": "two\n"})
    commit_all(fresh)
    assert subprocess.run(["git", "merge", "-q", "side"], cwd=fresh, capture_output=True).returncode != 0

    with pytest.raises(OperationInProgress, match=r"apps/sales/app\.py is unmerged"):
        check(APP, open_git(fresh), staged=True)


# facts --------------------------------------------------------------------------------------------------------------


def with_manifest(root: Path, **changes: Any) -> Path:
    path = root / "apps/sales/manifest.json"
    manifest = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        place = manifest
        for key in parents:
            place = place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    path.write_text(json.dumps(manifest))
    return commit_all(root)


@pytest.mark.parametrize(
    ("changes", "kind", "words", "drift"),
    [
        ({"metadata__appmode": "python-fastapi"}, "mode", "python-fastapi", True),
        ({"metadata__entrypoint": "main:app"}, "metadata", "main:app", True),
        ({"environment": None}, "constraint", "~=3.12.0", False),
        ({"environment__python__requires": "~=3.9.0"}, "constraint", "~=3.9.0", True),
        ({"python__version": "3.9.7"}, "metadata", "3.9.7", True),
        ({"python": None}, "metadata", "no python block", True),
        ({"python__package_manager__package_file": "other.txt"}, "requirements", "build will fail", True),
    ],
)
def test_facts_that_differ_are_named(fresh: Path, changes: dict[str, Any], kind: str, words: str, drift: bool) -> None:
    with_manifest(fresh, **changes)
    (change,) = check(APP, open_git(fresh))

    assert change.kind == kind
    assert words in change.detail
    assert drifted((change,)) is drift


@pytest.mark.parametrize(
    "changes",
    [
        {"locale": "C"},
        {"locale": None},
        {"python__version": "3.12.11"},
        {"python__package_manager__version": "23.0"},
        {"environment__python__requires": "~= 3.12.0"},
        {"environment__image": "registry/connect:1"},
        {"something": "else"},
    ],
)
def test_what_another_tool_or_version_wrote_is_no_drift(fresh: Path, changes: dict[str, Any]) -> None:
    with_manifest(fresh, **changes)

    assert check(APP, open_git(fresh)) == ()


@pytest.mark.parametrize(
    ("requirements_in", "words"),
    [
        ("flask>=3\nrequests\n", "requests is declared (requirements.in:2)"),
        ("flask>=4\n", "flask==3.1.0 is frozen, flask>=4 is declared"),
        ("Flask>=3\nwerkzeug<3\n", "werkzeug==3.1.3"),
    ],
)
def test_pins_that_no_longer_fit_are_named(fresh: Path, tmp_path: Path, requirements_in: str, words: str) -> None:
    write_files(fresh, {"apps/sales/requirements.in": requirements_in})
    commit_all(fresh)
    write_files(fresh, {"apps/sales/manifest.json": make_manifest(fresh, APP, tmp_path / "again")})
    commit_all(fresh)
    (change,) = check(APP, open_git(fresh))

    assert (change.kind, change.path) == ("pins", "requirements.txt")
    assert words in change.detail


def test_pins_that_differ_from_the_lock_are_named(fresh: Path, tmp_path: Path) -> None:
    """werkzeug is nobody's direct dependency: only the lock file says which release is meant."""
    packages = {"flask": "3.1.0", "werkzeug": "3.1.4", "blinker": "1.9.0"}
    lock = "version = 1\n" + "".join(
        f'[[package]]\nname = "{name}"\nversion = "{at}"\n' for name, at in packages.items()
    )
    (fresh / "apps/sales/requirements.in").unlink()
    project = '[project]\nname = "sales"\nversion = "1"\ndependencies = ["flask"]\n'
    write_files(fresh, {"apps/sales/uv.lock": lock, "apps/sales/pyproject.toml": project})
    commit_all(fresh)
    write_files(fresh, {"apps/sales/manifest.json": make_manifest(fresh, APP, tmp_path / "again")})
    commit_all(fresh)
    (change,) = check(APP, open_git(fresh))

    assert (change.kind, change.detail) == ("pins", "werkzeug==3.1.3 is frozen, uv.lock has 3.1.4")


def test_what_is_meant_for_another_system_is_not_missed(fresh: Path, tmp_path: Path) -> None:
    write_files(
        fresh,
        {"apps/sales/requirements.in": 'flask\ncolorama; sys_platform == "win32"\ntomli; python_version < "3.11"\n'},
    )
    commit_all(fresh)
    write_files(fresh, {"apps/sales/manifest.json": make_manifest(fresh, APP, tmp_path / "again")})
    commit_all(fresh)

    assert check(APP, open_git(fresh)) == ()


def test_an_undeclared_python_is_named_with_its_cure(fresh: Path) -> None:
    (fresh / ".python-version").unlink()
    commit_all(fresh)
    (change,) = check(APP, open_git(fresh))

    assert (change.kind, change.matters) == ("constraint", True)
    assert ".python-version" in change.detail


def test_merge_markers_are_an_error_with_their_line(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/manifest.json": "{\n<<<<<<< HEAD\n=======\n>>>>>>> side\n}\n"})
    commit_all(fresh)

    with pytest.raises(ManifestInvalid) as caught:
        check(APP, open_git(fresh))
    assert caught.value.where == "apps/sales/manifest.json:2"


def test_an_app_that_is_not_there(fresh: Path) -> None:
    with pytest.raises(AppEmpty):
        check(App(name="x", path="apps/none"), open_git(fresh))


def test_excluded_files_are_not_missed(fresh: Path, tmp_path: Path) -> None:
    app = App(name="sales", path="apps/sales", mode="flask", entrypoint="app:app", exclude=("static/",))
    (change,) = check(app, open_git(fresh))
    assert (change.path, change.detail) == ("static/logo.bin", "listed, though the configuration excludes it")

    write_files(fresh, {"apps/sales/manifest.json": make_manifest(fresh, app, tmp_path / "again")})
    commit_all(fresh)
    assert check(app, open_git(fresh)) == ()


# many apps ----------------------------------------------------------------------------------------------------------


def test_many_apps_give_the_answers_that_each_gives_alone(fresh: Path) -> None:
    apps = (
        APP,
        App(name="other", path="apps/other"),
        App(name="none", path="apps/none"),
        App(name="all", path="."),
        App(name="inner", path="apps/sales/static"),
    )
    together = check_all(apps, open_git(fresh))

    assert [checked.app for checked in together] == list(apps)
    for checked in together:
        (alone,) = check_all((checked.app,), open_git(fresh))
        assert (checked.changes, repr(checked.problem)) == (alone.changes, repr(alone.problem))
    assert isinstance(together[2].problem, AppEmpty)
    assert facts(together[4].changes) == {("missing", "manifest.json")}


def test_a_hook_passes_over_apps_of_which_nothing_is_staged(fresh: Path) -> None:
    write_files(fresh, {"apps/sales/app.py": "drifted\n"})
    commit_all(fresh)
    other = App(name="other", path="apps/other")
    write_files(fresh, {"apps/other/app.py": "staged\n"})
    git(fresh, "add", "-A")
    sales, checked = check_all((APP, other), open_git(fresh), staged=True, touched_only=True)

    assert sales.changes == ()
    assert facts(checked.changes) == {("missing", "manifest.json")}
    assert facts(check_all((APP,), open_git(fresh), staged=True)[0].changes) == {("changed", "app.py")}


# other people's repositories ----------------------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An app whose manifest plain rsconnect-python wrote in a work tree with the usual junk."""
    root = make_repository(
        tmp_path / "theirs",
        {"app.py": FLASK, "requirements.txt": "flask==3.1.0\n", ".gitignore": ".env\n*.log\n", "notes.txt": "a\nb\n"},
    )
    write_files(root, {".env": "TOKEN=x\n", "debug.log": "junk\n"})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root)
    return commit_all(root)


def test_junk_that_was_listed_is_missing_from_the_commit(foreign: Path) -> None:
    changes = check(App(name="theirs", path="."), open_git(foreign), configured=False)

    assert facts(changes) == {("missing", ".env"), ("missing", "debug.log"), ("constraint", None)}
    assert {change.path for change in changes if change.matters} == {".env", "debug.log"}
    assert [change.kind for change in changes if change.warning] == ["constraint"]


def test_a_missing_constraint_alone_is_a_warning(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "theirs", {"app.py": FLASK, "requirements.txt": "flask\n", "pyproject.toml": ""})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root)
    commit_all(root)
    changes = check(App(name="theirs", path="."), open_git(root), configured=False)

    assert facts(changes) == {("constraint", None)}
    assert not drifted(changes)


def test_a_range_is_understood_as_rsconnect_wrote_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "pyproject.toml": '[project]\nname = "x"\nrequires-python = ">= 3.10, <4"\ndependencies = ["requests"]\n'
    }
    root = make_repository(tmp_path / "theirs", {"app.py": FLASK, "requirements.txt": "flask\n", **files})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root)
    commit_all(root)

    assert check(App(name="theirs", path="."), open_git(root), configured=False) == ()


def test_the_cause_of_a_checksum_is_named_where_it_is_known(tmp_path: Path) -> None:
    lines = "flask==3.1.0\nrsconnect-python==1.32.0\n"
    root = make_repository(tmp_path / "theirs", {"app.py": FLASK, "requirements.txt": lines, "other.py": "x = 1\n"})
    (root / "link.py").symlink_to("app.py")
    git(root, "config", "core.autocrlf", "true")
    write_files(root, {"app.py": FLASK.replace("\n", "\r\n")})
    run_rsconnect("flask", "-e", "app:app", ".", cwd=root)
    write_files(root, {"other.py": "x = 2\n"})
    commit_all(root)
    changes = check(App(name="theirs", path="."), open_git(root), configured=False)
    why = {change.path: change.detail for change in changes if change.kind == "changed"}

    assert set(why) == {"app.py", "requirements.txt", "link.py", "other.py"}
    assert "CRLF" in why["app.py"]
    assert "mention rsconnect" in why["requirements.txt"]
    assert "symbolic link" in why["link.py"]
    assert "(" not in why["other.py"]


@pytest.mark.parametrize(
    ("files", "command", "kind", "words"),
    [
        (
            {"app.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"},
            ["api", "-e", "app:app"],
            "mode",
            "an ASGI app",
        ),
        ({"app.py": FLASK}, ["api", "-e", "nosuch:thing"], "metadata", "no such module"),
    ],
)
def test_traps_that_rsconnect_walks_into(
    tmp_path: Path, files: dict[str, str | bytes], command: list[str], kind: str, words: str
) -> None:
    root = make_repository(tmp_path / "theirs", {**files, "requirements.txt": "flask\n", ".python-version": "3.12\n"})
    run_rsconnect(*command, ".", cwd=root)
    commit_all(root)
    (change,) = check(App(name="theirs", path="."), open_git(root), configured=False)

    assert (change.kind, change.matters) == (kind, True)
    assert words in change.detail


def test_an_express_app_is_known_by_its_escaped_name(tmp_path: Path) -> None:
    app = "from shiny.express import ui\n\nui.h1('hello')\n"
    root = make_repository(
        tmp_path / "theirs", {"my-app.py": app, "requirements.txt": "shiny\n", ".python-version": OURS}
    )
    run_rsconnect("shiny", "-e", "my-app", ".", cwd=root)
    commit_all(root)
    assert (
        json.loads((root / "manifest.json").read_text())["metadata"]["entrypoint"]
        == "shiny.express.app:my_2d_app_2e_py"
    )

    assert check(App(name="theirs", path="."), open_git(root), configured=False) == ()
    declared = App(name="theirs", path=".", mode="shiny", entrypoint="my-app")
    assert check(declared, open_git(root)) == ()


def test_the_environment_of_the_tester_plays_no_part(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent/index")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    git_before = os.environ["GIT_DIR"]

    assert check(APP, open_git(fresh)) == ()
    assert os.environ["GIT_DIR"] == git_before
