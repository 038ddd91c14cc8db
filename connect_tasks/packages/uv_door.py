"""The one door to uv: which binary, which environment variables, how its failures read."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import process
from ..errors import CommandMissing, RequirementsConflict, ResolutionFailed
from ..secret import SECRET_NAMES, Redactor
from .index_settings import IndexSettings, index_settings

#: Seconds for one uv command; a first download of a large framework takes minutes.
TIMEOUT = 1800.0
#: Of uv's own variables, those that say how to reach packages. The others (UV_CONSTRAINT, UV_RESOLUTION,
#: UV_PRERELEASE, UV_TORCH_BACKEND ...) would let one machine's mood decide the pins, and UV_PROJECT... or UV_PYTHON
#: would lead us to another project or interpreter.
_REACH = re.compile(
    r"UV_(INDEX(_.*)?|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|KEYRING_PROVIDER|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|CACHE_DIR|NO_CACHE"
    r"|HTTP_.*|REQUEST_TIMEOUT|CONCURRENT_.*|LINK_MODE|CONFIG_FILE|NO_CONFIG|CREDENTIALS_DIR|EXCLUDE_NEWER|PYTHON_INSTALL_DIR|LOCK_TIMEOUT)"
)
#: What starts a new cause or hint.
_ITEM = re.compile(r"\s*(?:[×├╰│─▶]+\s*)*(?P<word>error:|cause:|Caused by:|hint:|warning:)|\s*(?:×|[├╰]─▶)")
_LONGEST = 700
_FOREIGN = {
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONSTARTUP",
    "__PYVENV_LAUNCHER__",
    *SECRET_NAMES,  # building a package runs its author's code
}


#: Held while uv is looked for: that calls sysconfig, whose first use in two threads at once fails (CPython 3.11).
_looking = threading.Lock()


@functools.cache
def uv_binary() -> str:
    """The uv that is installed beside us. Raises `CommandMissing`."""
    import uv

    try:
        with _looking:
            return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise CommandMissing("uv is not installed beside connect_tasks", hint="python -m pip install uv") from error


def uv_environment(environ: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The child's environment: how to reach packages, and nothing else that would change what uv does."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _FOREIGN and (not name.startswith("UV_") or _REACH.fullmatch(name))
    }
    return {**kept, "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", **(extra or {})}


@dataclass(frozen=True, kw_only=True)
class Uv:
    """uv, run in one directory with one set of index settings. `offline`: only its cache and local wheel
    directories."""

    binary: str = field(default_factory=uv_binary)
    directory: Path
    env: Mapping[str, str] = field(repr=False)
    arguments: tuple[str, ...] = ()
    redact: Redactor = field(default_factory=Redactor, repr=False)
    offline: bool = False

    @classmethod
    def of(cls, directory: Path, environ: Mapping[str, str], settings: IndexSettings, *, offline: bool = False) -> Uv:
        env = uv_environment(environ, settings.environment)
        return cls(
            directory=directory,
            env=env,
            arguments=settings.arguments,
            redact=Redactor(settings.secrets),
            offline=offline,
        )

    def run(self, *arguments: str | Path, offline: bool = False, quiet: bool = True) -> process.Completed:
        """One command that needs no index, or is told to live without one by `offline`.

        `quiet` keeps greetings out of a failure's reasons; `pip freeze` of uv 0.9 takes it for "no output at all".
        """
        more = [*(["--quiet"] if quiet else []), *(["--offline"] if offline or self.offline else [])]
        return process.run([self.binary, *arguments, *more], cwd=self.directory, env=self.env, timeout=TIMEOUT)

    def fetch(self, *arguments: str | Path, cached: bool = True) -> process.Completed:
        """One command that may need packages: from the cache if that suffices (25 ms against 200 of questions to the
        index), else from the index.

        `cached` False asks the index at once, where the cache could only give an outdated answer.
        """
        if cached or self.offline:
            done = self.run(*arguments, *self.arguments, offline=True)
            if done.ok or self.offline:
                return done
        return self.run(*arguments, *self.arguments)

    def failure(self, done: process.Completed, deed: str, *, where: str | None = None) -> ResolutionFailed:
        """uv's several lines as our one: its causes, secrets masked."""
        causes, hints = reasons(done.error_text)
        reason = self.redact(": ".join(causes)) or f"uv ended with exit status {done.status}"
        if len(reason) > _LONGEST:
            reason = f"{reason[: _LONGEST // 2]} ... {reason[-_LONGEST // 2 :]}"
        kind = RequirementsConflict if "No solution found" in reason else ResolutionFailed
        hint = self.redact(hints[0]) if hints else f"mend that{f' in {where}' if where else ''}, then run this again"
        return kind(f"{deed}: {reason}", where=where, hint=hint)


def reach_index(scratch: Path, environ: Mapping[str, str], directory: Path) -> None:
    """Ask the index of the app in `directory` for one package that every index has, as a freeze would ask.

    `scratch` is an empty directory. Raises `ResolutionFailed` with uv's own words.
    """
    patience = {"UV_HTTP_RETRIES": "0", **environ}  # whoever asks for a diagnosis is there to ask again
    uv = Uv.of(scratch, patience, index_settings(environ, directory))
    (scratch / "ask.in").write_text("pip\n", encoding="utf-8")
    done = uv.fetch("pip", "compile", "--no-header", "--no-deps", "--refresh-package", "pip", "ask.in", cached=False)
    if not done.ok:
        raise uv.failure(done, "the package index does not answer")


def reasons(error_text: str) -> tuple[list[str], list[str]]:
    """Causes and hints of a failed uv, each in one line. It wraps its lines, and every minor draws its tree anew."""
    causes: list[str] = []
    hints: list[str] = []
    current: list[str] | None = None
    for raw in error_text.splitlines():
        match = _ITEM.match(raw)
        text = (raw[match.end() :] if match else raw).strip(" \t│╰├─▶")
        if match:
            word = match["word"] or ""
            current = None if word == "warning:" else hints if word == "hint:" else causes
            if current is not None:
                current.append(text)
        elif current and text:
            current[-1] = f"{current[-1]} {text}".strip()
    return [cause.rstrip(".:") for cause in causes if cause], hints
