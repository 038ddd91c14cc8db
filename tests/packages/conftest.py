"""An index of our own, an app in a directory, and `freeze` on it as the pipeline calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from connect_tasks.packages import environment
from connect_tasks.packages.dependencies import DependencySource, find_dependencies
from connect_tasks.packages.environment import Frozen, Upgrade
from connect_tasks.packages.interpreters import Interpreter, find_interpreter
from connect_tasks.packages.python_version import PythonRequirement

from .index import Index, serve


@pytest.fixture
def index() -> Iterator[Index]:
    """web 1.0 needs core; core 1.0 and 1.1 are there."""
    with serve(Index()) as server:
        server.publish("web", "1.0", "core")
        server.publish("core", "1.0")
        server.publish("core", "1.1")
        yield server


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    """The Python that runs the tests: it is here for sure."""
    import sys

    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    requirement = PythonRequirement(requires=f"~={minor}.0", minor=sys.version_info[:2], source="the tests")
    return find_interpreter(requirement, os.environ)


@pytest.fixture
def environ(index: Index, tmp_path: Path) -> dict[str, str]:
    """What a person has: PATH, HOME, and pip's setting for the company's index. The cache is the test's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "PIP_INDEX_URL": index.url,
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "UV_HTTP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }


@pytest.fixture
def app(tmp_path: Path) -> Path:
    directory = tmp_path / "app"
    directory.mkdir()
    return directory


def source_of(app: Path, configured: str | None = None) -> DependencySource:
    files = [path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_file()]
    return find_dependencies(files, lambda name: (app / name).read_text(encoding="utf-8"), configured)


Freeze = Callable[..., Frozen]


@pytest.fixture
def freeze(app: Path, environ: Mapping[str, str], interpreter: Interpreter, tmp_path: Path) -> Freeze:
    """Freeze the app with the requirements.txt that it has, and write the new one, as a release does."""
    count = iter(range(100))

    def run(
        *, upgrade: Upgrade | None = None, configured: str | None = None, platform: str = "linux", **more: object
    ) -> Frozen:
        target = app / "requirements.txt"
        pins = more.pop("pins", target.read_text(encoding="utf-8") if target.exists() else None)
        env = {**environ, **more.pop("environ", {})}  # type: ignore[dict-item]  # what a test passes on as it is
        frozen = environment.freeze(
            source_of(app, configured),
            pins=pins,  # type: ignore[arg-type]  # same
            interpreter=interpreter,
            platform=platform,
            upgrade=upgrade or Upgrade(),
            directory=app,
            place=tmp_path / f"environment-{(number := next(count))}",
            scratch=tmp_path / f"scratch-{number}",
            environ=env,
            **more,  # type: ignore[arg-type]  # same
        )
        frozen.prove()
        target.write_bytes(frozen.text)
        return frozen

    return run
