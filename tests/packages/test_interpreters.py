"""Finding an interpreter where the usual tools say that there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connect_tasks.errors import PythonMissing
from connect_tasks.packages import interpreters
from connect_tasks.packages.interpreters import Interpreter, find_interpreter
from connect_tasks.packages.python_version import PythonRequirement, declared_python

HERE = ".".join(map(str, sys.version_info[:3]))


def wanted(text: str) -> PythonRequirement:
    return declared_python({".python-version": text}, [], None)


def stand_in(path: Path, version: str, *, answers: bool = True) -> Path:
    """A program that answers as an interpreter of that version does, or dies as a shim that is not activated does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!/bin/sh\necho CPython {version} {path}\n"
        if answers
        else "#!/bin/sh\necho pyenv: command not found >&2; exit 127\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pyenv's root with 3.12.1, 3.12.10 and 3.9.9, none activated; out of sight: our own interpreter, and uv's."""
    root = tmp_path / "pyenv"
    for version in ("3.12.1", "3.12.10", "3.9.9"):
        stand_in(root / "versions" / version / "bin" / "python", version)
        stand_in(root / "shims" / f"python{version[:-2].rstrip('.')}", version, answers=False)
    monkeypatch.setattr(interpreters, "_running", lambda _environ: iter(()))
    monkeypatch.setattr(interpreters, "_known_to_uv", lambda _environ: iter(()))
    return root


def shims(root: Path) -> dict[str, str]:
    return {"PATH": f"{root / 'shims'}{os.pathsep}/usr/bin:/bin"}


def test_a_version_behind_a_dead_shim_is_found_with_an_empty_home(pyenv: Path) -> None:
    assert subprocess.run([pyenv / "shims" / "python3.12"], capture_output=True).returncode == 127
    assert find_interpreter(wanted("3.12"), shims(pyenv)) == Interpreter(
        "3.12.10", pyenv / "versions" / "3.12.10" / "bin" / "python"
    )


@pytest.mark.parametrize("variable", ["PYENV_ROOT", "HOME"])
def test_pyenv_by_variable(pyenv: Path, tmp_path: Path, variable: str) -> None:
    pyenv.rename(tmp_path / ".pyenv")
    value = tmp_path / ".pyenv" if variable == "PYENV_ROOT" else tmp_path
    assert find_interpreter(wanted("3.9"), {variable: str(value), "PATH": ""}).version == "3.9.9"


def test_a_directory_that_lies_about_its_version_is_passed_over(pyenv: Path) -> None:
    stand_in(pyenv / "versions" / "3.12.10" / "bin" / "python", "3.11.0")
    assert find_interpreter(wanted("3.12"), shims(pyenv)).version == "3.12.1"


def test_a_broken_interpreter_is_passed_over(pyenv: Path) -> None:
    stand_in(pyenv / "versions" / "3.12.10" / "bin" / "python", "", answers=False)
    assert find_interpreter(wanted("3.12"), shims(pyenv)).version == "3.12.1"


def test_a_range_takes_the_highest_or_the_preferred_minor(pyenv: Path) -> None:
    requirement = wanted(">=3.9,<3.13")
    env = {"PATH": str(pyenv / "shims")}
    assert find_interpreter(requirement, env).version == "3.12.10"
    assert find_interpreter(requirement, env, prefer=(3, 9)).version == "3.9.9"
    assert find_interpreter(requirement, env, prefer=(3, 10)).version == "3.12.10"
    assert find_interpreter(wanted("3.12"), env, prefer=(3, 9)).version == "3.12.10"


def test_uv_managed_and_path(pyenv: Path, tmp_path: Path) -> None:
    managed = stand_in(
        tmp_path / "data" / "uv" / "python" / "cpython-3.10.4-linux-x86_64-gnu" / "bin" / "python", "3.10.4"
    )
    on_path = stand_in(tmp_path / "tools" / "python3.8", "3.8.19")
    env = {"PATH": str(on_path.parent), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert find_interpreter(wanted("3.10"), env) == Interpreter("3.10.4", managed)
    assert find_interpreter(wanted("3.8"), env) == Interpreter("3.8.19", on_path)


def test_somebodys_virtualenv_on_path_is_not_taken(pyenv: Path, tmp_path: Path) -> None:
    python = stand_in(tmp_path / "venv" / "bin" / "python3.8", "3.8.19")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    with pytest.raises(PythonMissing):
        find_interpreter(wanted("3.8"), {"PATH": str(python.parent)})


def test_none_is_an_error_that_lists_what_was_found(pyenv: Path) -> None:
    with pytest.raises(PythonMissing) as caught:
        find_interpreter(wanted("3.99"), {"PATH": str(pyenv / "shims")})
    assert caught.value.message == "Python 3.99 is not installed; found here: 3.9.9, 3.12.1, 3.12.10"
    assert caught.value.where == ".python-version"
    assert caught.value.hint == 'echo "3.12" > .python-version, then commit that file'
    with pytest.raises(PythonMissing) as caught:
        find_interpreter(wanted("3.13"), {"PATH": str(pyenv / "shims")})
    assert caught.value.hint == "uv python install 3.13, or pyenv install 3.13"


def test_the_running_interpreter_is_found_by_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_interpreter(wanted(HERE), {"PATH": ""})
    assert found.version == HERE
    assert not (found.path.parent.parent / "pyvenv.cfg").exists()


def test_for_real_with_uv_too() -> None:
    """uv's own list, on this computer: every row that we would offer can be asked."""
    rows = list(interpreters._known_to_uv(os.environ))
    assert all(row.path.is_absolute() for row in rows)
    assert {interpreters._ask(row.path, os.environ) for row in rows} <= {*(row.version for row in rows), None}
