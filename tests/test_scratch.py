"""What a run leaves in the place for temporary files: nothing, and what was left by one that was killed goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connect_tasks import scratch as module
from connect_tasks.errors import NoScratch
from connect_tasks.interrupts import terminated_as_interrupt
from connect_tasks.scratch import ABANDONED, PREFIX, lasting_directory, remove_abandoned, scratch

HOLDER = """
import subprocess, sys, time
from connect_tasks.scratch import scratch
with scratch() as path:
    (path / "file").write_text("x")
    (path / "home").mkdir()
    if sys.argv[1:]:
        subprocess.Popen(["sleep", "600"], env={"HOME": f"{path}/home"}, start_new_session=True,
            stdout=subprocess.DEVNULL)
    print(path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place for temporary files, of this test alone."""
    own = tmp_path / "tmp"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield own
    tempfile.tempdir = None


def holder(*arguments: str) -> tuple[subprocess.Popen[str], Path]:
    """Another run, in the middle of its work."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, Path(child.stdout.readline().strip())


def ended(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


def test_everything_temporary_goes_there_and_vanishes(place: Path) -> None:
    with scratch() as path:
        assert path.parent == place
        assert path.stat().st_mode & 0o777 == 0o700
        assert Path(tempfile.mkdtemp()).parent == path
        kept = lasting_directory("kept-")
    assert list(place.iterdir()) == [kept]
    assert tempfile.gettempdir() == str(place)


def test_of_a_killed_run_everything_goes_and_of_a_living_one_nothing(place: Path) -> None:
    (dead, left), (alive, used) = holder(), holder()
    ended(dead)
    assert (left / "file").exists()
    with scratch():
        assert not left.exists()
        assert (used / "file").exists()
    assert {path.name for path in place.iterdir()} == {used.name, f"{used.name}.lock"}
    ended(alive)
    remove_abandoned(place)
    assert not list(place.iterdir())


def test_what_cannot_be_removed_at_once_goes_by_the_next_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that nobody could end makes a file while its directory goes."""
    removed = shutil.rmtree

    def meanwhile(path: Path, ignore_errors: bool) -> None:
        removed(path, ignore_errors=ignore_errors)
        (path / "late").mkdir(parents=True)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", meanwhile)
        with scratch():
            pass
    assert {path.suffix for path in place.iterdir()} == {"", ".lock"}
    remove_abandoned(place)
    assert not list(place.iterdir())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system tells of no other process")
def test_what_a_killed_run_had_started_in_a_home_of_its_own_ends(place: Path) -> None:
    """An app's test that hangs would live forever: nobody is left who knows its limit."""
    dead, left = holder("with a child")
    running = [pid for pid in children_in(left) if pid != dead.pid]
    assert len(running) == 1
    ended(dead)
    assert children_in(left) == running
    remove_abandoned(place)
    deadline = time.monotonic() + 20
    while children_in(left):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children_in(path: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={path}/home".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_what_is_not_surely_ours_stays(place: Path, tmp_path: Path) -> None:
    """Neither what another tool or user made, nor what a link leads to; what has no lock only when it is old."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (place / f"{PREFIX}link").symlink_to(precious)
    (place / f"{PREFIX}link.lock").touch()
    for name in (f"{PREFIX}young", f"{PREFIX}old", "connect-other"):
        (place / name).mkdir()
    before = time.time() - ABANDONED - 60
    os.utime(place / f"{PREFIX}old", (before, before))
    if os.getuid() == 0:
        (place / f"{PREFIX}theirs").mkdir()
        (place / f"{PREFIX}theirs.lock").touch()
        os.chown(place / f"{PREFIX}theirs", 65534, 65534)
    remove_abandoned(place)
    names = {path.name for path in place.iterdir()}
    assert {f"{PREFIX}link", f"{PREFIX}young", "connect-other"} <= names
    assert f"{PREFIX}old" not in names
    assert (f"{PREFIX}theirs" in names) == (os.getuid() == 0)
    assert (precious / "file").exists()


def test_without_any_place_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in [...]")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setenv("TMPDIR", "/gone")
    with pytest.raises(NoScratch) as caught, scratch():
        pass
    assert (caught.value.where, "export TMPDIR=" in (caught.value.hint or "")) == ("/gone", True)


@pytest.mark.parametrize("step", ["_unlock", "hold"])
def test_told_to_end_while_it_comes_or_goes_nothing_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between two lines of it, where half of it is done."""
    deed = getattr(module, step)

    def told(*arguments: object) -> object:
        monkeypatch.setattr(module, step, deed)
        os.kill(os.getpid(), signal.SIGTERM)
        return deed(*arguments)

    monkeypatch.setattr(module, step, told)
    with pytest.raises(KeyboardInterrupt), terminated_as_interrupt(), scratch():
        pass
    assert list(place.iterdir()) == []
