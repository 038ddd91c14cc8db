"""Real noxfiles of other projects, out of their source distributions, with our two lines at their end."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
import uv

from .nox_runs import NoxRun, run_nox
from .onboarding.project import FLASK, Project

#: What runs a session's body without its tools: every `install` and `run` of it is passed over.
WITHOUT_TOOLS = ("--no-venv", "--no-install", "--install-only")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "shop").mkdir()
    return Project(root=tmp_path / "shop")


def own_files(name: str, place: Path) -> dict[str, str]:
    """noxfile.py and pyproject.toml in the source distribution of a project."""
    pip = [uv.find_uv_bin(), "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
    subprocess.run([*pip, "--dest", str(place), name], check=True, capture_output=True)
    (archive,) = place.glob("*.tar.gz")
    files = {}
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            _, _, path = member.name.partition("/")
            if path in {"noxfile.py", "pyproject.toml"} and (file := source.extractfile(member)):
                files[path] = file.read().decode()
    return files


def nox(project: Project, *arguments: str) -> NoxRun:
    """As this checkout is no installed distribution, script mode would look for one on the index."""
    return run_nox(project.root, *arguments, NOX_SCRIPT_MODE="none")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "session"), [("nox", "lint"), ("cibuildwheel", "lint")])
def test_they_keep_their_sessions_and_their_defaults(project: Project, tmp_path: Path, name: str, session: str) -> None:
    theirs = own_files(name, tmp_path)
    project.write({**theirs, "app.py": FLASK, "requirements.in": "flask\n"})
    before = nox(project, "-l")
    assert session in before.listed(), before.err

    ran = project.run("init", "--yes")

    after = nox(project, "-l")
    assert ran.status == 0, ran.said
    body = theirs["noxfile.py"].partition("# ///\n")[2] or theirs["noxfile.py"]  # a block of script mode names us, too
    assert body in project.read("noxfile.py")
    assert project.read("pyproject.toml").startswith(theirs["pyproject.toml"])
    assert before.listed().items() <= after.listed().items()
    assert after.selected() == before.selected()  # a bare `nox` runs what it ran, and ships nothing
    assert {"rehearse", "release", "doctor"} <= set(after.listed())
    assert nox(project, *WITHOUT_TOOLS, "-s", session).status == 0
    assert "exit code 4" in nox(project, "-s", "push", "--", "--app", "gone").err  # ours runs too


OWN_RELEASE = """\
import nox

nox.options.default_venv_backend = "none"


@nox.session
def test(session):
    print("the project's test ran")


@nox.session
def release(session):
    print("the project's release ran", *session.posargs)
"""


def test_a_project_with_a_test_and_a_release_of_its_own(project: Project) -> None:
    """Four of ten public noxfiles have one of these names."""
    project.write({"noxfile.py": OWN_RELEASE, "app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})

    project.run("init", "--yes")

    bare = nox(project)
    assert (bare.status, bare.out) == (0, "the project's test ran\nthe project's release ran\n")
    assert nox(project, "-s", "release", "--", "1.2").out == "the project's release ran 1.2\n"
    assert {"connect_test", "connect_release"} <= set(nox(project, "-l").listed())
