"""What a test may leave on the machine: nothing. No process, no open port, no temporary file, no changed settings, no
lock. What fixtures of a wider scope have started (a server for a module) is theirs, and may stay as long as they."""

from __future__ import annotations

import gc
import os
import tempfile
import time
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

#: Seconds within which what was told to end ends, and takes its files along.
PATIENCE = 10.0
#: In /proc/net/tcp: somebody listens.
LISTENS = "0A"


@dataclass(kw_only=True, eq=False)
class Machine:
    """What there is by right: whatever stood there before the first test, and what wider fixtures have made since."""

    temporary: Path
    settings: tuple[Path, ...]
    processes: set[str] = field(default_factory=set)
    sockets: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    before: list[tuple[int, int] | None] = field(default_factory=list)

    def accept(self) -> None:
        """All that is there now may stay."""
        self.processes.update(pids())
        self.sockets.update(sockets())
        self.files.update(names_in(self.temporary))
        self.before = [stamp(path) for path in self.settings]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """What a fixture of many tests has started is not the first test's."""
        made = yield
        if fixturedef.scope != "function":
            self.accept()
        return made

    def left(self, place: Path) -> list[str]:
        """What a test with its files in `place` has left behind."""
        new = [pid for pid in pids() if pid not in self.processes]
        found = [f"process {command_of(pid)}" for pid in new if belongs_to(pid, place)]
        opened = sockets() - self.sockets
        found += [f"port {port}" for port in listening(opened)] if opened else []
        found += [f"temporary file {name}" for name in names_in(self.temporary) if name not in self.files]
        found += [f"lock {path}" for path in locks(place)]
        now = [stamp(path) for path in self.settings]
        found += ["git's own global settings are changed"] if now != self.before else []
        # Who is no child of this test today is none tomorrow: those of others need not be looked at again.
        self.processes.update(pid for pid in new if not belongs_to(pid, place))
        return found

    def require_nothing_left(self, place: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        if self.left(place):
            # A problem's traceback keeps GitPython's standing processes, and their pipes, as long as it is kept itself.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
        while found := self.left(place):
            if time.monotonic() > deadline:
                self.accept()  # the next test is not to blame
                pytest.fail(f"left on the machine: {'; '.join(sorted(found))}", pytrace=False)
            time.sleep(0.02)


def pids() -> list[str]:
    return [name for name in names_in("/proc") if name.isdigit()]


def names_in(directory: str | Path) -> list[str]:
    return os.listdir(directory)  # noqa: PTH208  # no Path for each: this is done after every test


def belongs_to(pid: str, place: Path) -> bool:
    """Whether a process is a child of this one, or one of its children's with the private HOME of the test: whoever
    has lost its parent is somebody else's child."""
    try:
        state, parent = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[:2]
        if state == "Z":
            return False
        home = f"HOME={place}/".encode()
        return int(parent) == os.getpid() or home in Path("/proc", pid, "environ").read_bytes()
    except OSError:  # over meanwhile, or not ours to look at
        return False


def command_of(pid: str) -> str:
    try:
        return Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "that ends"


def sockets() -> set[str]:
    """Of this process, by their inodes."""
    found = set()
    for descriptor in names_in("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115  # same
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def listening(inodes: set[str]) -> list[int]:
    """The ports of those sockets that listen."""
    found = []
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == LISTENS and parts[9] in inodes:
                found.append(int(parts[1].rpartition(":")[2], 16))
    return found


def locks(place: Path) -> list[Path]:
    """git's own locks, and the names of who holds ours (an empty lock file stays, so that the next one takes the
    same), in the repositories at most two levels down."""
    found: list[Path] = []
    for directory in repositories(place, 2):
        for holders in (directory, directory / "refs/heads", directory / "connect-tasks/locks"):
            if holders.is_dir():
                wanted = ".holder" if holders.name == "locks" else ".lock"
                found += [Path(entry.path) for entry in os.scandir(holders) if entry.name.endswith(wanted)]
    return found


def repositories(place: Path, levels: int) -> Iterator[Path]:
    """git's directories."""
    try:
        with os.scandir(place) as entries:
            below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # gone, or closed by the test
        return
    for entry in below:
        if entry.name == ".git":
            yield Path(entry.path)
        elif levels:
            yield from repositories(Path(entry.path), levels - 1)


def stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


# fixtures, for tests/conftest.py --------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Machine | None]:
    """The machine as it is found, with a TMPDIR that is nobody else's; None where there is no /proc to look at."""
    place = tmp_path_factory.mktemp("t")
    home = Path.home()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(place))
        patched.setattr(tempfile, "tempdir", None)
        if not Path("/proc/self/fd").exists():
            yield None
            return
        found = Machine(temporary=place, settings=(home / ".gitconfig", home / ".config/git/config"))
        found.accept()
        pytestconfig.pluginmanager.register(found)  # a conftest's hooks are not asked about a session's fixtures
        yield found
        pytestconfig.pluginmanager.unregister(found)


@pytest.fixture(autouse=True)
def leaves_nothing(machine: Machine | None, tmp_path: Path) -> Iterator[None]:
    """The first fixture of each test, and the last to end."""
    yield
    if machine is not None:
        machine.require_nothing_left(tmp_path)


@pytest.fixture
def clean_machine(tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """More, for runs of the product: its TMPDIR is empty, git's settings are as before, and nothing is in HOME."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    settings = (private_home / ".gitconfig").read_bytes()
    yield place
    tempfile.tempdir = None
    assert not [str(path) for path in place.rglob("*")], "temporary files are left"
    assert (private_home / ".gitconfig").read_bytes() == settings, "git's global settings are changed"
    assert not foreign(private_home), "something is left in HOME"


def foreign(home: Path) -> list[str]:
    """What stands in HOME besides git's settings and what uv and pip keep there."""
    return sorted(
        path.name for path in home.iterdir() if path.name not in {".gitconfig", ".cache", ".local", ".config"}
    )
