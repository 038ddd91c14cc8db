"""A computer that lets us down: one line with the cause and the next command, nothing lost, and the rerun finishes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import Running

from .killing import Calm, calm, disturb, visited, wait_for_orphans
from .ledger import Ledger
from .runs import Zygote
from .scenes import SCENES
from .stage import CANARY, Stage, set_stage

#: A mount of our own, which nobody else sees, and which goes with its processes.
NAMESPACE = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
#: Root, to whom no permission is denied, without that privilege: what is another user's is so then.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
STRANGERS = os.geteuid() == 0 and shutil.which(UNPRIVILEGED[0]) is not None
needs_strangers = pytest.mark.skipif(not STRANGERS, reason="to make files another user's needs root")
needs_mounts = pytest.mark.skipif(not NAMESPACE, reason="mounting needs root")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`before`: a line of shell, with the clone as $1 and a free directory as $2. `strange`: what is another user's
    meanwhile. `said`: what the failing run must say; None: it succeeds all the same."""

    name: str
    before: str = ":"
    strange: str | None = None
    environ: Mapping[str, str | None] = field(default_factory=dict)
    said: str | None = None
    arguments: tuple[str, ...] = ()
    clock: float = 0.0  # seconds by which it jumps during the run

    @property
    def mounts(self) -> bool:
        return "mount " in self.before


