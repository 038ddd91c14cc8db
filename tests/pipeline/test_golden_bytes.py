"""The same commit gives the same requirements.txt and the same manifest.json, whoever packs it where."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from connect_tasks.errors import PythonMissing
from connect_tasks.packages import environment, virtualenvs
from connect_tasks.packages.interpreters import Interpreter, find_interpreter
from connect_tasks.packages.python_version import declared_python
from connect_tasks.pipeline import preparation

from ..packages.test_platforms import as_from
from .conftest import Workshop

PROJECT = Path(__file__).parents[2]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
#: The oldest and the newest always; those between them, for which all our dependencies are compiled too, with the slow.
MINORS = [
    pytest.param(minor, marks=() if minor in {"3.10", "3.13"} else pytest.mark.slow)
    for minor in ("3.10", "3.11", "3.12", "3.13")
    if minor != MINOR
]
APP = "import os\n\nfrom flask import Flask\n\napp = Flask(__name__)\n"
#: What a dependency brings on another system, as colorama comes with much on Windows.
ELSEWHERE = (("appnope", "darwin"), ("colorama", "win32"))
Files = Mapping[str, bytes]


@pytest.fixture
def origin(workshop: Workshop) -> Workshop:
    """An app with what goes wrong elsewhere: names beyond ASCII, line ends, a link, a mode, other dependencies."""
    workshop.git("rm", "--quiet", "test_app.py")
    files = {
        "requirements.in": "flask\n" + "".join(f"{name} ; sys_platform == '{system}'\n" for name, system in ELSEWHERE),
        ".gitattributes": "*.bat eol=crlf\n",
        "go.bat": "dir\n",
        "static/größe 1.txt": "x\n",
        "static/Zeta.txt": "y\n",
        "static/alpha.txt": "z\n",
        "run.sh": "#!/bin/sh\n",
    }
    for path, content in files.items():
        workshop.write(path, content)
    (workshop.root / "run.sh").chmod(0o755)
    (workshop.root / "link.py").symlink_to("app.py")
    workshop.commit(app_py=APP)
    return workshop


def clone(origin: Workshop, place: Path, *options: str) -> Workshop:
    place.parent.mkdir(parents=True, exist_ok=True)
    origin.git("clone", "--quiet", *options, str(origin.root), str(place))
    return Workshop(root=place, server=origin.server, name=origin.name, environ=dict(origin.environ))


def packed(shop: Workshop) -> Files:
    return {name: (shop.root / name).read_bytes() for name in ("requirements.txt", "manifest.json")}


def packed_by_process(
    shop: Workshop, *, python: Path | str = sys.executable, umask: str = "022", **environ: str
) -> Files:
    """What the verbs write, each run as a user runs it."""
    for verb in ("freeze", "manifest"):
        command = f"umask {umask} && exec {shlex.quote(str(python))} -m connect_tasks {verb}"
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=shop.root, env={**shop.environ, **environ}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return packed(shop)


def test_locale_umask_place_and_line_ends_make_no_difference(origin: Workshop, tmp_path: Path) -> None:
    crlf = clone(origin, tmp_path / "windows", "-c", "core.autocrlf=true")
    assert b"\r\n" in (crlf.root / "app.py").read_bytes(), "the premise of the test"
    answers = {
        "plain": packed_by_process(clone(origin, tmp_path / "plain")),
        "C": packed_by_process(clone(origin, tmp_path / "c"), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        "umask": packed_by_process(clone(origin, tmp_path / "umask"), umask="077"),
        "place": packed_by_process(
            clone(origin, tmp_path / "another place" / "größer"), LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo"
        ),
        "crlf": packed_by_process(crlf),
    }

    assert answers == dict.fromkeys(answers, answers["plain"])
    for content in answers["plain"].values():
        assert content.endswith(b"\n")
        assert b"\r" not in content
        assert str(tmp_path).encode() not in content
    assert "static/größe 1.txt" in json.loads(answers["plain"]["manifest.json"])["files"]


@pytest.mark.parametrize("minor", MINORS)
def test_the_python_that_runs_us_makes_no_difference(origin: Workshop, tmp_path: Path, minor: str) -> None:
    tool, quiet = uv.find_uv_bin(), {"check": True, "capture_output": True}
    try:
        other = find_interpreter(declared_python({".python-version": minor}, (), None), origin.environ).path
    except PythonMissing:
        pytest.skip(f"there is no Python {minor} here")
    venv = tmp_path / "venv"
    subprocess.run([tool, "venv", "-q", "--python", other, venv], **quiet)  # type: ignore[call-overload]
    python = venv / "bin" / "python"
    command = [tool, "pip", "install", "-q", "--python", python, "-r", PROJECT / "pyproject.toml"]
    subprocess.run(command, **quiet)  # type: ignore[call-overload]

    there = packed_by_process(clone(origin, tmp_path / "there"), python=python)
    assert there == packed_by_process(clone(origin, tmp_path / "here"))
    assert json.loads(there["manifest.json"])["python"]["version"] == f"{MINOR}.0"


@pytest.mark.parametrize(("system", "brought"), [("macos", "appnope"), ("windows", "colorama")])
def test_the_system_that_packs_makes_no_difference(
    origin: Workshop, tmp_path: Path, system: str, brought: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = packed_by_process(clone(origin, tmp_path / "here"))
    pretended: list[Interpreter] = []

    def elsewhere(*arguments: object, **named: object) -> Interpreter:
        if not pretended:
            pretended.append(as_from(system, find_interpreter(*arguments, **named), tmp_path / system))  # type: ignore[arg-type]
        return pretended[0]

    monkeypatch.setattr(preparation, "find_interpreter", elsewhere)
    # What a Mac installs, only a Mac can show.
    monkeypatch.setattr(virtualenvs, "make", lambda *_: None)
    monkeypatch.setattr(environment, "_install_exactly", lambda *_: None)
    there = clone(origin, tmp_path / "there")
    python = elsewhere(declared_python({".python-version": MINOR}, (), None), origin.environ).path
    by_hand = subprocess.run(
        [uv.find_uv_bin(), "pip", "compile", "-q", "--python", python, "requirements.in"],
        cwd=there.root, env=origin.environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [name for name, _ in ELSEWHERE if f"{name}==" in by_hand] == [brought], "the trap"
    for verb in ("freeze", "manifest"):
        ran = there.run(verb)
        assert ran.status == 0, ran.said

    assert packed(there) == here
    assert not any(name.encode() in here["requirements.txt"] for name, _ in ELSEWHERE)
