"""The place for a run's environments: one for each run, the same again for the next, and nothing left in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from connect_tasks.runner import cache_directory
from connect_tasks.slot import slot


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def directories(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "runs").iterdir() if path.is_dir())


def test_it_is_the_same_for_the_next_run_and_empty(cache: Path, scratch: Path) -> None:
    with slot(cache, scratch) as first:
        (first / "environment").mkdir()
    assert not first.exists()
    with slot(cache, scratch) as second:
        assert second == first
        assert list(second.iterdir()) == []
    assert directories(cache) == []


def test_two_at_once_have_two(cache: Path, scratch: Path) -> None:
    with slot(cache, scratch) as first, slot(cache, scratch) as second:
        assert first != second
    with slot(cache, scratch) as third:
        assert third == first


HOLDER = """
    import sys, time
    from pathlib import Path
    from connect_tasks.slot import slot
    with slot(Path(sys.argv[1]), Path(sys.argv[2])) as place:
        (place / "environment").mkdir()
        print(place, flush=True)
        time.sleep(600)
"""


def test_what_killed_runs_have_left_goes_with_the_next(cache: Path, scratch: Path) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(HOLDER), str(cache), str(scratch)]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({run.stdout.readline() for run in runs if run.stdout}) == 3
    with slot(cache, scratch) as alive:
        assert alive.name == "4"
        assert directories(cache) == ["1", "2", "3", "4"]
    for run in runs:
        run.kill()
        run.communicate()
    with slot(cache, scratch) as first:
        assert first.name == "1"
        assert list(first.iterdir()) == []
        assert directories(cache) == ["1"]


INSTALLER = """
    import sys
    from pathlib import Path
    from connect_tasks.process import run
    from connect_tasks.slot import slot
    with slot(Path(sys.argv[1]), Path(sys.argv[2])) as place:
        run(["sh", "-c", "echo $$ > pid; mv pid installing; exec sleep 600"], cwd=place, env={}, timeout=600)
"""


def test_a_program_that_goes_on_when_its_run_is_killed_keeps_the_place(cache: Path, scratch: Path) -> None:
    """An installer, say: what it goes on writing must not be among what the next run makes."""
    run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(INSTALLER), str(cache), str(scratch)])
    installing = cache / "runs" / "1" / "installing"
    while not installing.exists():
        assert run.poll() is None
        time.sleep(0.02)
    installer = int(installing.read_text())
    run.kill()
    run.wait()
    try:
        with slot(cache, scratch) as other:
            assert other.name == "2"
            assert installing.exists()
    finally:
        os.kill(installer, signal.SIGKILL)
    while not free(cache, scratch):
        time.sleep(0.02)
    assert directories(cache) == []


def free(cache: Path, scratch: Path) -> bool:
    with slot(cache, scratch) as found:
        return found.name == "1"


def test_told_to_end_it_leaves_nothing(cache: Path, scratch: Path) -> None:
    program = "from connect_tasks.interrupts import terminated_as_interrupt as told\nwith told():\n" + textwrap.indent(
        textwrap.dedent(HOLDER), "    "
    )
    run = subprocess.Popen([sys.executable, "-c", program, str(cache), str(scratch)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    run.communicate()
    assert directories(cache) == []


def test_where_the_cache_can_not_be_written_to_the_scratch_does(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with slot(tmp_path / "file", scratch) as found:
        assert found == scratch
    assert scratch.exists()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="this system has no symbolic links")
def test_a_link_that_somebody_put_there_is_not_followed(cache: Path, scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (cache / "runs").mkdir(parents=True)
    (cache / "runs" / "1").symlink_to(tmp_path / "precious")
    with slot(cache, scratch) as found:
        assert found == scratch, "the name is taken"
    assert (tmp_path / "precious" / "file").exists()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CONNECT_TASKS_CACHE": "/kept", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/ada"}, "/kept"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/ada"}, "/xdg/connect-tasks"),
        ({"HOME": "/home/ada"}, "/home/ada/.cache/connect-tasks"),
        ({"LOCALAPPDATA": "/users/ada/local"}, "/users/ada/local/connect-tasks"),
        ({}, "/scratch/cache"),
        ({"HOME": "", "XDG_CACHE_HOME": ""}, "/scratch/cache"),
    ],
)
def test_the_cache_is_the_users_own_or_vanishes(environ: dict[str, str], expected: str) -> None:
    assert cache_directory(environ, Path("/scratch")) == Path(expected)
