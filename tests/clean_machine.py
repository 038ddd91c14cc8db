"""What a test may leave on the machine: nothing. No process, no open port, no temporary file, no changed settings."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Seconds within which what was told to end ends.
PATIENCE = 10.0
#: Files of a lock that is held by nobody: an empty one stays, so that the next holder takes the same.
LOCKS = ("*.lock", "*.holder")


@pytest.fixture
def clean_machine(tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR of the test's own; afterwards it is empty, and so is everything else that we can look at."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    settings = (private_home / ".gitconfig").read_bytes()
    before = children()
    yield place
    tempfile.tempdir = None
    wait_until_gone(before)
    assert not [str(path) for path in place.rglob("*")], "temporary files are left"
    assert (private_home / ".gitconfig").read_bytes() == settings, "git's global settings are changed"
    assert not foreign(private_home), "something is left in HOME"
    assert not (left := held_locks(tmp_path)), f"locks are left: {left}"


def wait_until_gone(before: frozenset[int]) -> None:
    """Processes that the test has started, and with them the ports that they listened at."""
    deadline = time.monotonic() + PATIENCE
    while left := children(before):
        assert time.monotonic() < deadline, f"processes are left: {[command_of(pid) for pid in left]}"
        time.sleep(0.02)


def children(but: frozenset[int] = frozenset()) -> frozenset[int]:
    """The processes below this one; not those of `but`, nor what they start (a server of many tests starts apps)."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(entry.name)] = int(parent)
    found: set[int] = set()
    new = {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - but - found
        found |= new
    return frozenset(found)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"


def foreign(home: Path) -> list[str]:
    """What stands in HOME besides git's settings and what uv and pip keep there."""
    return sorted(
        path.name for path in home.iterdir() if path.name not in {".gitconfig", ".cache", ".local", ".config"}
    )


def held_locks(place: Path) -> list[str]:
    """git's own locks and the names of holders; our lock files stay, and nobody holds them (their process is gone)."""
    git = [path for path in place.rglob(".git/**/*.lock") if "connect-tasks" not in path.parts]
    return [str(path) for path in (*git, *place.rglob("connect-tasks/locks/*.holder"))]
