from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

Verify = Callable[..., object]


def make_environment(place: Path, *packages: str, python: str = "3.11") -> Path:
    """A virtual environment with these packages; the path of its Python."""
    tool = uv.find_uv_bin()
    subprocess.run([tool, "venv", "-q", "--python", python, place], check=True, capture_output=True)
    interpreter = place / "bin" / "python"
    if packages:
        install = [tool, "pip", "install", "-q", "--python", interpreter, *packages]
        subprocess.run(install, check=True, capture_output=True)
    return interpreter


@pytest.fixture(scope="session")
def frozen_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment as freeze makes it: Flask, FastAPI and what they need."""
    import sys

    place = tmp_path_factory.mktemp("environment") / "venv"
    return make_environment(place, "flask", "fastapi", python=sys.executable)


@pytest.fixture
def app_env(tmp_path: Path) -> dict[str, str]:
    """What the app sees: no more than the product gives it."""
    home = tmp_path / "app-home"
    home.mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}
