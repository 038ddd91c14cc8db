"""Requirements that name a repository: frozen as a commit, kept at it, moved on request."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from connect_tasks.errors import RequirementRefused
from connect_tasks.packages.environment import Upgrade

from .conftest import Freeze


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A repository of a package that builds without any other package, and without an index."""
    home = tmp_path / "library"
    home.mkdir()
    (home / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "back"\nbackend-path = ["."]\n'
    )
    (home / "back.py").write_text(
        "import zipfile\n"
        "INFO = 'library-1.0.dist-info'\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        "    name = 'library-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(f'{directory}/{name}', 'w') as archive:\n"
        "        archive.writestr('library.py', '')\n"
        "        archive.writestr(f'{INFO}/METADATA', 'Metadata-Version: 2.1\\nName: library\\nVersion: 1.0\\n')\n"
        "        wheel = 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n"
        "        archive.writestr(f'{INFO}/WHEEL', wheel)\n"
        "        archive.writestr(f'{INFO}/RECORD', '')\n"
        "    return name\n"
    )
    git(home, "init", "-q")
    commit(home)
    return home


def git(home: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=home, check=True, capture_output=True, text=True).stdout.strip()


def commit(home: Path) -> str:
    git(home, "add", ".")
    git(home, "commit", "-q", "--allow-empty", "-m", "more")
    return git(home, "rev-parse", "HEAD")


@pytest.fixture
def served(library: Path) -> str:
    """The URL of the library as a git server would name it; insteadOf lets git read the directory."""
    git(library, "config", "--global", f"url.file://{library}.insteadOf", "https://git.example/library")
    return "git+https://git.example/library"


def test_a_branch_becomes_its_commit_and_stays_there(app: Path, freeze: Freeze, library: Path, served: str) -> None:
    first = git(library, "rev-parse", "HEAD")
    (app / "requirements.in").write_text(f"library @ {served}@main\ncore\n")
    frozen = freeze()
    assert frozen.text.decode().splitlines()[1:] == ["core==1.1", f"library @ {served}@{first}"]
    commit(library)
    assert freeze().text == frozen.text


def test_upgrade_moves_a_branch_to_its_newest_commit(app: Path, freeze: Freeze, library: Path, served: str) -> None:
    (app / "requirements.in").write_text(f"library @ {served}@main\n")
    first = git(library, "rev-parse", "HEAD")
    freeze()
    second = commit(library)
    changes = freeze(upgrade=Upgrade(packages=("library",))).changes
    assert [(change.old, change.new) for change in changes] == [(f"{served}@{first}", f"{served}@{second}")]


def test_a_declared_commit_is_that_commit(app: Path, freeze: Freeze, library: Path, served: str) -> None:
    first = git(library, "rev-parse", "HEAD")
    commit(library)
    (app / "requirements.in").write_text(f"library @ {served}@{first}\n")
    assert freeze().text.decode().splitlines()[1:] == [f"library @ {served}@{first}"]


def test_a_hand_written_branch_is_told_as_unpinned(app: Path, freeze: Freeze, served: str) -> None:
    (app / "requirements.txt").write_text(f"library @ {served}@main\n")
    assert "is not pinned" in freeze().notes[0]


def test_digests_and_a_commit_exclude_each_other(app: Path, freeze: Freeze, served: str) -> None:
    (app / "requirements.in").write_text(f"--require-hashes\nlibrary @ {served}@main\ncore\n")
    with pytest.raises(RequirementRefused, match="library has no digest"):
        freeze()
