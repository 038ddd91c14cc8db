"""The ten traps of the recipe by hand: `pip freeze`, `rsconnect write-manifest`, `git add .`, commit, push, trigger.

Each test first walks into the trap with the plain tools, and then past it with ours. What a manifest says about its
commit is looked at more closely in tests/content/test_traps.py.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import uv

from .conftest import BARE_APP, BARE_TEST, TABLE, Ran, Workshop
from .hands import call, guid_of, live_bundle, released

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
#: The recipe as it stands in many a README; nobody looks at what its lines came to.
RECIPE = """
git add .
git commit -q -m release
git push -q origin main
curl -s -X POST -H "Authorization: Key $CONNECT_API_KEY" -d '{}' "$CONNECT_SERVER/__api__/v1/content/$GUID/deploy"
"""


# the plain tools ------------------------------------------------------------------------------------------------------


def plain(shop: Workshop, *argv: str | Path, directory: str = ".", **environ: str) -> str:
    """A command as people type it; it must succeed, which is what makes a trap of it."""
    done = subprocess.run(
        argv, cwd=shop.root / directory, env={**shop.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_manifest(shop: Workshop, mode: str = "flask", entrypoint: str = "app:app", directory: str = ".") -> Any:
    rsconnect = Path(sys.executable).with_name("rsconnect")
    options = ("--overwrite", "-e", entrypoint, ".")
    plain(shop, rsconnect, "write-manifest", mode, *options, directory=directory, RSCONNECT_DISABLE_VERSION_CHECK="1")
    return manifest_of(shop, directory)


def manifest_of(shop: Workshop, directory: str = ".") -> Any:
    return json.loads((shop.root / directory / "manifest.json").read_text())


def environment(place: Path, *packages: str) -> Path:
    """A virtualenv with pip and these packages -> its Python."""
    quiet: dict[str, Any] = {"check": True, "capture_output": True}
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, place], **quiet)
    python = place / "bin" / "python"
    subprocess.run([uv.find_uv_bin(), "pip", "install", "-q", "--python", python, "pip", *packages], **quiet)
    return python


def pip_freeze(shop: Workshop, python: Path) -> list[str]:
    """`pip freeze > requirements.txt`"""
    text = plain(shop, python, "-m", "pip", "freeze")
    shop.write("requirements.txt", text)
    return text.splitlines()


def follow_the_recipe(shop: Workshop, guid: str) -> str:
    """The recipe's own last line answers with a task, whatever went wrong before: it ends with status 0."""
    return plain(shop, "bash", "-c", RECIPE, GUID=guid)


def stored(shop: Workshop, path: str, commit: str = "HEAD") -> str:
    """The md5 of what git stores, which is what Connect gets."""
    blob = subprocess.run(
        ["git", "cat-file", "blob", f"{commit}:{path}"],
        cwd=shop.root,
        env=shop.environ,
        capture_output=True,
        check=True,
    ).stdout
    return hashlib.md5(blob, usedforsecurity=False).hexdigest()


