"""A workshop for each test: a clone, its bare remote on the local Connect's git host, and the verbs run for real."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.arguments import parse
from connect_tasks.calling import Spelling
from connect_tasks.emulator import Running, running
from connect_tasks.runner import run_verb
from connect_tasks.verbs import verb

#: An app that needs nothing: freezing, testing and starting it costs almost nothing.
BARE_APP = '''"""A WSGI app without a framework."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"version 1"]
'''
BARE_TEST = """from app import app


def test_answers():
    assert list(app({}, lambda status, headers: None)) == [b"version 1"]
"""
TABLE = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\nverify = { contains = "version" }\n'
PAGE_TABLE = '[tool.connect-tasks]\nmode = "html"\nentrypoint = "index.html"\nverify = { contains = "version" }\n'


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a verb left: its exit code, its report, and what it said."""

    status: int
    report: dict[str, Any]
    said: str

    @property
    def code(self) -> str | None:
        return self.report["error"]["code"] if self.report.get("error") else None


@dataclass(kw_only=True)
class Workshop:
    """A clone with an app, and the server it goes to."""

    root: Path
    server: Running
    name: str
    environ: dict[str, str] = field(default_factory=dict)
    table: str = TABLE  # what its pyproject.toml began with

    def git(self, *arguments: str, ok: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not ok, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def commit(self, message: str = "work", **files: str) -> str:
        """Write files (`app_py` is app.py), commit everything, and return the commit."""
        for name, text in files.items():
            self.write(name.replace("_py", ".py").replace("_txt", ".txt"), text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def remote(self, ref: str = "refs/heads/main") -> str | None:
        """What the remote's branch holds, read in the remote itself."""
        done = subprocess.run(
            ["git", "-C", str(self.bare), "rev-parse", "--verify", "--quiet", ref],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() or None

    @property
    def bare(self) -> Path:
        return self.server.git_root / f"{self.name}.git"

    def run(self, name: str, *arguments: str, spelled: Spelling = str) -> Ran:
        """A verb, in this process. `spelled`: how commands are called by whoever runs it."""
        report = self.root.parent / "report.json"
        report.unlink(missing_ok=True)
        said = io.StringIO()
        options = parse(verb(name), [*arguments, "--json", str(report)], program=name)
        with redirect_stdout(said):
            status = run_verb(verb(name), options, directory=self.root, environ=self.environ, spelled=spelled)
        return Ran(status=status, report=json.loads(report.read_text()), said=said.getvalue())

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m connect_tasks ...`, as a user runs it."""
        return subprocess.run(
            [sys.executable, "-m", "connect_tasks", *arguments],
            cwd=self.root, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def api(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.server.url}/{path}")
        request.add_header("Authorization", f"Key {self.server.api_key}")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def page(self, url: str) -> str:
        request = urllib.request.Request(url)
        request.add_header("Authorization", f"Key {self.server.api_key}")
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def writes(self) -> list[str]:
        """The writing calls that the server has seen, API and git pushes."""
        log = self.api("__emulator__/requests")
        entries = log["requests"] if isinstance(log, dict) else log
        reading = {"GET", "HEAD", "OPTIONS"}
        return [
            f"{entry['method']} {entry['path']}"
            for entry in entries
            if entry["method"] not in reading
            and "git-upload-pack" not in entry["path"]
            and "__emulator__" not in entry["path"]
        ]


@pytest.fixture(scope="session")
def connect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("connect"), options=["--faults"]) as server:
        yield server


@pytest.fixture
def workshop(connect_server: Running, tmp_path: Path, private_home: Path, request: pytest.FixtureRequest) -> Workshop:
    """A committed bare app on `main`, with a remote that does not exist before the first push."""
    return make_workshop(connect_server, tmp_path, request.node.name)


@pytest.fixture
def page(connect_server: Running, tmp_path: Path, private_home: Path, request: pytest.FixtureRequest) -> Workshop:
    """A committed page instead of the app. Where Python is not the subject, a release without freezing, testing and
    starting a program shows the same in a third of the time."""
    return make_workshop(connect_server, tmp_path, request.node.name, page=True)


def make_workshop(
    server: Running, place: Path, name: str, *, push_key: str | None = None, page: bool = False
) -> Workshop:
    """`push_key`: what git authenticates with, the key of the deploys if None; `page`: with a page, not an app."""
    name = "".join(char if char.isalnum() else "-" for char in name)[:50] + f"-{os.urandom(3).hex()}"
    root = place / "clone"
    root.mkdir()
    keep = {"PATH", "HOME", "LANG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "UV_CACHE_DIR", "PYENV_ROOT", "TMPDIR"}
    keep |= {"CONNECT_TASKS_CACHE"}
    reach = ("SSL_", "REQUESTS_CA", "PIP_", "CURL_CA")
    environ = {key: value for key, value in os.environ.items() if key in keep or key.startswith(reach)}
    environ |= {
        "CONNECT_SERVER": server.url,
        "CONNECT_API_KEY": server.api_key,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    made = Workshop(root=root, server=server, name=name, environ=environ)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("remote", "add", "origin", server.git_url(name))
    made.git("config", f"http.{server.url}/.extraHeader", f"Authorization: Key {push_key or server.api_key}")
    made.table = PAGE_TABLE if page else TABLE
    made.write("pyproject.toml", made.table)
    python = f"{sys.version_info.major}.{sys.version_info.minor}\n"
    app = {".python-version": python, "requirements.in": "", "app.py": BARE_APP, "test_app.py": BARE_TEST}
    made.commit("first", **({"index.html": "version 1"} if page else app))
    made.git("push", "--quiet", "origin", "main")
    return made


@pytest.fixture
def sample(workshop: Workshop) -> Workshop:
    """The same with the sample project instead of the bare app."""
    source = Path(__file__).parents[2] / "sample_project"
    for name in ("app.py", "test_app.py", "requirements.in"):
        (workshop.root / name).unlink()
    shutil.copytree(source, workshop.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    workshop.write("pyproject.toml", '[tool.connect-tasks]\nverify = { path = "/health", contains = "ok" }\n')
    workshop.commit("the sample")
    return workshop
