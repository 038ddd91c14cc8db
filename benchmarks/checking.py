"""What `check` costs on top of reading the blobs, which nobody can spare: `python -m benchmarks.checking [ROUNDS]`.

Breaking a limit ends with status 1.

* one app: the command against `python -c` with the same imports, then `git ls-tree -r | git cat-file --batch` (1.5);
* 500 apps of 23 files each: the command, in seconds (1.0);
* one app of 20,000 files: the function in a warm process against `git cat-file --batch | md5sum` (1.5).

The smallest of ROUNDS is taken, each round measuring both sides one after the other, so that a busy moment of the
machine meets both. Processor time of all that took part decides, since other work on the machine does not change it;
the time on the clock is shown beside it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from _figure import Figure, keep

from connect_tasks.configuration import load, resolve_all
from connect_tasks.configuration.app_mode import FLASK
from connect_tasks.content.connect_manifest import render_manifest
from connect_tasks.content.manifest_check import check_all
from connect_tasks.content.rsconnect_door import ManifestRequest, write_manifest
from connect_tasks.garbage import seldom_collected
from connect_tasks.repository.git import Git

ROUNDS = 9
APP = "from flask import Flask\n\napp = Flask(__name__)\n"
PINS = ("blinker==1.9.0", "click==8.3.1", "flask==3.1.2", "itsdangerous==2.2.0", "jinja2==3.1.6", "markupsafe==3.0.3")
TABLE = '[tool.connect-tasks]\nmode = "flask"\nentrypoint = "app:app"\n'
#: Prints what `check` has imported, in an order in which it can be imported again.
MODULES = """
import sys
from connect_tasks.cli import main
assert main(["check"]) == 0
print("import " + ", ".join(name for name in sys.modules if "__mypyc" not in name and name != "__main__"))
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds on the clock, and of processor time, children included."""

    clock: float
    processor: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `limit` None: shown, not judged."""

    name: str
    ours: Cost
    bare: Cost | None = None
    limit: float | None = None
    against: str = ""

    @property
    def value(self) -> float:
        """The ratio, or the seconds where there is nothing to compare with."""
        return self.ours.processor / (self.bare.processor if self.bare else 1)

    def keep(self) -> None:
        against = "" if self.bare is None else self.against
        unit = "" if self.bare else "s"
        keep(
            Figure(
                benchmark="checking",
                what=self.name.strip(),
                against=against,
                value=self.value,
                unit=unit,
                limit=self.limit,
            )
        )

    @property
    def within(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        figures = f"{self.name:<46} {_shown(self.ours)}"
        if self.bare:
            figures += f"  bare {_shown(self.bare)}  ratio {self.value:4.2f}, on the clock "
            figures += f"{self.ours.clock / self.bare.clock:4.2f}"
        if self.limit is None:
            return figures
        return f"{figures}  limit {self.limit}{'' if self.within else ' BROKEN'}"


def main(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        _configure_git(place)
        rows = [
            one_app(place / "one", rounds),
            many_apps(place / "many", rounds),
            large_app(place / "small", rounds, size=250),
            large_app(place / "larger", rounds, size=5000),
            whole_command(place / "larger", rounds),
        ]
    for row in rows:
        row.keep()
    print(f"smallest of {rounds}; ms on the clock / ms of processor time")
    print("\n".join(map(str, rows)))
    return int(not all(row.within for row in rows))


def one_app(root: Path, rounds: int) -> Row:
    _repository(root, {".": _app(17)})
    imports = subprocess.run(
        [sys.executable, "-c", MODULES], cwd=root, env=ENVIRONMENT, capture_output=True, check=True
    )
    statement = imports.stdout.decode().splitlines()[-1]

    def bare() -> None:
        _run([sys.executable, "-c", statement], root)
        _pipe("git ls-tree -r HEAD | cut -c 13-52 | git cat-file --batch", root)

    ours, floor = _compared(lambda: _check(root), bare, rounds=rounds)
    against = "the same imports, ls-tree into cat-file --batch"
    return Row(name="check of one app of 23 files", ours=ours, bare=floor, limit=1.5, against=against)


def many_apps(root: Path, rounds: int) -> Row:
    _repository(root, {f"apps/app{number}": _app(19, number) for number in range(500)})
    (ours,) = _compared(lambda: _check(root), rounds=rounds)
    return Row(name="check of 500 apps, 11,500 files (in seconds)", ours=ours, limit=1.0)


def large_app(root: Path, rounds: int, *, size: int) -> Row:
    _repository(root, {".": _app(20_000, size=size)})
    ids = _ids(root)
    apps, environ = resolve_all(load(root), None, {}), {**ENVIRONMENT}

    def ours() -> None:
        (checked,) = check_all(apps, Git.discover(root, environ))
        assert checked.changes == ()
        assert checked.problem is None

    cost, floor = _compared(ours, lambda: _pipe(f"git cat-file --batch < {ids} | md5sum", root), rounds=rounds)
    name, against = f"check() of 20,000 files of {size:,} bytes", "cat-file --batch into md5sum"
    return Row(name=name, ours=cost, bare=floor, limit=1.5, against=against)


def whole_command(root: Path, rounds: int) -> Row:
    ids = _ids(root)
    ours, floor = _compared(
        lambda: _check(root), lambda: _pipe(f"git cat-file --batch < {ids} | md5sum", root), rounds=rounds
    )
    return Row(name="check of 20,000 files of 5,000 bytes, a command", ours=ours, bare=floor)


# measuring ------------------------------------------------------------------------------------------------------------


def _compared(*deeds: Callable[[], None], rounds: int) -> list[Cost]:
    """The least that each deed took, in turns; the first round warms the caches and counts for nothing."""
    for deed in deeds:
        deed()
    costs = [[_cost(deed) for deed in deeds] for _ in range(rounds)]
    return [
        Cost(clock=min(cost.clock for cost in column), processor=min(cost.processor for cost in column))
        for column in zip(*costs, strict=True)
    ]


def _cost(deed: Callable[[], None]) -> Cost:
    started, spent = time.perf_counter(), _processor_time()
    deed()
    return Cost(clock=time.perf_counter() - started, processor=_processor_time() - spent)


def _processor_time() -> float:
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)


def _check(root: Path) -> None:
    _run([sys.executable, "-m", "connect_tasks", "check"], root)


def _pipe(command: str, root: Path) -> None:
    _run(["sh", "-c", command], root)


def _run(argv: list[str], root: Path) -> None:
    subprocess.run(argv, cwd=root, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)


def _shown(cost: Cost) -> str:
    return f"{cost.clock * 1000:5.0f} /{cost.processor * 1000:5.0f}"


# what is measured -----------------------------------------------------------------------------------------------------

# Bytecode is what a user's second run finds; without it every run compiles again.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT["PYTHONPATH"] = str(Path(__file__).parents[1])


def _app(others: int, number: int = 0, *, size: int = 250) -> dict[str, bytes]:
    """An app as a release leaves it, with so many other files."""
    pins = "".join(f"{pin}\n" for pin in (*PINS, f"werkzeug==3.1.{number % 5}"))
    texts = {"app.py": APP, "requirements.in": "flask\n", "requirements.txt": f"# from requirements.in\n{pins}"}
    files = {name: text.encode() for name, text in texts.items()}
    line = b"%06d of the app, and something to tell it from the others\n"
    for other in range(others):
        content = b"".join(line % (number * others + other + row) for row in range(size // 60 + 1))
        files[f"static/{other // 100}/{other}.txt"] = content[:size]
    return files


def _repository(root: Path, apps: Mapping[str, Mapping[str, bytes]]) -> None:
    """A packed repository of these apps with their manifests, as a clone has it."""
    root.mkdir()
    table = TABLE + "".join(
        f'[tool.connect-tasks.apps.{Path(app).name}]\npath = "{app}"\n' for app in apps if app != "."
    )
    files = {".python-version": b"3.12\n", "pyproject.toml": table.encode()}
    for app, content in apps.items():
        below = "" if app == "." else f"{app}/"
        files |= {f"{below}{name}": data for name, data in content.items()}
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    # No packing in the background: it would be measured too, and the one at the end would find it at work.
    for command in (["init", "-q"], ["config", "gc.auto", "0"], ["config", "maintenance.auto", "false"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, env=ENVIRONMENT, check=True)
    subprocess.run(["git", "commit", "-qm", "the apps"], cwd=root, env=ENVIRONMENT, check=True)
    git = Git.discover(root, ENVIRONMENT)
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "requirements.txt").touch()
        request = ManifestRequest(mode=FLASK, entrypoint="app:app", python="3.12.0", requires="~=3.12.0")
        written = write_manifest(Path(scratch), request)
    for app in apps:
        tree = git.tree("HEAD", app)
        (root / app / "manifest.json").write_bytes(
            render_manifest(written, tree, git.checksums(blob.oid for blob in tree.values()))
        )
    for command in (["add", "."], ["commit", "-qm", "their manifests"], ["gc", "-q"]):
        subprocess.run(["git", *command], cwd=root, env=ENVIRONMENT, check=True)


def _ids(root: Path) -> Path:
    """The file of HEAD's blob ids, that the bare side reads."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "HEAD"], cwd=root, env=ENVIRONMENT, capture_output=True, check=True
    )
    file = root / ".git" / "ids"
    file.write_text("".join(f"{line.split()[2]}\n" for line in listed.stdout.decode().splitlines()))
    return file


def _configure_git(place: Path) -> None:
    """An identity, and nothing in the background."""
    (place / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n")
    ENVIRONMENT.update(GIT_CONFIG_GLOBAL=str(place / "gitconfig"), GIT_CONFIG_NOSYSTEM="1")


if __name__ == "__main__":
    with seldom_collected():  # as every verb
        status = main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
    sys.exit(status)
