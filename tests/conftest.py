"""Every test lives in a world of its own: a private HOME, no system git configuration, no key, no server, no
colours; and leaves nothing behind (clean_machine.py)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

from .clean_machine import clean_machine, leaves_nothing, machine

__all__ = ["clean_machine", "leaves_nothing", "machine"]

#: Variables that would let the tester's own machine decide a test.
FOREIGN = (
    "GIT_",
    "CONNECT_",
    "RSCONNECT_",
    "UV_",
    "VIRTUAL_ENV",
    "GITHUB_",
    "GITLAB_",
    "CI",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "XDG_",
)
#: Of those, what says how to reach the package index from this machine.
KEPT = ("CONNECT_TASKS_CACHE", "GIT_SSL_CAINFO", "UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS")
#: An identity, nothing in the background that would outlive a test, and no wait for the disk: no test pulls the plug.
GIT_CONFIG = """\
[user]
name = Ada Tester
email = ada@example.org
[init]
defaultBranch = main
[gc]
auto = 0
[maintenance]
auto = false
[core]
fsync = none
"""

# No test asserts on seconds: by itself hypothesis fails an example that takes 0.2 s, as any does on a busy machine.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def _one_package_cache() -> None:
    """uv's cache stays the tester's own: a private HOME must not mean downloading Flask for each test."""
    if "UV_CACHE_DIR" not in os.environ:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        os.environ["UV_CACHE_DIR"] = str(Path(cache) / "uv")


@pytest.fixture(scope="session", autouse=True)
def _one_environment_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The product's cache is one for all tests and workers: an environment with pytest, compiled, costs a second, and
    nearly every release wants the same. What a test finds there is what users find in theirs; a test of the cache
    itself takes another directory."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["CONNECT_TASKS_CACHE"] = str(base / "environments")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts what it puts in the background with SIGINT ignored, and every child of a child inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME with a git identity in the environment of nobody else."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(FOREIGN) and name not in KEPT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    (home / ".gitconfig").write_text(GIT_CONFIG)
    return home
