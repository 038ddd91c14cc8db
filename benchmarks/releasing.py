"""What a release takes after a one-line change: `python benchmarks/releasing.py [ROUNDS]`, with the project installed.

Three clones of the sample project with a content item each on one local server, in turns, each from a user's new commit
to the page that is seen to be live; medians of the rounds' own ratios:

* `release` against the recipe by hand: `python -m venv`, pip, `pip freeze`, `rsconnect write-manifest`, pytest, git,
  `rsconnect deploy git`, a visit (at least 8 times faster);
* `release` against the floor: the fastest tools one after another, each as fast as it goes: `uv venv`,
  `uv pip install`, `uv pip freeze`, `rsconnect write-manifest`, a second environment with the test tools, the import
  of the entrypoint, pytest, commit, push, the calls of a draft and its activation by an open connection, two visits (at
  most 0.6 times).

Warm for all: the packages in the caches of pip and uv, the bytecode of our tools, and the server, which is up and has
the environment of these pins. Warm for us alone, since it is what we are for: the compiled template of the test
environment, with a copy in stock that the run before made while it waited for the server; and the app has been released
before, so that it is known at once what most likely ships, and its tests begin while the rest is still asked. The floor
and the recipe make a new environment each time, as they must: they have no way to know that the old one fits. The
server's own share, from the push to the page, is shown. Breaking a limit ends with status 1.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _figure import Figure, kept

from connect_tasks.emulator import Running, running

ROUNDS = 5
BY_HAND_LIMIT, FLOOR_LIMIT = 8.0, 0.6
SAMPLE = Path(__file__).parents[1] / "sample_project"
BIN = Path(sys.executable).parent
TABLE = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\n'
TOOLS = ("pytest",)


@dataclass(frozen=True, kw_only=True)
class Clone:
    """One of the three ways, with its own clone, remote and content item."""

    root: Path
    url: str  # of its repository, as Connect clones it
    env: dict[str, str]

    def run(self, *argv: str | Path, **more: str) -> str:
        done = subprocess.run(
            argv, cwd=self.root, env={**self.env, **more}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def release(self) -> float:
        """-> the seconds of its deploy and verify stages, which are the server's but for little."""
        report = self.root.with_suffix(".json")
        self.run(sys.executable, "-m", "connect_tasks", "release", "--json", report)
        stages = json.loads(report.read_text(encoding="utf-8"))["stages"]
        return float(sum(stage["seconds"] for stage in stages if stage["name"] in {"deploy", "verify"}))

    def change(self, number: int) -> None:
        """A new version, as a user commits it."""
        app = (SAMPLE / "app.py").read_text(encoding="utf-8")
        (self.root / "app.py").write_text(f"{app}\nVERSION = {number}\n", encoding="utf-8")
        self.git("commit", "--quiet", "--all", "--message", f"version {number}")


def by_hand(clone: Clone, guid: str) -> None:
    """The recipe of the manuals."""
    python = clone.root / ".venv" / "bin" / "python"
    clone.run(sys.executable, "-m", "venv", "--clear", ".venv")
    clone.run(python, "-m", "pip", "install", "--quiet", "-r", "requirements.in")
    (clone.root / "requirements.txt").write_text(clone.run(python, "-m", "pip", "freeze"), encoding="utf-8")
    clone.run(BIN / "rsconnect", "write-manifest", "flask", "--overwrite", "--entrypoint", "app:app", ".")
    clone.run(python, "-m", "pip", "install", "--quiet", *TOOLS)
    clone.run(python, "-m", "pytest", "--quiet")
    clone.git("add", "requirements.txt", "manifest.json")
    clone.git("commit", "--quiet", "--message", "the manifest")
    clone.git("push", "--quiet", "origin", "main")
    clone.run(BIN / "rsconnect", "deploy", "git", "--app-id", guid, "-r", clone.url, "--branch", "main", "--no-polling")
    Api(clone).visit(f"/content/{guid}/")


def floor(clone: Clone, guid: str) -> None:
    """The steps that nobody can leave out, each by the fastest tool, one after another."""
    uv, offline = BIN / "uv", ("--offline", "--quiet")
    first, second = clone.root / ".venv", clone.root / ".venv-test"
    for place in (first, second):
        shutil.rmtree(place, ignore_errors=True)
    clone.run(uv, "venv", *offline, "--python", sys.executable, first)
    clone.run(uv, "pip", "install", *offline, "--python", first / "bin" / "python", "-r", "requirements.in")
    pins = clone.run(uv, "pip", "freeze", *offline, "--python", first / "bin" / "python")
    (clone.root / "requirements.txt").write_text(pins, encoding="utf-8")
    clone.run(BIN / "rsconnect", "write-manifest", "flask", "--overwrite", "--entrypoint", "app:app", ".")
    clone.run(uv, "venv", *offline, "--python", sys.executable, second)
    python = second / "bin" / "python"
    clone.run(uv, "pip", "install", *offline, "--python", python, "-r", "requirements.txt", *TOOLS)
    clone.run(first / "bin" / "python", "-c", "from app import app")
    clone.run(python, "-m", "pytest", "--quiet")
    clone.git("add", "requirements.txt", "manifest.json")
    clone.git("commit", "--quiet", "--message", "the manifest")
    clone.git("push", "--quiet", "origin", "main")
    api = Api(clone)
    made = api.ask("POST", f"content/{guid}/repository/bundle", {"ref": clone.git("rev-parse", "HEAD")})
    api.follow(made["task_id"])
    bundle = made["bundle_id"]
    api.follow(api.ask("POST", f"content/{guid}/deploy", {"bundle_id": bundle, "activate": False})["task_id"])
    api.visit(f"/content/{guid}/_bundle{bundle}/")
    api.follow(api.ask("POST", f"content/{guid}/deploy", {"bundle_id": bundle})["task_id"])
    api.visit(f"/content/{guid}/")


