"""What is built runs: the wheel, made from the sdist, in a clean environment, far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

import connect_tasks
from connect_tasks.verbs import NAMES

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The archives, and an environment that holds the wheel and nothing of the checkout."""

    wheel: Path
    sdist: Path
    programs: Path

    def run(self, *command: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        """A program of that environment, found on PATH as a user's."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env |= {"PATH": os.pathsep.join((str(self.programs), os.environ["PATH"])), **changes}
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("built")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = [name for name in tracked.stdout.split("\0") if name and (ROOT / name).is_file()]
    if not names:
        pytest.skip("not a checkout")
    for name in names:  # what is built is what git knows, not what lies about
        (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place / "source" / name)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = place / "environment"
    for command in (
        ["build", "--quiet", "--out-dir", str(place / "dist"), str(place / "source")],  # the wheel, out of the sdist
        ["venv", "--quiet", str(environment)],
    ):
        subprocess.run([uv.find_uv_bin(), *command], cwd=place, env=env, check=True)
    (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", str(programs / "python"), str(wheel)],
        cwd=place, env=env, check=True,
    )  # fmt: skip
    return Installed(wheel=wheel, sdist=sdist, programs=programs)


def test_the_archives_hold_what_they_should(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    package = Path(connect_tasks.__file__).parent
    ours = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert names >= {f"connect_tasks/{path.relative_to(package).as_posix()}" for path in ours}
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"connect_tasks"}, "tests stay outside"
    with tarfile.open(installed.sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    assert source >= {
        "noxfile.py",
        "mkdocs.yml",
        "docs/tutorial.md",
        "tests/test_packaging.py",
        "sample_project/app.py",
    }


def test_it_runs_far_from_the_checkout(installed: Installed, tmp_path: Path) -> None:
    helped = installed.run("connect-tasks", "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert [name for name in NAMES if f"  {name} " not in helped.stdout] == []
    where = installed.run("python", "-c", "import connect_tasks; print(connect_tasks.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.programs.parent)

    app = sample(tmp_path)
    checked = installed.run("connect-tasks", "check", cwd=app)

    assert (checked.returncode, checked.stderr) == (2, ""), "there are no generated files yet"
    assert "CT490" in checked.stdout
    assert "next: connect-tasks freeze" in checked.stdout  # as it was called: pipx gives nothing else


def test_it_runs_without_being_installed(installed: Installed, tmp_path: Path) -> None:
    """`uvx --from connect-tasks connect-tasks VERB`, as the documentation has it."""
    uvx = [uv.find_uv_bin(), "tool", "run", "--quiet", "--from", str(installed.wheel)]

    ran = installed.run(*uvx, "connect-tasks", "--explain", "CT305", cwd=tmp_path)

    assert ran.stdout.startswith("CT305 RequirementsMissing"), ran.stderr


def test_a_noxfile_that_names_what_it_imports_is_all_that_somebody_with_nox_needs(
    installed: Installed, tmp_path: Path
) -> None:
    """nox's script mode: it makes an environment with us in it, and goes on there."""
    app = sample(tmp_path)
    wanted = f'# /// script\n# dependencies = ["nox", "connect-tasks @ {installed.wheel.as_uri()}"]\n# ///\n'
    (app / "noxfile.py").write_text(wanted + "import connect_tasks\n\nconnect_tasks.register()\n")

    ran = installed.run("nox", "-s", "check", cwd=app, NOX_SCRIPT_MODE="fresh", NOX_SCRIPT_VENV_BACKEND="uv")

    assert ran.returncode == 1
    assert "CT490" in ran.stdout, ran.stderr
    assert "next: nox -s freeze manifest commit" in ran.stdout


@pytest.mark.slow
def test_our_own_hooks_pass(tmp_path: Path) -> None:
    """`.pre-commit-config.yaml`, run by the real pre-commit on all files."""
    env = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "hooks")}
    for command in (["validate-config"], ["run", "--all-files", "--show-diff-on-failure"]):
        done = subprocess.run(
            [uv.find_uv_bin(), "tool", "run", "--quiet", "pre-commit", *command],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def sample(place: Path) -> Path:
    """A repository with an app."""
    app = place / "app"
    app.mkdir()
    (app / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (app / "requirements.in").write_text("flask\n")
    (app / "pyproject.toml").write_text("[tool.connect-tasks]\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "an app"]):
        subprocess.run(["git", *command], cwd=app, check=True)
    return app
