"""Virtual environments made by uv: making, filling, listing."""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.utils import canonicalize_name

from . import requirements_file
from .interpreters import Interpreter
from .requirements_file import Pin
from .uv_door import Uv


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def site_packages(environment: Path, interpreter: Interpreter) -> Path:
    return environment / (
        "Lib/site-packages" if sys.platform == "win32" else f"lib/python{interpreter.minor}/site-packages"
    )


def make(environment: Path, interpreter: Interpreter, uv: Uv, *, relocatable: bool = False) -> Path:
    """A fresh, empty environment: no pip, no setuptools, nothing of ours. Returns its Python."""
    more = ["--relocatable"] if relocatable else []
    done = uv.run(
        "venv", environment, "--python", interpreter.path, "--no-python-downloads", "--no-project", "--clear", *more
    )
    if not done.ok:
        raise uv.failure(done, f"no environment can be made with Python {interpreter.version}")
    return python_of(environment)


def install(python: Path, uv: Uv, *arguments: str | Path, where: str | None = None, cached: bool = True) -> None:
    """Install into an environment; `cached` False where only the index knows the newest release.

    Raises `ResolutionFailed` with uv's reasons.
    """
    done = uv.fetch("pip", "install", "--python", python, "--no-python-downloads", *arguments, cached=cached)
    if not done.ok:
        raise uv.failure(done, "the dependencies can't be installed", where=where)


def installed(python: Path, uv: Uv) -> dict[str, Pin]:
    """What `uv pip freeze` says. Its streams are never merged: it greets on the second one."""
    done = uv.run("pip", "freeze", "--python", python, "--no-python-downloads", quiet=False)
    if not done.ok:
        raise uv.failure(done, "the environment can't be read")
    found = requirements_file.pins_of(done.text)
    for line in requirements_file.parse(done.text):
        if line.requirement and line.requirement.url:
            name = canonicalize_name(line.requirement.name)
            found.setdefault(name, Pin(name=name, url=line.requirement.url))
    return found
