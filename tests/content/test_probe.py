"""The probe itself: on old Pythons, and as a pytest plugin inside the app's own test run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connect_tasks.content.entrypoint import (
    INSIDE,
    PROBE,
    verify_entrypoint,
)
from connect_tasks.errors import EntrypointWrong, PythonMissing
from connect_tasks.packages.interpreters import find_interpreter
from connect_tasks.packages.python_version import declared_python

from .repository import write_files

WSGI = "def app(environ, start_response):\n    return []\n"
SOURCE = INSIDE / f"{PROBE}.py"


def test_it_is_alone_in_its_directory_and_needs_the_standard_library_only() -> None:
    assert [path.name for path in INSIDE.iterdir() if path.name != "__pycache__"] == [f"{PROBE}.py"]
    module = ast.parse(SOURCE.read_text(), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names}

    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("minor", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_it_runs_on_every_python_that_connect_may_have(minor: str, tmp_path: Path, app_env: dict[str, str]) -> None:
    try:
        interpreter = find_interpreter(declared_python({}, (), minor), os.environ)
    except PythonMissing:
        pytest.skip(f"no Python {minor} on this machine")
    app = tmp_path / "app"
    write_files(
        app, {"app.py": WSGI, "bad.py": "import random\n1/0\n", "random.py": "", "slow.py": "while True: pass\n"}
    )

    assert verify_entrypoint(interpreter.path, app, "flask", "app:app", app_env).entrypoint == "app:app"
    with pytest.raises(EntrypointWrong, match="ZeroDivisionError: division by zero at `1/0`"):
        verify_entrypoint(interpreter.path, app, "flask", "bad", app_env)
    with pytest.raises(EntrypointWrong, match=r"did not end within 0\.5 s"):
        verify_entrypoint(interpreter.path, app, "flask", "slow", app_env, 0.5)


def test_a_flood_of_output_does_not_fill_the_disk(tmp_path: Path, app_env: dict[str, str]) -> None:
    flood = "import time\nfor _ in range(200):\n    print('x' * 1_000_000, flush=True)\n    time.sleep(0.01)\n"
    write_files(tmp_path / "app", {"app.py": flood + WSGI})
    request = {"directory": str(tmp_path / "app"), "module": "app", "name": "app", "mode": "python-api", "timeout": 60}
    argument = json.dumps({**request, "result": str(tmp_path / "result.json")})
    with (tmp_path / "output").open("wb") as output:
        subprocess.run([sys.executable, "-I", SOURCE, argument], env=app_env, stdout=output, start_new_session=True)

    assert json.loads((tmp_path / "result.json").read_text())["outcome"] == "found"
    assert (tmp_path / "output").stat().st_size < 100_000_000, "half of what was printed"
