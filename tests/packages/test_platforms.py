"""Pins are the server's, whatever this computer is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from connect_tasks.packages import environment, virtualenvs
from connect_tasks.packages.environment import Upgrade, is_native, local_requirements
from connect_tasks.packages.interpreters import Interpreter
from connect_tasks.packages.uv_door import uv_binary

from .conftest import Freeze, source_of
from .index import Index

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def shell(app: Path, index: Index) -> Path:
    """As ipython does: another helper on each system; and one, as redis does, for the first patch level only."""
    for name in ("wincolor", "appnap", "pty", "backport"):
        index.publish(name, "1.0")
    index.publish(
        "shell",
        "1.0",
        'wincolor ; sys_platform == "win32"',
        'appnap ; platform_system == "Darwin"',
        'pty ; os_name == "posix"',
        f'backport ; python_full_version < "{MINOR}.1"',
    )
    (app / "requirements.in").write_text("shell\n")
    return app


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ["backport==1.0", "pty==1.0", "shell==1.0"]),
        ("macos", ["appnap==1.0", "backport==1.0", "pty==1.0", "shell==1.0"]),
        ("windows", ["backport==1.0", "shell==1.0", "wincolor==1.0"]),
        ("x86_64-manylinux_2_28", ["backport==1.0", "pty==1.0", "shell==1.0"]),
    ],
)
def test_pins_are_of_the_platform_that_is_asked_for(
    shell: Path, freeze: Freeze, platform: str, expected: list[str]
) -> None:
    assert freeze(platform=platform).text.decode().splitlines()[1:] == expected


def test_a_wheel_for_linux_only_is_pinned_for_linux_only(app: Path, freeze: Freeze, index: Index) -> None:
    index.publish("fast", "1.0")
    index.publish("fast", "2.0", tag="py3-none-manylinux_2_17_x86_64")
    (app / "requirements.in").write_text("fast\n")
    assert freeze(platform="linux").text.endswith(b"fast==2.0\n")
    (app / "requirements.txt").unlink()
    assert freeze(platform="windows").text.endswith(b"fast==1.0\n")


def test_a_foreign_platform_is_tested_with_this_computers_own(shell: Path, freeze: Freeze) -> None:
    frozen = freeze(platform="windows")
    assert "wincolor==1.0" in frozen.text.decode()
    local = frozen.local.decode().splitlines()
    assert "pty==1.0" in local
    assert "wincolor==1.0" not in local
    assert "the pins are for windows" in frozen.notes[-1]


def test_a_pin_that_has_no_wheel_for_this_computer_is_replaced_here_only(
    app: Path, freeze: Freeze, index: Index
) -> None:
    index.publish("fast", "1.0")
    index.publish("fast", "2.0", tag="py3-none-win_amd64")
    index.publish("winreg-only", "1.0", tag="py3-none-win_amd64")
    (app / "requirements.in").write_text('fast\nwinreg-only ; sys_platform == "win32"\n')
    frozen = freeze(platform="windows")
    assert frozen.text.decode().splitlines()[1:] == ["fast==2.0", "winreg-only==1.0"]
    assert frozen.local == b"fast==1.0\n"


def test_the_test_stage_alone_finds_the_same_local_pins(
    shell: Path, freeze: Freeze, interpreter: Interpreter, environ: Mapping[str, str], tmp_path: Path
) -> None:
    frozen = freeze(platform="windows")
    local = local_requirements(
        source_of(shell),
        frozen.text,
        interpreter=interpreter,
        platform="windows",
        directory=shell,
        scratch=tmp_path / "s",
        environ=environ,
    )
    assert local == frozen.local


def test_native_pins_are_installed_as_they_are(
    shell: Path, freeze: Freeze, interpreter: Interpreter, environ: Mapping[str, str], tmp_path: Path
) -> None:
    text = freeze().text
    local = local_requirements(
        source_of(shell),
        text,
        interpreter=interpreter,
        platform="linux",
        directory=shell,
        scratch=tmp_path / "s",
        environ=environ,
    )
    assert local is text


def as_from(system: str, interpreter: Interpreter, directory: Path) -> Interpreter:
    """An interpreter that calls itself one of another system.

    What uv knows of the system that it resolves for, it learns by asking the interpreter.
    """
    pretended = {
        "macos": {"sys_platform": "darwin", "platform_system": "Darwin"},
        "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
    }[system]
    directory.mkdir()
    python = directory / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, subprocess, sys\n"
        f"done = subprocess.run([{str(interpreter.path)!r}, *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "try:\n"
        "    answer = json.loads(done.stdout)\n"
        f"    answer['markers'].update({pretended!r})\n"
        "    sys.stdout.write(json.dumps(answer))\n"
        "except (ValueError, TypeError, KeyError):\n"
        "    sys.stdout.buffer.write(done.stdout)\n"
        "sys.exit(done.returncode)\n"
    )
    python.chmod(0o755)
    return Interpreter(interpreter.version, python)


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_the_same_bytes_as_if_resolved_from_another_system(
    shell: Path,
    freeze: Freeze,
    interpreter: Interpreter,
    environ: Mapping[str, str],
    system: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The recipe's `uv pip freeze` falls in: there the pins are this system's. Ours are the server's."""
    there = as_from(system, interpreter, tmp_path / system)
    by_hand = subprocess.run(
        [
            uv_binary(),
            "pip",
            "compile",
            "-q",
            "--no-header",
            "--no-annotate",
            "--python",
            there.path,
            "--default-index",
            environ["PIP_INDEX_URL"],
            "requirements.in",
        ],
        cwd=shell,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"macos": "appnap", "windows": "wincolor"}[system] in by_hand.stdout
    here = freeze().text
    (shell / "requirements.txt").unlink()
    # What a Mac installs, only a Mac can show.
    monkeypatch.setattr(virtualenvs, "make", lambda *_arguments: None)
    monkeypatch.setattr(environment, "_install_exactly", lambda *_arguments: None)
    from_there = environment.freeze(
        source_of(shell),
        pins=None,
        interpreter=there,
        platform="linux",
        upgrade=Upgrade(),
        directory=shell,
        place=tmp_path / "environment",
        scratch=tmp_path / "there",
        environ=environ,
    )
    assert from_there.text == here


