"""One real server per test run (and xdist worker), shared; small apps in real repositories."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from connect_tasks.emulator import Running
from connect_tasks.emulator.pytest_plugin import connect_server

__all__ = ["connect_server"]

#: A web app that needs no package at all: environments build in no time.
WSGI = """
def app(environ, start_response):
    text = f"{VERSION} path={environ['PATH_INFO']} mount={environ['SCRIPT_NAME']}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]

VERSION = "one"
"""


def manifest(mode: str = "python-api", entrypoint: str | None = "app:app", **metadata: str) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return json.dumps(
        {
            "version": 1,
            "metadata": {"appmode": mode, **({"entrypoint": entrypoint} if entrypoint else {}), **metadata},
            "python": {"version": python, "package_manager": {"name": "pip", "package_file": "requirements.txt"}},
            "files": {},
        }
    )


def app_files(version: str = "one") -> dict[str, str]:
    return {"app.py": WSGI.replace('"one"', repr(version)), "requirements.txt": "", "manifest.json": manifest()}


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on: those that have not ended while we look."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in task.read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pids: list[int], seconds: float = 20) -> bool:
    """Whether they all end within that time."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def git(*arguments: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Api:
    """The HTTP API, spoken plainly."""

    url: str
    key: str | None

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {**({"Authorization": f"Key {self.key}"} if self.key else {}), **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return requests.request(method, f"{self.url}/__api__/{path}", headers=headers, timeout=60, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self("GET", path, **options)

    def made(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must be good."""
        answer = self(method, path, body, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, int]:
        """Status and code of an answer that must be an error in Connect's shape."""
        answer = self(method, path, body, **options)
        assert not answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json"
        problem = answer.json()
        assert set(problem) == {"code", "error", "payload"}
        assert problem["error"]
        return answer.status_code, problem["code"]

    def finished(self, task_id: str) -> dict[str, Any]:
        while not (task := self.made("GET", f"v1/tasks/{task_id}?wait=20"))["finished"]:
            pass
        return dict(task)

    def deployed(self, guid: str, body: Any = None) -> dict[str, Any]:
        """The finished task of a deploy that must succeed."""
        task = self.finished(self.made("POST", f"v1/content/{guid}/deploy", body or {})["task_id"])
        assert task["code"] == 0, task
        return task

    def visit(self, path: str, **options: Any) -> requests.Response:
        headers = {**({"Authorization": f"Key {self.key}"} if self.key else {}), **options.pop("headers", {})}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=60, **options)


@dataclass
class Source:
    """A clone whose origin is a repository on the server's git host."""

    folder: Path
    url: str

    def commit(self, files: Mapping[str, str | None], *, branch: str = "main") -> str:
        """Writes (None: deletes), commits, pushes; the commit."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        git("add", "--all", cwd=self.folder)
        git("commit", "-q", "-m", "change", cwd=self.folder)
        git("push", "-q", "origin", f"HEAD:refs/heads/{branch}", cwd=self.folder)
        return git("rev-parse", "HEAD", cwd=self.folder)


@pytest.fixture(scope="session")
def server(connect_server: Running) -> Running:
    """The fixture that others get from the plugin."""
    return connect_server


@pytest.fixture
def api(server: Running) -> Api:
    return Api(server.url, server.api_key)


@pytest.fixture
def source(api: Api, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Source]:
    return lambda name="app": make_source(api, tmp_path / name, f"{request.node.name[:40]}-{name}")


def make_source(api: Api, folder: Path, name: str) -> Source:
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in f"{os.getpid()}-{name}")
    folder.mkdir()
    git("init", "-q", "-b", "main", cwd=folder)
    url = f"{api.url}/git/{safe}.git"
    git("config", f"http.{api.url}/.extraHeader", f"Authorization: Key {api.key}", cwd=folder)
    git("remote", "add", "origin", url, cwd=folder)
    return Source(folder, url)


@pytest.fixture
def content(api: Api, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A fresh content item, deleted after the test."""
    made = api.made("POST", "v1/content", {})
    yield made
    api("DELETE", f"v1/content/{made['guid']}")


#: A real server to hold the contract suite against; read before the tests' own world drops these variables.
REAL = (os.environ.get("CONNECT_SERVER"), os.environ.get("CONNECT_API_KEY"))


@pytest.fixture
def contract(request: pytest.FixtureRequest) -> Api:
    """The server that the contract suite talks to: a real one where the environment names it, else ours."""
    if REAL[0]:
        if "source" in request.fixturenames:
            pytest.skip("needs a repository that the server can clone")
        return Api(REAL[0].rstrip("/"), REAL[1])
    server: Running = request.getfixturevalue("server")
    return Api(server.url, server.api_key)
