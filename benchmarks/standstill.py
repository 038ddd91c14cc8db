"""What it costs to find that nothing is to be done: a no-op `release` against `nox -l`, and its memory.

Wall time, interleaved, medians of the same run; the server is a local one that is up already. Limits: 2.5 times
`nox -l`, 100 MB. With the project installed: `python benchmarks/standstill.py [ROUNDS]`.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _figure import Figure, keep

from connect_tasks.emulator import running

LIMIT, MEMORY_LIMIT = 2.5, 100
SAMPLE = Path(__file__).parents[1] / "sample_project"
NOXFILE = "import connect_tasks\n\nconnect_tasks.register()\n"


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch, "connect")) as server:
        app, env = _released(Path(scratch, "app"), server.url, server.api_key, server.git_url("app"))
        release = [sys.executable, "-m", "connect_tasks", "release"]
        listing = [str(Path(sys.executable).with_name("nox")), "-l"]
        times: dict[str, list[float]] = {"nox -l": [], "release": []}
        for _ in range(rounds):
            for name, command in (("nox -l", listing), ("release", release)):
                started = time.perf_counter()
                subprocess.run(command, cwd=app, env=env, check=True, stdout=subprocess.DEVNULL)
                times[name].append(time.perf_counter() - started)
        memory = _peak_memory(release, app, env)
    floor, ours = (statistics.median(times[name]) for name in ("nox -l", "release"))
    what = "release with nothing to do"
    time_ = keep(Figure(benchmark="standstill", what=what, against="nox -l", value=ours / floor, limit=LIMIT))
    peak = keep(Figure(benchmark="standstill", what=f"{what}: memory", value=memory, unit="MB", limit=MEMORY_LIMIT))
    print(f"{what} {ours * 1000:.0f} ms, nox -l {floor * 1000:.0f} ms: {time_.value:.2f} times{time_.verdict}")
    print(f"its peak memory {memory:.0f} MB{peak.verdict}")
    return int(not (time_.within and peak.within))


def _released(app: Path, url: str, key: str, remote: str) -> tuple[Path, dict[str, str]]:
    """The sample project, released once, and the environment in which a second release finds nothing to do."""
    shutil.copytree(SAMPLE, app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "pyproject.toml").write_text("[tool.connect-tasks]\n")
    (app / "noxfile.py").write_text(NOXFILE)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"CONNECT_SERVER": url, "CONNECT_API_KEY": key}
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["config", "user.name", "Bench"],
        ["config", "user.email", "bench@example.org"],
        ["config", f"http.{url}/.extraHeader", f"Authorization: Key {key}"],
        ["remote", "add", "origin", remote],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "the sample"],
        ["push", "--quiet", "origin", "main"],
    ):
        subprocess.run(["git", *command], cwd=app, env=env, check=True)
    for _ in range(2):  # the second is the first that stands still
        subprocess.run(
            [sys.executable, "-m", "connect_tasks", "release"], cwd=app, env=env, check=True, stdout=subprocess.DEVNULL
        )
    return app, env


def _peak_memory(command: list[str], app: Path, env: dict[str, str]) -> float:
    """Of the process itself, in MB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=app, env=env, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9))
