"""Virtual environments that hold exactly what an app's requirements say, built once per Python and requirements."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import uv
from packaging.utils import canonicalize_name

from connect_tasks.emulator.interpreters import Interpreter
from connect_tasks.emulator.processes import Log, run

SKIPPED = ("rsconnect-python", "appnope")  # Connect leaves them out too
WEB_SERVERS = ("waitress", "uvicorn", "h11", "websockets")
NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
COMPLETE = "complete.json"  # written last: a directory without it is the rest of a build that was cut off
DROPPED = re.compile(
    r"CONNECT_|VIRTUAL_ENV$|CONDA_PREFIX$|PYTHON(DONTWRITEBYTECODE|PATH|HOME)$|UV_(PYTHON|SYSTEM_PYTHON)$"
)
UNAVAILABLE = re.compile(
    r"no version of|not found in the package registry|only .* (is|are) available|no matching|unsatisfiable"
)


class BuildFailed(Exception):
    """The requirements could not be installed: `code` as Connect's troubleshooting page has it, the text one line."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Environment:
    key: str  # 22 characters, as in Connect's log
    path: Path
    python: Path
    version: str
    packages: tuple[tuple[str, str], ...]
    cached: bool

    @property
    def overlay(self) -> Path:
        """The web servers for this Python: appended to the app's path, never part of its environment."""
        return self.path.parent / "web-servers" / ".".join(self.version.split(".")[:2])