def pins(shop: Workshop) -> list[str]:
    lines = (shop.root / "requirements.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def untouched(shop: Workshop, ran: Ran, head: str, writes: list[str]) -> None:
    """The release was refused before anything was committed, pushed or deployed."""
    assert ran.status == 1, ran.said
    assert (shop.head, shop.writes()) == (head, writes)


# 1 --------------------------------------------------------------------------------------------------------------------


def test_a_toolbox_is_not_frozen(workshop: Workshop, tmp_path: Path) -> None:
    toolbox = environment(tmp_path / "toolbox", "itsdangerous==2.2.0", "pytest", "nox")
    workshop.commit(**{"requirements.in": "itsdangerous\n"})
    by_hand = {line.split("==")[0] for line in pip_freeze(workshop, toolbox)}
    assert {"itsdangerous", "pytest", "pluggy", "nox", "virtualenv"} <= by_hand, "the trap"

    workshop.environ["VIRTUAL_ENV"] = str(toolbox.parents[1])  # we are even run from inside it
    workshop.environ["PATH"] = f"{toolbox.parent}:{workshop.environ['PATH']}"
    assert workshop.run("freeze").status == 0
    assert pins(workshop) == ["itsdangerous==2.2.0"], "the pin that was there is kept, and nothing else of the toolbox"


# 2 --------------------------------------------------------------------------------------------------------------------

LIBRARY = """
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "NAME"
version = "1.0"
description = "a library"
"""


def library(place: Path, name: str) -> Path:
    place.mkdir()
    (place / "pyproject.toml").write_text(LIBRARY.replace("NAME", name))
    (place / f"{name}.py").write_text("")
    return place


def test_tokens_and_paths_do_not_get_into_requirements(workshop: Workshop, tmp_path: Path) -> None:
    theirs, mine = library(tmp_path / "theirs", "theirlib"), library(tmp_path / "mine", "mylib")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        plain(workshop, "git", "-C", theirs, *command)
    token = "t0ken-of-a-colleague"
    plain(workshop, "git", "-C", theirs, "remote", "add", "origin", f"https://x:{token}@git.example.org/theirlib.git")
    python = environment(tmp_path / "venv", "-e", str(theirs), str(mine))
    by_hand = "\n".join(pip_freeze(workshop, python))
    assert f"-e git+https://x:{token}@git.example.org/theirlib.git@" in by_hand, "the trap"
    assert f"mylib @ file://{mine}" in by_hand, "the trap"

    workshop.git("rm", "-q", "requirements.in")
    head, writes = workshop.commit("by hand"), workshop.writes()
    for verb in ("freeze", "release"):
        ran = workshop.run(verb)
        untouched(workshop, ran, head, writes)
        members = ran.report["error"].get("all", [ran.report["error"]])
        said = "\n".join(member["message"] for member in members)
        lines = [number for number, line in enumerate(by_hand.splitlines(), 1) if "lib" in line]
        assert all(f"requirements.txt:{number}" in said for number in lines), said
        assert token not in ran.said + json.dumps(ran.report)


# 3 --------------------------------------------------------------------------------------------------------------------


def test_junk_and_secrets_do_not_get_into_the_manifest(workshop: Workshop) -> None:
    workshop.commit(**{".gitignore": ".env\n.nox/\n.pytest_cache/\n"})
    junk = [".env", ".nox/tests/pyvenv.cfg", ".pytest_cache/CACHEDIR.TAG", "Untitled.ipynb"]
    for path in junk:
        workshop.write(path, "API_TOKEN=abc\n")
    workshop.write("requirements.txt", "")
    assert set(junk) <= set(write_manifest(workshop)["files"]), "the trap"
    (workshop.root / "manifest.json").unlink()

    ran = released(workshop)
    pushed = set(workshop.git("ls-tree", "-r", "--name-only", ran.report["pushed"]).splitlines())
    assert set(manifest_of(workshop)["files"]) == pushed - {"manifest.json"}
    assert not pushed & set(junk)


def test_a_secret_that_was_added_stops_the_release(workshop: Workshop) -> None:
    workshop.write("deploy/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n")
    workshop.git("add", ".")  # the trap: it is committed now, and one push away from being public
    workshop.git("commit", "-q", "-m", "by hand")
    head, writes = workshop.head, workshop.writes()

    ran = workshop.run("release")
    untouched(workshop, ran, head, writes)
    assert "deploy/id_ed25519" in ran.report["error"]["message"]


# 4 --------------------------------------------------------------------------------------------------------------------


def test_a_formatter_in_a_hook_does_not_make_the_manifest_stale(workshop: Workshop) -> None:
    hook = workshop.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nset -e\nsed -i 's/ *$//' notes.py\ngit add notes.py\n")
    hook.chmod(0o755)
    workshop.write("notes.py", "x = 1   \n")
    workshop.write("requirements.txt", "")
    listed = write_manifest(workshop)["files"]["notes.py"]["checksum"]
    workshop.commit("by hand")
    assert listed != stored(workshop, "notes.py"), "the trap"
    assert workshop.run("check").status == 2

    ran = released(workshop)
    assert manifest_of(workshop)["files"]["notes.py"]["checksum"] == stored(workshop, "notes.py", ran.report["pushed"])
    assert workshop.run("check").status == 0


def test_a_hook_that_changes_what_was_described_stops_the_release(workshop: Workshop) -> None:
    """The worse formatter: it rewrites other files whenever anything is committed."""
    hook = workshop.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nset -e\necho '# formatted' >> app.py\ngit add app.py\n")
    hook.chmod(0o755)
    head, writes = workshop.head, workshop.writes()

    ran = workshop.run("release")
    assert ran.status == 1, ran.said
    assert "app.py" in ran.said
    assert (workshop.remote(), workshop.writes()) == (head, writes)


def test_a_bumped_pin_and_a_new_module_are_described_again(workshop: Workshop) -> None:
    workshop.git("rm", "-q", "requirements.in")
    workshop.write("requirements.txt", "itsdangerous==2.1.2\n")
    write_manifest(workshop)
    workshop.commit("by hand")
    workshop.write("requirements.txt", "itsdangerous==2.2.0\n")
    workshop.commit("by hand, later", helper_py="x = 1\n")  # the trap: the manifest is the old one
    ran = workshop.run("check")
    assert ran.status == 2
    found = {(change["kind"], change["path"]) for change in ran.report["changes"]}
    assert {("changed", "requirements.txt"), ("unlisted", "helper.py")} <= found

    released(workshop)
    assert workshop.run("check").status == 0
    files = manifest_of(workshop)["files"]
    assert {path: files[path]["checksum"] for path in ("requirements.txt", "helper.py")} == {
        path: stored(workshop, path) for path in ("requirements.txt", "helper.py")
    }


# 5 --------------------------------------------------------------------------------------------------------------------


def test_checksums_that_can_not_match(workshop: Workshop) -> None:
    workshop.git("rm", "-q", "requirements.in")
    workshop.write("requirements.txt", "itsdangerous==2.2.0\nnot-rsconnect==1.0 ; python_version < '3'\n")
    workshop.commit()
    workshop.git("config", "core.autocrlf", "true")
    for path in ("app.py", "requirements.txt"):
        (workshop.root / path).unlink()
    workshop.git("checkout", "--", ".")
    assert b"\r\n" in (workshop.root / "app.py").read_bytes()
    by_hand = write_manifest(workshop)["files"]
    workshop.commit("by hand")
    wrong = {path for path in by_hand if by_hand[path]["checksum"] != stored(workshop, path)}
    assert {"app.py", "requirements.txt"} <= wrong, "the trap"
    said = workshop.run("check").said
    assert "CRLF" in said

    ran = released(workshop)
    files = manifest_of(workshop)["files"]
    assert {path: entry["checksum"] for path, entry in files.items()} == {
        path: stored(workshop, path, ran.report["pushed"]) for path in files
    }


# 6 --------------------------------------------------------------------------------------------------------------------


def test_the_python_is_that_of_the_app(workshop: Workshop) -> None:
    other = "3.12" if MINOR != "3.12" else "3.11"
    workshop.write("site/app.py", BARE_APP)
    workshop.write("site/requirements.txt", "")
    workshop.commit(**{".python-version": f"{other}\n", "pyproject.toml": f'{TABLE}path = "site"\n'})
    by_hand = write_manifest(workshop, directory="site")
    assert by_hand["python"]["version"].startswith(f"{MINOR}."), "the trap: that of the tool"
    assert "environment" not in by_hand, "the trap: the root's .python-version is not seen, so any Python will do"

    assert workshop.run("manifest").status == 0
    assert manifest_of(workshop, "site")["python"]["version"] == f"{other}.0"
    assert manifest_of(workshop, "site")["environment"] == {"python": {"requires": f"~={other}.0"}}


@pytest.mark.parametrize("declared", ["", "cpython-three\n", "3.99\n"])
def test_no_python_or_an_impossible_one_is_an_error_with_its_cure(workshop: Workshop, declared: str) -> None:
    workshop.write("requirements.txt", "")
    workshop.write(".python-version", declared)
    by_hand = write_manifest(workshop)
    assert by_hand.get("environment", {}).get("python", {}).get("requires") in (None, "~=3.99.0"), "the trap"
    (workshop.root / "manifest.json").unlink()
    head, writes = workshop.commit(), workshop.writes()

    ran = workshop.run("release")
    untouched(workshop, ran, head, writes)
    assert ".python-version" in ran.report["error"]["message"] + ran.report["error"]["hint"]


# 7 --------------------------------------------------------------------------------------------------------------------

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"version 1"})
"""


@pytest.mark.parametrize(
    ("app", "entrypoint", "words"),
    [(ASGI, "app:app", "ASGI"), (FLASK, "nosuch:thing", "app:app"), (BARE_APP, "app:nosuch", "app:app")],
    ids=["mode", "module", "object"],
)
def test_a_wrong_mode_or_entrypoint_is_found_before_the_commit(
    workshop: Workshop, app: str, entrypoint: str, words: str
) -> None:
    (workshop.root / "test_app.py").unlink()
    workshop.write("requirements.txt", "")
    workshop.commit(app_py=app, **{"pyproject.toml": TABLE.replace("app:app", entrypoint)})
    by_hand = write_manifest(workshop, "flask", entrypoint)
    assert by_hand["metadata"] == {"appmode": "python-api", "entrypoint": entrypoint}, "the trap: exit 0"
    (workshop.root / "manifest.json").unlink()
    head, writes = workshop.head, workshop.writes()

    ran = workshop.run("release")
    untouched(workshop, ran, head, writes)
    assert words in ran.report["error"]["message"] + ran.report["error"]["hint"]


# 8 --------------------------------------------------------------------------------------------------------------------


def test_adding_everything_adds_too_much(workshop: Workshop) -> None:
    def dirty(shop: Workshop) -> None:
        shop.write("draft.py", "an idea\n")
        shop.write("data.csv", "name,salary\n")

    dirty(workshop)
    workshop.write("requirements.txt", "")
    write_manifest(workshop)
    plain(workshop, "bash", "-c", "git add . && git commit -q -m release")
    assert {"draft.py", "data.csv"} <= set(workshop.git("show", "--format=", "--name-only").split()), "the trap"
    workshop.git("reset", "--quiet", "--hard", "HEAD~1")

    dirty(workshop)
    ran = released(workshop)
    assert set(workshop.git("show", "--format=", "--name-only").split()) == {"requirements.txt", "manifest.json"}
    assert workshop.head == ran.report["live_commit"]
    assert workshop.git("status", "--porcelain").split() == ["??", "data.csv", "??", "draft.py"]


def test_adding_everything_adds_too_little(workshop: Workshop) -> None:
    first = released(workshop)
    workshop.write(".gitignore", "lib/\n")  # as in many a template for Python
    workshop.write("lib/__init__.py", "GREETING = b'version 2'\n")
    workshop.write(
        "app.py",
        BARE_APP.replace('[b"version 1"]', "[GREETING]").replace("def app", "from lib import GREETING\n\n\ndef app"),
    )
    workshop.write("test_app.py", BARE_TEST.replace("version 1", "version 2"))
    task = json.loads(follow_the_recipe(workshop, guid_of(first)))["task_id"]
    assert "lib/__init__.py" not in workshop.git("ls-tree", "-r", "--name-only", "HEAD"), "the trap"
    while not call(workshop, "GET", f"v1/tasks/{task}?wait=1")["finished"]:
        pass
    with pytest.raises(urllib.error.HTTPError):  # the recipe has ended well, and the app is down
        workshop.page(first.report["url"])
    head, writes = workshop.head, workshop.writes()

    ran = workshop.run("release")
    untouched(workshop, ran, head, writes)
    assert "lib" in ran.report["error"]["message"]
    assert "git add -f it, where a .gitignore hides it" in ran.report["error"]["hint"]


# 9 --------------------------------------------------------------------------------------------------------------------


def test_a_commit_that_did_not_happen(workshop: Workshop) -> None:
    first = released(workshop)
    hook = workshop.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho 'line 7 is too long' >&2\nexit 1\n")
    hook.chmod(0o755)
    workshop.write("requirements.in", "itsdangerous==2.2.0\n")
    follow_the_recipe(workshop, guid_of(first))
    assert workshop.head == first.report["commit"], "the trap: nothing was committed, and the recipe went on"

    workshop.git("commit", "-q", "-m", "what I meant", "--no-verify")
    head, writes = workshop.head, workshop.writes()
    ran = workshop.run("release")
    untouched(workshop, ran, head, writes)
    assert "line 7 is too long" in ran.said
    hook.unlink()
    assert released(workshop).report["live_commit"] == workshop.head


def test_a_push_that_did_not_happen(workshop: Workshop, tmp_path: Path) -> None:
    first = released(workshop)
    other = tmp_path / "colleague"
    workshop.git("clone", "-q", str(workshop.bare), str(other))
    for command in (["commit", "-q", "--allow-empty", "-m", "theirs"], ["push", "-q", "origin", "main"]):
        plain(workshop, "git", *command, directory=str(other))
    theirs = workshop.remote()
    workshop.write("app.py", BARE_APP.replace("version 1", "version 2"))
    workshop.write("test_app.py", BARE_TEST.replace("version 1", "version 2"))
    follow_the_recipe(workshop, guid_of(first))
    assert workshop.remote() == theirs, "the trap: the push was rejected, and the recipe went on"
    assert workshop.page(first.report["url"]) == "version 1"

    ran = workshop.run("release")
    assert (ran.status, ran.report["error"]["hint"]) == (1, "git pull --rebase origin main")
    plain(workshop, *ran.report["error"]["hint"].split())
    ran = released(workshop)
    assert ran.report["commit"] == ran.report["pushed"] == ran.report["live_commit"] == workshop.remote()
    assert workshop.page(first.report["url"]) == "version 2"


# 10 -------------------------------------------------------------------------------------------------------------------


def test_a_trigger_is_no_proof(workshop: Workshop) -> None:
    first = released(workshop)
    guid = guid_of(first)
    workshop.write("app.py", "import nothing_of_that_name\n" + BARE_APP)
    answer = json.loads(follow_the_recipe(workshop, guid))
    assert set(answer) == {"task_id"}, "the trap: that is all that the recipe knows when it ends with status 0"
    while not call(workshop, "GET", f"v1/tasks/{answer['task_id']}?wait=1")["finished"]:
        pass
    with pytest.raises(urllib.error.HTTPError):
        workshop.page(first.report["url"])

    workshop.git("revert", "--no-edit", "HEAD")
    mended = released(workshop)
    assert workshop.page(mended.report["url"]) == "version 1"
    assert mended.report["live_commit"] == mended.report["pushed"] == workshop.remote()
    before = live_bundle(workshop, guid)
    workshop.commit(
        app_py=BARE_APP.replace('return [b"version 1"]', "raise RuntimeError('no database')"), test_app_py=""
    )
    ran = workshop.run("release")
    assert ran.status == 1
    assert live_bundle(workshop, guid) == before, "what does not answer is not activated"
    assert workshop.page(mended.report["url"]) == "version 1"