class Api:
    """Connect by one open connection, without a client library."""

    def __init__(self, clone: Clone) -> None:
        self._connection = http.client.HTTPConnection(clone.env["CONNECT_SERVER"].split("//")[1])
        self._headers = {"Authorization": f"Key {clone.env['CONNECT_API_KEY']}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, answer = self._send(method, f"/__api__/v1/{path}", None if body is None else json.dumps(body))
        assert status < 300, answer
        data: dict[str, Any] = json.loads(answer)
        return data

    def follow(self, task: str) -> None:
        first = 0
        while not (state := self.ask("GET", f"tasks/{task}?first={first}&wait=10"))["finished"]:
            first = state["last"]
        assert state["code"] == 0, state

    def visit(self, path: str) -> None:
        status, _ = self._send("GET", path)
        assert status == 200, status

    def _send(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch, "connect")) as server:
        clones = {name: _released(Path(scratch), name, server) for name in ("ours", "floor", "hand")}
        ways: dict[str, Callable[[], float | None]] = {
            "ours": clones["ours"][0].release,
            "floor": lambda: floor(*clones["floor"]),
            "hand": lambda: by_hand(*clones["hand"]),
        }
        times: dict[str, list[float]] = {name: [] for name in (*ways, "server")}
        for number in range(rounds + 1):  # the first warms up
            for name, way in ways.items():
                clones[name][0].change(number)
                started = time.perf_counter()
                server_share = way()
                if number:
                    times[name].append(time.perf_counter() - started)
                    times["server"] += [] if server_share is None else [server_share]
        for clone, guid in clones.values():
            _require_live(clone, guid)
    middle = {name: statistics.median(each) for name, each in times.items()}
    by_floor, by_recipe = (
        statistics.median(other / ours for other, ours in zip(times[name], times["ours"], strict=True))
        for name in ("floor", "hand")
    )
    what = "release after a one-line change"
    floor_ = Figure(benchmark="releasing", what=what, against="the floor", value=1 / by_floor, limit=FLOOR_LIMIT)
    hand = Figure(
        benchmark="releasing",
        what=what,
        against="by hand",
        value=by_recipe,
        unit="times faster",
        limit=BY_HAND_LIMIT,
        at_least=True,
    )
    print(f"{what} {middle['ours']:5.2f} s, of them {middle['server']:.2f} s the server's")
    print(f"{'the floor':<31} {middle['floor']:5.2f} s: {floor_.value:.2f} times it{floor_.verdict}")
    print(f"{'by hand':<31} {middle['hand']:5.2f} s: {hand.value:.1f} times faster{hand.verdict}")
    return kept([floor_, hand])


def _released(scratch: Path, name: str, server: Running) -> tuple[Clone, str]:
    """The sample in a clone of its own, released once by us -> the clone and its content's GUID."""
    root = scratch / name
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("__pycache__", ".*cache"))
    (root / "pyproject.toml").write_text(TABLE, encoding="utf-8")
    (root / ".gitignore").write_text(".venv*\n__pycache__\n.pytest_cache\n", encoding="utf-8")
    (root / ".python-version").write_text(f"{sys.version_info.major}.{sys.version_info.minor}\n", encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"CONNECT_SERVER": server.url, "CONNECT_API_KEY": server.api_key, "RSCONNECT_DISABLE_VERSION_CHECK": "1"}
    env |= {"GIT_CONFIG_GLOBAL": str(scratch / "gitconfig"), "CONNECT_TASKS_CACHE": str(scratch / "cache")}
    (scratch / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n")
    clone = Clone(root=root, url=server.git_url(name), env=env)
    clone.git("init", "--quiet", "--initial-branch", "main")
    clone.git("config", f"http.{server.url}/.extraHeader", f"Authorization: Key {server.api_key}")
    clone.git("remote", "add", "origin", clone.url)
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "the sample")
    clone.git("push", "--quiet", "origin", "main")
    clone.release()
    report = json.loads(root.with_suffix(".json").read_text(encoding="utf-8"))
    return clone, report["url"].rstrip("/").rsplit("/", 1)[-1]


def _require_live(clone: Clone, guid: str) -> None:
    """The last version is what the server says is live: else a way was fast by doing less."""
    api = Api(clone)
    bundle = api.ask("GET", f"content/{guid}")["bundle_id"]
    metadata = api.ask("GET", f"content/{guid}/bundles/{bundle}")["metadata"]
    assert metadata["source_commit"] == clone.git("rev-parse", "origin/main") == clone.git("rev-parse", "HEAD")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
