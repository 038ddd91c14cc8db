"""From `pip install` to a rehearsed release of one's own app: three commands, with the wheel that users get."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from .project import FLASK, Project

ROOT = Path(__file__).parents[2]
#: Seconds of a processor for all three commands: what is promised is two minutes by the clock, and on two quiet cores
#: the clock shows less than this. A clock would fail the test on a busy machine.
PROMISED = 120.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A clean one: nothing of this checkout is importable."""

    home: Path
    bin: Path

    def run(self, directory: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CONNECT_"))}
        env = {**kept, "HOME": str(self.home), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        env["CONNECT_TASKS_CACHE"] = str(self.home / "cache")
        return subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    build = [uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", str(place), str(ROOT)]
    subprocess.run(build, check=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_commands(project: Project, private_home: Path, tmp_path: Path, wheel: Path) -> None:
    project.write({"app.py": FLASK, "requirements.txt": "flask\n"})
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    machine = Machine(home=private_home, bin=tmp_path / "venv" / "bin")
    commands = (
        ("pip", "install", "--quiet", f"{wheel}[emulator]"),
        ("connect-tasks", "init", "--yes"),
        ("connect-tasks", "rehearse", "--json", str(tmp_path / "report.json")),
    )

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name, *arguments in commands:
        done = machine.run(project.root, machine.bin / name, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["live_commit"] == report["commit"]
    print(f"{took:.0f} s of a processor")  # pytest -s shows it
    assert took < PROMISED, f"{took:.0f} s of a processor"
    listed = machine.run(project.root, machine.bin / "nox", "-l")
    assert "- release ->" in listed.stdout, listed.stderr


@pytest.mark.slow
def test_flaskr_as_it_comes_needs_no_edit(project: Project, private_home: Path, tmp_path: Path) -> None:
    """Flask's tutorial out of its source distribution: a package with a factory, tests, and a database that a first
    start lacks."""
    pip = [uv.find_uv_bin(), "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-binary", "flask", "--dest", str(tmp_path), "flask"], check=True, capture_output=True)
    (archive,) = tmp_path.glob("flask-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(tmp_path / "source", filter="data")
    (top,) = (tmp_path / "source").iterdir()
    tutorial = Project(root=top / "examples" / "tutorial")
    cache = {"CONNECT_TASKS_CACHE": str(tmp_path / "cache")}

    assert tutorial.run("init", "--yes", **cache).status == 0
    ran = tutorial.run("rehearse", **cache)

    stages = {stage["name"]: stage for stage in ran.report["stages"]}
    assert ran.status == 0, ran.said
    assert "24 passed" in stages["test"]["detail"]
    assert "answers 200" in stages["visit"]["detail"]
