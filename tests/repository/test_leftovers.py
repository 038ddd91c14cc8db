"""What a killed run has left in a repository goes with the next one; what anybody still uses stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from connect_tasks.atomic_file import PREFIX, write_file, write_private
from connect_tasks.repository.leftovers import remove_leftovers
from connect_tasks.repository.repository_lock import lock

from .conftest import Clone


@pytest.fixture
def dead() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_half_written_files_of_the_dead_go(clone: Clone, dead: int) -> None:
    names = {f"{PREFIX}{dead}-0a1b2c3d": False, f"{PREFIX}{os.getpid()}-0a1b2c3d": True, f"{PREFIX}notes": True}
    own = clone.git.common_dir / "connect-tasks"
    places = (clone.directory, own, own / "journal")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            (place / name).write_text("half")
    remove_leftovers(clone.git, {clone.app.path})
    for place in places:
        assert {name: (place / name).exists() for name in names} == names


def test_locks_bear_the_names_of_the_living_only(clone: Clone, dead: int) -> None:
    with lock(clone.git, "deploy sales"):
        own = clone.git.common_dir / "connect-tasks" / "locks"
        (own / "gone.holder").write_text(json.dumps({"pid": dead, "since": "yesterday"}))
        (own / "odd.holder").write_text("not json")
        remove_leftovers(clone.git, ())
        assert {path.name for path in own.glob("*.holder")} == {"deploy%20sales.holder", "odd.holder"}
        (own / "odd.holder").unlink()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a private index goes after a day")
def test_a_private_index_goes_when_no_git_uses_it(clone: Clone) -> None:
    """A `git commit` that outlived its run would read no index after its hooks, and commit an empty tree."""
    used, free = (clone.git.git_dir / "connect-tasks" / f"commit-{name}" for name in ("used", "free"))
    for place in (used, free):
        place.mkdir(parents=True)
        (place / "index").touch()
    with subprocess.Popen(["sleep", "600"], env={"GIT_INDEX_FILE": str(used / "index")}) as git:
        remove_leftovers(clone.git, ())
        assert (used.exists(), free.exists()) == (True, False)
        git.kill()
    with lock(clone.git, "repository"):  # somebody is about to start git
        remove_leftovers(clone.git, ())
        assert used.exists()
    remove_leftovers(clone.git, ())
    assert not used.exists()


def test_private_files_are_for_their_owner_whatever_the_umask(clone: Clone) -> None:
    before = os.umask(0)
    try:
        write_private(clone.root / "private", "x")
        write_file(clone.root / "public", b"x")
    finally:
        os.umask(before)
    assert (clone.root / "private").stat().st_mode & 0o777 == 0o600
    assert not list(clone.root.glob(f"{PREFIX}*"))