def test_what_native_means(monkeypatch: pytest.MonkeyPatch) -> None:
    for system, machine, native, foreign in (
        (
            "linux",
            "x86_64",
            ["linux", "x86_64-unknown-linux-gnu", "x86_64-manylinux_2_28"],
            ["macos", "windows", "aarch64-unknown-linux-gnu"],
        ),
        ("linux", "aarch64", ["aarch64-manylinux_2_28"], ["linux", "x86_64-unknown-linux-gnu"]),
        ("darwin", "arm64", ["macos", "aarch64-apple-darwin"], ["linux", "x86_64-apple-darwin"]),
        ("win32", "AMD64", ["windows", "x86_64-pc-windows-msvc"], ["linux", "macos"]),
    ):
        monkeypatch.setattr(environment.sys, "platform", system)
        monkeypatch.setattr(environment.this_computer, "machine", lambda machine=machine: machine)
        assert [is_native(name) for name in native] == [True] * len(native)
        assert [is_native(name) for name in foreign] == [False] * len(foreign)


def test_this_computers_mood_does_not_reach_the_bytes(shell: Path, freeze: Freeze, private_home: Path) -> None:
    """Locale, a uv.toml that asks for another form, uv's and pip's variables: requirements.txt stays."""
    expected = freeze().text
    (shell / "requirements.txt").unlink()
    (private_home / ".config" / "uv").mkdir(parents=True)
    (private_home / ".config" / "uv" / "uv.toml").write_text(
        '[pip]\nuniversal = true\ngenerate-hashes = true\nannotation-style = "line"\n'
        "emit-index-url = true\nno-header = false\n"
    )
    strange = {
        "LC_ALL": "C",
        "UV_CUSTOM_COMPILE_COMMAND": "make",
        "UV_RESOLUTION": "lowest",
        "UV_CONSTRAINT": "/nonexistent",
        "VIRTUAL_ENV": "/nonexistent",
        "UV_PYTHON": "2.7",
        "PIP_REQUIRE_HASHES": "1",
        "PYTHONPATH": "/nonexistent",
        "UV_SYSTEM_PYTHON": "1",
        "PIP_USER": "1",
    }
    assert freeze(environ=strange).text == expected
    assert json.dumps(os.fspath(shell)) not in expected.decode()