class Environments:
    """The cache: one directory per key below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._locks: dict[Path, asyncio.Lock] = {}
        for left_over in self._root.glob("web-servers/.new-*"):  # by a server that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        self._builds = asyncio.Semaphore(os.cpu_count() or 2)

    async def prepare(self, interpreter: Interpreter, requirements: str, log: Log, *, directory: Path) -> Environment:
        """The environment for these requirements, built now or taken from the cache; equal requests build once.

        Paths in the requirements are relative to `directory`. The log gets what pip's would on Connect: the packages
        skipped, the key, the installer's lines. Raises BuildFailed.
        """
        wanted, skipped = _without_skipped(requirements)
        if skipped:
            log(f"Skipped packages: {', '.join(skipped)}")
        key = environment_key(interpreter.version, wanted, directory)
        async with self._lock(self._root / key):
            await self._add_web_servers(interpreter)
            found = self.open(key)
            if found is not None and found.python.exists():  # else its interpreter was uninstalled
                log(f"Using cached environment: {key}")
                return found
            log(f"Creating environment: {key}")
            return await self._build(key, interpreter, wanted, log, directory)

    def open(self, key: str) -> Environment | None:
        """An environment built earlier, None if there is none."""
        path = self._root / key
        try:
            facts = json.loads((path / COMPLETE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        packages = tuple((name, version) for name, version in facts["packages"])
        python = _python(path)
        return Environment(key=key, path=path, python=python, version=facts["version"], packages=packages, cached=True)

    def built(self) -> tuple[Environment, ...]:
        """Every environment in the cache."""
        found = (self.open(path.parent.name) for path in sorted(self._root.glob(f"*/{COMPLETE}")))
        return tuple(environment for environment in found if environment is not None)

    async def remove(self, key: str) -> None:
        """Take an environment out of the cache; the next prepare() builds it again."""
        path = self._root / key
        async with self._lock(path):
            (path / COMPLETE).unlink(missing_ok=True)  # first: half a removed environment must not pass for a whole one
            await asyncio.to_thread(_clear, path)

    async def _build(self, key: str, interpreter: Interpreter, wanted: str, log: Log, directory: Path) -> Environment:
        path = self._root / key
        async with self._builds:
            await asyncio.to_thread(_clear, path)
            await self._uv(["venv", "--quiet", "--no-project", "--python", interpreter.path, path], log, directory)
            with _requirements_file(wanted, directory) as file:
                await self._uv(["pip", "install", "--python", _python(path), "--requirement", file], log, directory)
        packages = await asyncio.to_thread(_installed, path)
        facts = {"version": interpreter.version, "packages": packages}
        _write_whole(path / COMPLETE, json.dumps(facts))
        python = _python(path)
        return Environment(
            key=key, path=path, python=python, version=interpreter.version, packages=tuple(packages), cached=False
        )

    async def _add_web_servers(self, interpreter: Interpreter) -> None:
        target = self._root / "web-servers" / ".".join(interpreter.version.split(".")[:2])
        async with self._lock(target):
            if target.exists():
                return
            scratch = _scratch_beside(target)
            where = ("--python", interpreter.path, "--target", scratch)
            async with self._builds:
                await self._uv(["pip", "install", "--quiet", *where, *WEB_SERVERS], lambda _line: None, self._root)
            scratch.rename(target)  # whole or not at all

    async def _uv(self, arguments: Sequence[str | Path], log: Log, directory: Path) -> None:
        argv = [uv.find_uv_bin(), *arguments, "--no-python-downloads", "--no-progress", "--color", "never"]
        environment = {name: value for name, value in os.environ.items() if not DROPPED.match(name)}
        code, said = await run(argv, cwd=directory, environment=environment, data=self._root, log=log)
        if code:
            raise _failure(code, said)

    def _lock(self, path: Path) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())


def environment_key(version: str, requirements: str, directory: Path) -> str:
    """128 bits in 22 characters: of the Python version, the requirements, and the bundle if they name its files."""
    lines = [line for raw in requirements.splitlines() if (line := raw.partition(" #")[0].strip()) and line[0] != "#"]
    parts = [version, *lines, *([str(directory)] if _is_local(lines) else [])]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_local(lines: list[str]) -> bool:
    """Whether a line means a file of the bundle: another list, an editable install, a path."""
    return any(line.startswith((".", "/", "-e", "-r", "-c", "--e", "--r", "--c")) or "file:" in line for line in lines)


def _without_skipped(requirements: str) -> tuple[str, list[str]]:
    """The list without what Connect leaves out, and that; a line that goes on after a backslash is one."""
    kept: list[str] = []
    skipped: list[str] = []
    for line in re.sub(r"\\\r?\n\s*", " ", requirements).splitlines():
        name = NAME.match(line)
        (skipped if name and canonicalize_name(name[1]) in SKIPPED else kept).append(line)
    return "\n".join([*kept, ""]), [re.split(r"\s+(?:#|--hash)", line)[0].strip() for line in skipped]


@contextmanager
def _requirements_file(wanted: str, directory: Path) -> Iterator[Path]:
    """The list as a file beside the one it was read from, because `-r other.txt` in it is relative to the file."""
    handle, name = tempfile.mkstemp(dir=directory, prefix=".requirements-", suffix=".txt")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(wanted)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _scratch_beside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
    scratch.chmod(0o755)
    return scratch


def _python(path: Path) -> Path:
    return path / "bin" / "python"


def _installed(path: Path) -> list[tuple[str, str]]:
    directories = [str(each) for each in path.glob("lib/python*/site-packages")]
    return sorted(
        {(canonicalize_name(each.metadata["Name"]), each.version) for each in distributions(path=directories)}
    )


def _clear(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.rmtree(path)


def _write_whole(path: Path, text: str) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _failure(code: int, said: list[str]) -> BuildFailed:
    trouble = (at for at, line in enumerate(said) if re.match(r"\s*(×|error|x )", line))
    start = next(trouble, max(0, len(said) - 5))
    reason = " ".join(line.strip(" ×╰─▶│├╭") for line in said[start:] if line.strip())
    message = f"uv failed with exit code {code}: {reason or 'it said nothing'}"[:1000]
    known = UNAVAILABLE.search(reason)
    return BuildFailed(
        message, code="python-package-version-not-available" if known else "python-package-install-failed"
    )