FULL = 'mount -t tmpfs -o size=4k none "$2"'
READ_ONLY = 'mount --bind "{at}" "{at}" && mount -o remount,ro,bind "{at}"'
NO_WRITING = r"CT\d{3}.*[Rr]ead-only"
NOT_PERMITTED = r"CT\d{3}.*[Pp]ermission"
#: The objects of the clone on a disk of their own, which somebody has filled.
NO_OBJECTS = (
    "cp -a $1/.git/objects/. $2 && mount -t tmpfs -o size=900k none $1/.git/objects && cp -a $2/. $1/.git/objects && "
    "(dd if=/dev/zero of=$1/.git/objects/full bs=1k 2>/dev/null || true)"
)
LEDGER = Ledger(title="surroundings")
C_LOCALE = {"LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
#: Of each kind one is a part of CI, the others of the long form.
FAULTS = (
    Fault(name="TMPDIR is full", before=FULL, environ={"TMPDIR": "$2"}, said=r"No space left.*TMPDIR|No space left"),
    Fault(name="git's objects have no room", before=NO_OBJECTS, said=r"CT\d{3}.*No space left"),
    Fault(name="the app's directory is read-only", before=READ_ONLY.format(at="$1/app"), said=NO_WRITING),
    Fault(name="git's objects are another user's", strange=".git/objects", said=NOT_PERMITTED),
    Fault(name="sixteen open files", before="ulimit -n 16", said=r"CT\d{3}.*(open files|Too many)"),
    Fault(name="stdout is closed", before="exec >&-"),
    Fault(name="no HOME", environ={"HOME": None}),
    Fault(name="C locale", environ=C_LOCALE),
    Fault(name="TMPDIR is gone", environ={"TMPDIR": "$2/gone"}),
)
MORE_FAULTS = (
    Fault(name="files may be empty", before="ulimit -f 0", said=r"no place for temporary files"),
    Fault(name="the checkout is read-only", before=READ_ONLY.format(at="$1"), said=NO_WRITING),
    Fault(name="git's directory is read-only", before=READ_ONLY.format(at="$1/.git"), said=NO_WRITING),
    Fault(name="the cache is read-only", before=READ_ONLY.format(at="$CONNECT_TASKS_CACHE")),
    Fault(
        name="TMPDIR is read-only", before=f"mkdir $2/t && {READ_ONLY.format(at='$2/t')}", environ={"TMPDIR": "$2/t"}
    ),
    Fault(name="ten open files", before="ulimit -n 10", said=r"CT\d{3}.*(open files|Too many)"),
    Fault(name="stdout and stderr are closed", before="exec >&- 2>&-"),
    Fault(name="stdin is closed", before="exec <&-"),
    Fault(name="nobody reads", before="exec > /dev/full"),
    Fault(
        name="the reader goes away",
        before="mkfifo $2/pipe && (head -n 1 < $2/pipe > /dev/null &) && exec > $2/pipe",
    ),
    Fault(name="the app's directory is another user's", strange="app", said=NOT_PERMITTED),
    Fault(name="git's directory is another user's", strange=".git", said=r"CT\d{3}(.|\n)*next: .*safe\.directory"),
    Fault(name="the checkout is another user's", strange=".", said=r"CT\d{3}(.|\n)*next: .*safe\.directory"),
    Fault(name="the report has no place", arguments=("--json", "/dev/full/report.json"), said=r"CT902"),
    Fault(name="HOME is gone", environ={"HOME": "$2/gone"}),
    Fault(name="ASCII only", environ={"PYTHONIOENCODING": "ascii"}),
    Fault(name="an umask of 077", before="umask 077"),
    Fault(name="no PATH to git", environ={"PATH": "/nowhere"}, said=r"CT901.*git"),
    Fault(name="another time zone", environ={"TZ": "Pacific/Kiritimati"}),
    Fault(name="the clock jumps a day ahead", clock=86400.0),
    Fault(name="the clock jumps a day back", clock=-86400.0),
)


@dataclass(kw_only=True)
class World:
    """The stage, and what a quiet run comes to; after a failure it is set anew."""

    make: Callable[[], Stage]
    quiet: Calm
    stage: Stage | None = None


@pytest.fixture(scope="module")
def world(connect_server: Running, forks: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("surroundings")
    home = place / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n[gc]\nauto = 0\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(home))
        patched.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
        patched.setenv("GIT_CONFIG_NOSYSTEM", "1")
        (place / "cache").mkdir()
        numbers = iter(range(1000))

        def make() -> Stage:
            return set_stage(SCENES["release, update"], connect_server, place / f"{next(numbers)}", home)

        stage = make()
        yield World(make=make, quiet=calm(stage, forks), stage=stage)


def run_in(fault: Fault, stage: Stage, free: Path) -> tuple[int, str]:
    """The release with that fault, in a process of its own -> its status and what it said."""
    environ = dict(stage.shop.environ)
    for name, value in fault.environ.items():
        environ.pop(name, None)
        if value is not None:
            environ[name] = value.replace("$2", str(free))
    command = [sys.executable, "-m", "connect_tasks", "release", *fault.arguments]
    command = [*(UNPRIVILEGED if fault.strange else ()), *command]
    shell = [
        "/bin/sh",
        "-c",
        f'{fault.before} && shift 2 && exec "$@"',
        "sh",
        str(stage.shop.root),
        str(free),
        *command,
    ]
    with owned_by_another(stage.shop.root / fault.strange if fault.strange else None):
        done = subprocess.run(
            ["/usr/bin/unshare", "--mount", *shell] if fault.mounts else shell,
            cwd=stage.shop.root, env=environ, capture_output=True, text=True, errors="replace", timeout=120,
        )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@contextmanager
def owned_by_another(place: Path | None) -> Iterator[None]:
    def give(owner: str) -> None:
        if place is not None:
            subprocess.run(["chown", "--recursive", "--no-dereference", owner, str(place)], check=True)

    give("nobody")
    try:
        yield
    finally:
        give(str(os.geteuid()))


def cases() -> Iterator[Any]:
    for fault in (*FAULTS, *MORE_FAULTS):
        marks = [needs_mounts] if fault.mounts else [needs_strangers] if fault.strange else []
        marks += [pytest.mark.slow] if fault in MORE_FAULTS else []
        yield pytest.param(fault, id=fault.name, marks=marks)


@pytest.mark.parametrize("fault", list(cases()))
def test_nothing_is_lost_and_the_rerun_finishes(fault: Fault, world: World, forks: Zygote, tmp_path: Path) -> None:
    stage, world.stage = world.stage or world.make(), None
    stage.next_version()
    before, live = stage.users_work(), stage.live()
    with LEDGER.row(fault.name) as row, visited(stage) as visits:
        if fault.clock:
            run = disturb(stage, forks, clock=fault.clock)
            status, said = run.status, run.said
        else:
            status, said = run_in(fault, stage, tmp_path)
        wait_for_orphans(stage)
        row.lost += stage.users_work() != before
        row.secrets += CANARY in said or stage.shop.server.api_key in said
        assert stage.users_work() == before
        assert row.secrets == 0
        assert "Traceback" not in said, said
        assert "CT999" not in said, said
        if fault.said is None:
            assert status == 0, said
        else:
            assert status not in {0, 120}, said
            assert re.search(fault.said, said), said
            assert "next:" in said or "CT" not in said, said
            if "CT902" not in said:
                assert stage.live() == live
        last = disturb(stage, forks)
        assert last.status == 0, last.said
        state, expected = stage.state(), world.quiet.states[stage.letter]
        row.wrong += state != expected
        different = {key: (value, state.get(key)) for key, value in expected.items() if state.get(key) != value}
        assert not different, f"{different}: {said}\n{last.said}"
        row.visits += visits()
    LEDGER.keep()
    world.stage = stage
