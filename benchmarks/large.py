"""A release of what is large, after a one-line change: `python benchmarks/large.py [ROUNDS]`.

An app of 20,000 files, and one with a file of 200 MB, both without a Python, so that nothing but files is measured:
`release` against what nobody can leave out, one after another: the checksums of what git stores, commit, push, and the
server's share, as our own report has it. Median of the rounds' own ratios; and the peak memory of the process, at most
300 MB. The limit of the ratio, 2, is our own. Breaking a limit ends with status 1.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from _figure import Figure, kept

from connect_tasks.emulator import Running, running

ROUNDS, LIMIT, MEMORY_LIMIT = 3, 2.0, 300
TABLE = '[tool.connect-tasks]\nmode = "html"\nentrypoint = "index.html"\nmax_file_size = 1000000000\n'
PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
)


@dataclass(frozen=True, kw_only=True)
class App:
    """A clone whose first release is live."""

    name: str
    root: Path
    env: dict[str, str]

    def run(self, *argv: str) -> str:
        done = subprocess.run(argv, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def change(self, number: int) -> None:
        (self.root / "index.html").write_text(f"<p>version {number}</p>\n", encoding="utf-8")
        self.run("git", "commit", "--quiet", "--all", "--message", f"version {number}")

    def release(self) -> tuple[float, float]:
        """-> peak memory in MB, and the seconds of its deploy and verify stages."""
        report = self.root.with_suffix(".json")
        release = (sys.executable, "-m", "connect_tasks", "release", "--json", str(report))
        peak = float(self.run(sys.executable, "-c", PEAK, *release))
        stages = json.loads(report.read_text(encoding="utf-8"))["stages"]
        return peak, sum(stage["seconds"] for stage in stages if stage["name"] in {"deploy", "verify"})

    def bare(self) -> None:
        """Checksums, commit, push."""
        self.run("sh", "-c", "git ls-tree -r HEAD | cut -c 13-52 | git cat-file --batch | md5sum")
        (self.root / "beside.txt").write_text(str(time.time()), encoding="utf-8")
        self.run("git", "add", "beside.txt")
        self.run("git", "commit", "--quiet", "--message", "beside")
        self.run("git", "push", "--quiet", "origin", "main")


def main(rounds: int) -> int:
    files = {f"data/{number // 100}/{number}.txt": b"%d\n" % number * 40 for number in range(20_000)}
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch, "connect")) as server:
        place = Path(scratch)
        apps = (
            _released(place, "20,000 files", files.items(), server),
            _released(place, "a file of 200 MB", [("data.bin", os.urandom(200_000_000))], server),
        )
        figures = [figure for app in apps for figure in _measured(app, rounds)]
    return kept(figures)


def _measured(app: App, rounds: int) -> Iterable[Figure]:
    ratios, times, peaks = [], [], []
    for number in range(rounds):
        app.change(number)
        started = time.perf_counter()
        peak, server = app.release()
        ours = time.perf_counter() - started
        started = time.perf_counter()
        app.bare()
        ratios.append(ours / (time.perf_counter() - started + server))
        times.append(ours)
        peaks.append(peak)
    what = f"release of {app.name}"
    against = "checksums, commit, push, the server's share"
    ratio = Figure(benchmark="large", what=what, against=against, value=statistics.median(ratios), limit=LIMIT)
    memory = Figure(benchmark="large", what=f"{what}: memory", value=max(peaks), unit="MB", limit=MEMORY_LIMIT)
    print(f"{what:<28} {statistics.median(times):.2f} s: {ratio.value:.2f} times the floor{ratio.verdict}")
    print(f"{what:<28} {memory.value:.0f} MB{memory.verdict}")
    return ratio, memory


def _released(scratch: Path, name: str, files: Iterable[tuple[str, bytes]], server: Running) -> App:
    root = scratch / name.replace(" ", "-").replace(",", "")
    root.mkdir()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"CONNECT_SERVER": server.url, "CONNECT_API_KEY": server.api_key, "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {"GIT_CONFIG_GLOBAL": str(scratch / "gitconfig"), "CONNECT_TASKS_CACHE": str(scratch / "cache")}
    (scratch / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n")
    for path, content in (*files, ("pyproject.toml", TABLE.encode()), ("index.html", b"<p>version</p>\n")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    app = App(name=name, root=root, env=env)
    for arguments in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", f"http.{server.url}/.extraHeader", f"Authorization: Key {server.api_key}"),
        ("remote", "add", "origin", server.git_url(root.name)),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "the app"),
        ("push", "--quiet", "origin", "main"),
    ):
        app.run("git", *arguments)
    app.release()
    return app


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
