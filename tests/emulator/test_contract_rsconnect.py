"""The contract as the unmodified rsconnect speaks it.

Against the emulator; against a real server where CONNECT_SERVER and CONNECT_API_KEY name one. There, what needs a
repository that the server can clone is skipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connect_tasks.emulator import running

from .conftest import REAL, Api, Source, app_files, git, make_source

Rsconnect = Callable[..., subprocess.CompletedProcess[str]]
GUID = re.compile(r"/apps/([0-9a-f-]{36})")


@pytest.fixture
def rsconnect(contract: Api, tmp_path: Path) -> Rsconnect:
    """Runs the command as a user does, with the server and key in the environment."""
    (tmp_path / "work").mkdir()

    def run(
        *arguments: str, code: int = 0, key: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        own = {"CONNECT_SERVER": contract.url, "CONNECT_API_KEY": key or contract.key or ""}
        done = subprocess.run(
            [Path(sys.executable).with_name("rsconnect"), *arguments],
            cwd=tmp_path / "work",
            env={**os.environ, "RSCONNECT_DISABLE_VERSION_CHECK": "1", **own, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (
            f"rsconnect {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    return run


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    written(folder, app_files())
    return folder


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: {"checksum": "0" * 32} for name in files if name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def guid_of(done: subprocess.CompletedProcess[str]) -> str:
    found = GUID.search(done.stdout + done.stderr)
    assert found, done.stdout + done.stderr
    return found[1]


def page(contract: Api, guid: str) -> str:
    answer = contract.visit(f"/content/{guid}/")
    assert answer.status_code == 200
    return answer.text.split()[0]


def test_a_server_is_added_and_described(rsconnect: Rsconnect, contract: Api) -> None:
    rsconnect("add", "-n", "it", "-s", contract.url, "-k", str(contract.key))
    assert contract.url in rsconnect("list").stdout
    assert "3." in rsconnect("details", "-n", "it", CONNECT_SERVER="", CONNECT_API_KEY="").stdout
    refused = rsconnect("add", "-n", "other", "-s", contract.url, "-k", "x" * 32, code=1)
    assert "The specified API key is not valid" in refused.stdout + refused.stderr


def test_deploy_git_makes_content_of_a_repository(
    rsconnect: Rsconnect, contract: Api, source: Callable[..., Source]
) -> None:
    repository = source("sample")
    commit = repository.commit(app_files())
    guid = guid_of(rsconnect("deploy", "git", "-r", repository.url, "--no-polling", "-t", "A git app", "-E", "A=1"))
    assert page(contract, guid) == "one"
    assert contract.made("GET", f"v1/content/{guid}")["title"] == "A git app"
    assert contract.made("GET", f"v1/content/{guid}/environment") == ["A"]

    commit = repository.commit(app_files("two"))
    rsconnect("deploy", "git", "-r", repository.url, "--app-id", guid, "--branch", "main", "-d", ".")
    assert page(contract, guid) == "two"
    assert contract.made("GET", f"v1/content/{guid}/bundles")[0]["metadata"]["source_commit"] == commit
    assert contract.made("GET", f"v1/content/{guid}/repository")["polling"] is True

    shown = rsconnect("content", "repository", "show", "-g", guid).stdout
    assert repository.url in shown
    rsconnect("content", "repository", "delete", "-g", guid, "--force")
    assert contract.get(f"v1/content/{guid}/repository").status_code == 404


def test_deploy_git_fails_with_the_task(rsconnect: Rsconnect, source: Callable[..., Source]) -> None:
    repository = source("empty")
    repository.commit({"README.md": "no app"})
    failed = rsconnect("deploy", "git", "-r", repository.url, code=1)
    assert "manifest.json" in failed.stdout + failed.stderr
    assert "Task exited with status 1." in failed.stdout + failed.stderr


def test_deploy_git_drafts_and_bundles_of_a_ref(
    rsconnect: Rsconnect, contract: Api, source: Callable[..., Source]
) -> None:
    repository = source("drafted")
    first = repository.commit(app_files("one"))
    guid = guid_of(rsconnect("deploy", "git", "-r", repository.url))
    repository.commit(app_files("two"))
    rsconnect("deploy", "git", "-r", repository.url, "--app-id", guid, "--draft")
    assert page(contract, guid) == "one"
    contract.deployed(guid, {"bundle_id": contract.made("GET", f"v1/content/{guid}/bundles")[0]["id"]})
    assert page(contract, guid) == "two"
    rsconnect("content", "repository", "redeploy", "-g", guid, "--ref", first)
    newest = contract.made("GET", f"v1/content/{guid}/bundles")[0]
    assert newest["metadata"]["source_commit"] == first


def test_deploy_manifest_verifies_a_draft_and_activates_it(rsconnect: Rsconnect, contract: Api, app: Path) -> None:
    guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json"), "-t", "By manifest", "-E", "B=2"))
    assert page(contract, guid) == "one"
    written(app, app_files("two"))
    rsconnect("deploy", "manifest", str(app / "manifest.json"), "--draft")
    assert page(contract, guid) == "one"
    rsconnect("deploy", "manifest", str(app / "manifest.json"), "--no-verify", "--app-id", guid)
    assert page(contract, guid) == "two"
    assert [bundle["active"] for bundle in contract.made("GET", f"v1/content/{guid}/bundles")] == [True, False, False]


def test_a_bundle_of_a_work_tree_says_where_it_comes_from(rsconnect: Rsconnect, contract: Api, app: Path) -> None:
    git("init", "-q", cwd=app)
    git("remote", "add", "origin", "git@git.invalid:me/it.git", cwd=app)
    git("add", "-A", cwd=app)
    git("commit", "-qm", "x", cwd=app)
    guid = guid_of(
        rsconnect("deploy", "manifest", str(app / "manifest.json"), "--no-verify", "--metadata", "team=blue")
    )
    (bundle,) = contract.made("GET", f"v1/content/{guid}/bundles")
    assert bundle["metadata"]["source"] == "git"
    assert bundle["metadata"]["source_commit"] == git("rev-parse", "HEAD", cwd=app)
    assert bundle["metadata"]["source_repo"] == "https://git.invalid/me/it.git"
    assert bundle["metadata"]["team"] == "blue"


def test_an_app_that_does_not_start_fails_verification_and_never_goes_live(
    rsconnect: Rsconnect, contract: Api, app: Path
) -> None:
    guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json")))
    (app / "app.py").write_text("raise RuntimeError('broken at import')")
    failed = rsconnect("deploy", "manifest", str(app / "manifest.json"), code=1)
    assert "The app might not have started successfully" in failed.stdout + failed.stderr
    assert page(contract, guid) == "one"


def test_content_is_described_searched_built_and_downloaded(
    rsconnect: Rsconnect, contract: Api, app: Path, tmp_path: Path
) -> None:
    guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json"), "-t", "Find me by this title"))
    assert json.loads(rsconnect("content", "describe", "-g", guid).stdout)[0]["guid"] == guid
    found = json.loads(rsconnect("content", "search", "--title-contains", "Find me by this").stdout)
    assert guid in [item["guid"] for item in found]
    rsconnect("content", "download-bundle", "-g", guid, "-o", str(tmp_path / "bundle.tar.gz"))
    assert (tmp_path / "bundle.tar.gz").read_bytes()[:2] == b"\x1f\x8b"
    rsconnect("content", "build", "add", "-g", guid)
    rsconnect("content", "build", "run")
    assert json.loads(rsconnect("content", "build", "ls").stdout)[0]["rsconnect_build_status"] == "COMPLETE"


def test_a_changed_app_mode_is_refused(rsconnect: Rsconnect, contract: Api, app: Path) -> None:
    guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json")))
    written(app, {**app_files(), "manifest.json": app_files()["manifest.json"].replace("python-api", "python-fastapi")})
    failed = rsconnect("deploy", "manifest", str(app / "manifest.json"), "--app-id", guid, code=1)
    assert "python-api" in failed.stdout + failed.stderr


def test_lockfile_preflight_caches_and_build_logs(
    rsconnect: Rsconnect, contract: Api, app: Path, tmp_path: Path
) -> None:
    (app / "requirements.txt").write_text("itsdangerous==2.2.0\n")
    guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json")))
    rsconnect("content", "get-lockfile", "-g", guid, "-o", str(tmp_path / "lock.txt"))
    assert "itsdangerous==2.2.0" in (tmp_path / "lock.txt").read_text()
    assert contract.made("GET", f"v1/content/{guid}/packages") == [
        {"language": "python", "name": "itsdangerous", "version": "2.2.0", "hash": None}
    ]
    version = contract.made("GET", f"v1/content/{guid}")["py_version"]
    told = rsconnect("preflight", str(app))
    assert version in told.stdout + told.stderr
    assert version in rsconnect("system", "caches", "list").stdout
    dry = rsconnect("system", "caches", "delete", "-l", "Python", "-V", version, "-I", "Local", "--dry-run")
    assert "Dry run" in dry.stdout + dry.stderr
    rsconnect("content", "build", "add", "-g", guid)
    rsconnect("content", "build", "run")
    assert json.loads(rsconnect("content", "build", "history", "-g", guid).stdout)
    logs = rsconnect("content", "build", "logs", "-g", guid).stdout
    assert "Completed Python build" in logs


def test_deploy_api_and_html_make_their_own_manifests(
    rsconnect: Rsconnect, contract: Api, app: Path, tmp_path: Path
) -> None:
    (app / "manifest.json").unlink()
    guid = guid_of(rsconnect("deploy", "api", str(app), "-e", "app:app"))
    assert page(contract, guid) == "one"
    again = guid_of(rsconnect("deploy", "api", str(app), "-e", "app:app"))
    assert again == guid
    other = guid_of(rsconnect("deploy", "api", str(app), "-e", "app:app", "--new"))
    assert other != guid
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello there")
    guid = guid_of(rsconnect("deploy", "html", str(tmp_path / "site"), "-e", "index.html"))
    assert page(contract, guid) == "hello"
    assert contract.made("GET", f"v1/content/{guid}")["app_mode"] == "static"


@pytest.mark.skipif(bool(REAL[0]), reason="a real server has one version")
@pytest.mark.parametrize("version", ["2024.12.0", "2025.06.0", "hidden"])
def test_older_servers_get_what_they_understand(rsconnect: Rsconnect, app: Path, tmp_path: Path, version: str) -> None:
    """Without drafts the client activates at once; without bundle metadata it uploads raw bytes."""
    git("init", "-q", cwd=app)
    git("add", "-A", cwd=app)
    git("commit", "-qm", "x", cwd=app)
    with running(tmp_path / "data", connect_version=version) as old:
        server, key = {"CONNECT_SERVER": old.url}, old.api_key
        api = Api(old.url, key)
        guid = guid_of(rsconnect("deploy", "manifest", str(app / "manifest.json"), key=key, **server))
        assert page(api, guid) == "one"
        (bundle,) = api.made("GET", f"v1/content/{guid}/bundles")
        assert bundle["metadata"]["source"] is None
        repository = make_source(api, tmp_path / "source", f"old-{version}")
        repository.commit(app_files())
        assert page(api, guid_of(rsconnect("deploy", "git", "-r", repository.url, key=key, **server))) == "one"
        if version == "2024.12.0":  # rsconnect does not look: the server has to refuse the key that it does not know
            refused = rsconnect("deploy", "git", "-r", repository.url, "--draft", code=1, key=key, **server)
            assert "Unknown keys: activate" in refused.stdout + refused.stderr


@pytest.mark.skipif(bool(REAL[0]), reason="git is on, on a real server")
def test_a_server_without_git_says_so(rsconnect: Rsconnect, tmp_path: Path) -> None:
    with running(tmp_path / "data", without=["git"]) as server:
        failed = rsconnect(
            "deploy", "git", "-r", "https://git.invalid/x", code=1, key=server.api_key, CONNECT_SERVER=server.url
        )
        assert "Git support is disabled" in failed.stdout + failed.stderr
