"""Which Pythons are found, and which of them an app gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from connect_tasks.emulator.interpreters import Interpreter, choose_interpreter, find_interpreters

FOUND = tuple(Interpreter(version, Path("python")) for version in ("3.13.0", "3.12.4", "3.11.9", "3.11.2", "3.8.18"))


@pytest.mark.parametrize(
    ("requires", "version", "chosen"),
    [
        (None, None, "3.13.0"),
        (None, "3.11.0", "3.11.2"),
        (None, "3.11.8", "3.11.9"),
        (None, "3.11.9", "3.11.9"),
        (None, "3.12", "3.12.4"),
        (None, "3.10.4", None),  # another minor is another Python
        (None, "not a version", None),
        ("~=3.11.0", "3.11.2", "3.11.9"),  # a constraint takes the newest that satisfies it
        (">=3.9,<3.13", "3.11.0", "3.12.4"),
        ("==3.8.*", None, "3.8.18"),
        (">=3.14", "3.11.0", None),  # the version does not save a constraint that nothing satisfies
        ("three", "3.11.0", None),
        ("", "3.8.1", "3.8.18"),
    ],
)
def test_choice(requires, version, chosen):
    choice = choose_interpreter(FOUND, requires=requires, version=version)
    assert (choice and choice.version) == chosen


def test_nothing_found_nothing_chosen():
    assert choose_interpreter((), requires=None, version=None) is None


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No interpreter but the one that runs us."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def running() -> Interpreter:
    version = ".".join(map(str, sys.version_info[:3]))
    return Interpreter(version, Path(sys._base_executable).resolve())


def test_the_one_that_runs_us_is_found_outside_its_virtual_environment(nowhere):
    assert find_interpreters() == (running(),)


def pretend(path: Path, version: str, *, implementation: str = "CPython", code: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {implementation} {version}\nexit {code}\n")
    path.chmod(0o755)


def test_every_place_is_searched_and_every_version_told_once_newest_first(nowhere):
    pretend(nowhere / "pyenv/versions/3.8.18/bin/python", "3.8.18")
    pretend(nowhere / "pyenv/versions/3.98.0/bin/python", "3.98.0")
    pretend(nowhere / "uv/cpython-3.97.1-linux/bin/python3", "3.97.1")
    pretend(nowhere / "bin/python3.96", "3.96.10")
    pretend(nowhere / "bin/python3", "3.98.0")
    found = find_interpreters()
    assert [each.version for each in found] == ["3.98.0", "3.97.1", "3.96.10", running().version, "3.8.18"]
    assert found[0].path == nowhere / "pyenv/versions/3.98.0/bin/python"


def test_what_cannot_serve_is_left_out(nowhere):
    pretend(nowhere / "pyenv/versions/2.7.18/bin/python", "2.7.18")
    pretend(nowhere / "pyenv/versions/3.7.16/bin/python", "3.7.16")
    pretend(nowhere / "pyenv/versions/pypy3.98/bin/python", "3.98.0", implementation="PyPy")
    pretend(nowhere / "pyenv/shims/python3.95", "3.95.0")  # answers for whatever is active
    pretend(nowhere / "bin/python3.94", "3.94.0", code=127)  # as pyenv's shim of an inactive version
    pretend(nowhere / "bin/python3.93", "")
    (nowhere / "bin/python3.92").write_bytes(b"\0")
    pretend(nowhere / "bin/python3-config", "3.91.0")
    os.environ["PATH"] += f"{os.pathsep}{nowhere}/pyenv/shims{os.pathsep}"
    assert find_interpreters() == (running(),)


def test_an_interpreter_that_changed_is_asked_again(nowhere):
    python = nowhere / "bin/python3.98"
    pretend(python, "3.98.0")
    assert find_interpreters()[0].version == "3.98.0"
    pretend(python, "3.98.10")
    assert find_interpreters()[0].version == "3.98.10"
