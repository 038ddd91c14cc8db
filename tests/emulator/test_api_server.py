"""The server as a process: its command line, its one data directory, its end, what survives it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import NotStarted, running

from .conftest import Api, alive, app_files, descendants, ended, make_source


def started(data: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "connect_tasks.emulator", "--data", str(data), *options]
    return subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def awaited(path: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_when_it_is_ready_and_ends_cleanly_with_its_apps(tmp_path: Path, number: int) -> None:
    ready = tmp_path / "ready.json"
    process = started(tmp_path / "data", "--ready-file", str(ready), CONNECT_TASKS_EMULATOR_KEY="a-key-of-our-own")
    try:
        facts = awaited(ready, process)
        assert (facts["pid"], facts["api_key"]) == (process.pid, "a-key-of-our-own")
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        api = Api(facts["url"], facts["api_key"])
        guid = live(api, tmp_path)
        assert api.visit(f"/content/{guid}/").status_code == 200
        apps = descendants(process.pid)
        assert apps
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert facts["url"] in output
    assert "a-key-of-our-own" not in output
    assert not any(map(alive, apps))
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file() and path.stat().st_size < 1_000_000:
            assert b"a-key-of-our-own" not in path.read_bytes(), path


def test_it_does_not_wait_for_those_who_wait_for_a_task(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        api = Api(server.url, server.api_key)
        guid = api.made("POST", "v1/content", {})["guid"]
        begun = tmp_path / "begun"  # a source distribution that takes its time
        slow = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
        files = {**app_files(), "requirements.txt": "./package\n", "package/setup.py": slow}
        source = make_source(api, tmp_path / "source", "slow")
        source.commit(files)
        api.made("PUT", f"v1/content/{guid}/repository", {"repository": source.url})
        task = api.made("POST", f"v1/content/{guid}/deploy", {})["task_id"]
        answers: list[dict[str, Any]] = []
        waiting = threading.Thread(target=lambda: answers.append(api.made("GET", f"v1/tasks/{task}?wait=20")))
        waiting.start()
        while not begun.exists():
            time.sleep(0.05)
        builders = descendants(server.pid)
        os.kill(server.pid, signal.SIGTERM)
        waiting.join(timeout=20)
        assert [answer["finished"] for answer in answers] == [False]
        assert server.process.wait(timeout=20) == 0
        assert builders
        assert ended(builders)
        assert "Cancel" not in server.log.read_text()


def live(api: Api, folder: Path) -> str:
    """Git-backed content, deployed."""
    guid = str(api.made("POST", "v1/content", {})["guid"])
    source = make_source(api, folder / f"source-{time.time_ns()}", str(time.time_ns()))
    source.commit(app_files())
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": source.url})
    api.deployed(guid)
    return guid


def test_bad_arguments_get_one_line(tmp_path: Path) -> None:
    for options, text in (
        (["--connect-version", "new"], "not a Connect version"),
        (["--without", "wings"], "no such ability"),
        (["--host", "203.0.113.7"], "203.0.113.7"),
    ):
        process = started(tmp_path / "data", *options)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 2
        assert text in errors
        assert len(errors.splitlines()) == 1
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "state.sqlite3").write_bytes(b"no database, whatever it says" * 100)
    process = started(tmp_path / "data")
    assert "is not a database of this server" in process.communicate(timeout=20)[1]


def test_one_data_directory_serves_one_server(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        with pytest.raises(NotStarted, match="in use by another server"), running(tmp_path / "data"):
            pass
        with running(tmp_path / "other") as other:
            assert Api(other.url, other.api_key).made("GET", "v1/content") == []


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom connect_tasks.emulator import running\n"
        "with running(Path(sys.argv[1])) as server:\n    print(server.pid, flush=True)\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert ended([server])


def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        api = Api(server.url, server.api_key)
        guid = live(api, tmp_path)
        path = f"v1/content/{guid}"
        api.made("PATCH", path, {"title": "A title that stays"})
        api.made("PATCH", f"{path}/environment", [{"name": "A", "value": "1"}])
        api.visit(f"/content/{guid}/")
        apps = descendants(server.pid)
        task = api.made("POST", f"{path}/deploy", {})["task_id"]
        before = {name: api.made("GET", f"{path}{name}") for name in ("", "/environment", "/repository")}
        os.kill(server.pid, signal.SIGKILL)
        key = server.api_key
    assert apps
    assert ended(apps)
    with running(tmp_path / "data") as again:
        assert again.api_key == key
        api = Api(again.url, key)
        cut = api.finished(task)
        assert cut["code"] in (0, 1)  # it was over, or it was cut off: never unknown
        assert cut["error"] == ("" if cut["code"] == 0 else "The server was stopped while this task ran.")
        addresses = ("content_url", "dashboard_url", "bundle_id", "last_deployed_time")
        after = {name: api.made("GET", f"{path}{name}") for name in ("", "/environment", "/repository")}
        for item in (before, after):
            item[""] = {key: value for key, value in item[""].items() if key not in addresses}
        assert after == before
        assert api.visit(f"/content/{guid}/").text.startswith("one ")
        (job, *_) = api.made("GET", f"{path}/jobs")[::-1]
        assert (job["status"], job["exit_code"]) == (2, -9)


def test_polling_deploys_a_moved_head_once(tmp_path: Path) -> None:
    with running(tmp_path / "data", options=["--poll-interval", "0.1"]) as server:
        api = Api(server.url, server.api_key)
        guid = str(api.made("POST", "v1/content", {})["guid"])
        source = make_source(api, tmp_path / "source", "polled")
        source.commit(app_files())
        settings = {"repository": source.url, "polling": True}
        api.made("PUT", f"v1/content/{guid}/repository", settings)
        never = api.made("POST", "v1/content", {})["guid"]  # linked, but nobody has said that it may go live
        api.made("PUT", f"v1/content/{never}/repository", settings)
        api.deployed(guid)
        commit = source.commit(app_files("two"))
        api.deployed(guid)  # poll and trigger may both see this commit
        while not api.visit(f"/content/{guid}/").text.startswith("two "):
            time.sleep(0.05)
        third = source.commit(app_files("three"))
        while not api.visit(f"/content/{guid}/").text.startswith("three "):
            time.sleep(0.05)
        time.sleep(0.4)
        commits = [bundle["metadata"]["source_commit"] for bundle in api.made("GET", f"v1/content/{guid}/bundles")]
        assert commits[0] == third
        assert commits.count(commit) <= 2
        assert commits.count(third) == 1
        source.commit({"manifest.json": None})
        while not api.made("GET", f"v1/content/{guid}/repository")["last_error"]:
            time.sleep(0.05)
        assert api.visit(f"/content/{guid}/").text.startswith("three ")
        # Several rounds have gone by.
        assert api.made("GET", f"v1/content/{never}/bundles") == []
        assert api.made("GET", f"v1/content/{never}/repository")["last_known_commit"] is None


def test_older_servers_can_be_rehearsed(tmp_path: Path) -> None:
    with running(tmp_path / "a", connect_version="2024.12.0") as server:
        api = Api(server.url, server.api_key)
        assert api.made("GET", "server_settings")["version"] == "2024.12.0"
        guid = api.made("POST", "v1/content", {})["guid"]
        assert api.refused("POST", f"v1/content/{guid}/deploy", {"activate": False}) == (400, 121)
        assert api.refused("GET", f"v1/content/{guid}/lockfile") == (404, 2)
        assert api.made("GET", f"v1/content/{guid}/packages") == []
        assert api.refused("GET", "v1/server_settings/nodejs") == (404, 2)
    without = ("git", "unknown-keys", "jobs")
    with running(tmp_path / "b", connect_version="hidden", without=without) as server:
        api = Api(server.url, server.api_key)
        settings = api.made("GET", "server_settings")
        assert (settings["version"], settings["git_enabled"]) == ("", False)
        guid = api.made("POST", "v1/content", {})["guid"]
        repository = {"repository": "https://git.invalid/x"}
        assert api.refused("PUT", f"v1/content/{guid}/repository", repository) == (400, 145)
        assert api.refused("GET", f"v1/content/{guid}/jobs") == (404, 2)
        assert api.refused("PATCH", f"v1/content/{guid}", {"new_key": 1}) == (400, 121)
    with running(tmp_path / "c", without=["bundle-from-ref"]) as server:
        api = Api(server.url, server.api_key)
        guid = api.made("POST", "v1/content", {})["guid"]
        assert api.refused("POST", f"v1/content/{guid}/repository/bundle", repository | {"ref": "x"}) == (404, 2)
