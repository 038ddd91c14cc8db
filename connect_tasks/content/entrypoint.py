"""The entrypoint of an app: found in its sources, verified by importing it in a child process with a time limit."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import process
from ..configuration.app_mode import FLASK, SHINY, AppMode, find_mode
from ..errors import CommandTimedOut, EntrypointWrong, ModeUnknown
from .entrypoint_candidates import Candidate, documents, express_entrypoint, find_candidates, likeliest, module_file
from .entrypoint_verdict import Entrypoint, judge, no_such_module

__all__ = ["Entrypoint", "detect", "verify_entrypoint"]

#: The directory of what runs inside the app's Python; nothing else lies there.
INSIDE = Path(__file__).parents[1] / "inside"
PROBE = "connect_tasks_probe"
#: Seconds that an import may take.
TIMEOUT = 60.0
#: Seconds that the probe gets to say where the import stands, before it is ended from outside.
_GRACE = 10.0


def detect(sources: Mapping[str, str | bytes], mode: str | None = None, entrypoint: str | None = None) -> Entrypoint:
    """Mode and entrypoint of an app by its sources (POSIX path -> content), as far as they are not declared.

    Nothing is imported, so the answer is not yet verified. Raises `ModeUnknown` or `EntrypointWrong`, naming the
    candidates, where nothing or more than one thing fits.
    """
    declared = find_mode(mode) if mode else None
    candidates = find_candidates(sources)
    if entrypoint is not None:
        known = declared or _mode_of(entrypoint, candidates)
        return Entrypoint(mode=known, entrypoint=_normal(entrypoint, known, sources))
    if declared is not None and declared.kind in ("model", "quarto"):
        return Entrypoint(mode=declared, entrypoint="")
    if declared is not None and not declared.imported:
        candidates = documents(declared, sources)
    best = likeliest(candidates, declared)
    if len(best) == 1:
        return Entrypoint(mode=best[0].mode, entrypoint=best[0].entrypoint)
    raise _undecided(declared, best, candidates)


def verify_entrypoint(
    python: Path,
    directory: Path,
    mode: str | None,
    entrypoint: str | None,
    env: Mapping[str, str],
    timeout: float = TIMEOUT,
    *,
    untracked: Callable[[], Collection[str]] = tuple,
) -> Entrypoint:
    """Find what is not declared, then import it with `python` in `directory`, an export of the app.

    `python` belongs into an environment of the frozen requirements alone: what only the test tools bring would be
    missing on Connect. `env` is all that the app sees. `untracked` gives the files of the app's directory that git does
    not track, so that an import of one is named as what it is. Raises `ModeUnknown`, and `EntrypointWrong` with the
    app's own error or the candidates.
    """
    sources = _sources(directory)
    guess = detect(sources, mode, entrypoint)
    if not guess.mode.imported:
        return guess
    if guess.mode.kind == "script" and module_file(guess.entrypoint, sources) is None:
        raise no_such_module(guess, sources, untracked())
    result = _run_probe(python, _request(directory, guess, sources, timeout), env)
    hidden = () if result["outcome"] == "found" else untracked()
    return judge(guess, result, sources=sources, untracked=hidden, timeout=timeout)


def _request(
    directory: Path, guess: Entrypoint, sources: Mapping[str, bytes], timeout: float
) -> dict[str, str | float | None]:
    entrypoint = (guess.mode is SHINY and express_entrypoint(guess.entrypoint, sources)) or guess.entrypoint
    module, _, name = entrypoint.partition(":")
    return {
        "directory": str(directory),
        "module": module.removesuffix(".py") if guess.mode.kind == "script" else module,
        "name": name or None,
        "mode": guess.mode.connect,
        "timeout": timeout,
    }


def _run_probe(python: Path, request: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """The probe's result, with the end of the app's own output under "output" and the exit status under "status"."""
    with tempfile.TemporaryDirectory(prefix="connect-tasks-probe-") as scratch:
        path = Path(scratch) / "result.json"
        argument = json.dumps({**request, "result": str(path)})
        argv: list[str | os.PathLike[str]] = [python, "-I", INSIDE / f"{PROBE}.py", argument]
        try:
            done = process.run(
                argv,
                cwd=Path(request["directory"]),
                env=process.child_environment(env),
                timeout=request["timeout"] + _GRACE,
            )
        except CommandTimedOut:
            return {"outcome": "hangs"}  # in C code that holds the interpreter's lock: nobody can say where
        result: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {"outcome": "died"}
        output = (done.stdout[-4000:] + done.stderr[-4000:]).decode("utf-8", "replace")
        return {**result, "status": done.status, "output": output}


def _normal(entrypoint: str, mode: AppMode, sources: Mapping[str, str | bytes]) -> str:
    """The entrypoint in Connect's form: a document's path, or `module`, or `module:object`."""
    if not mode.imported:
        if entrypoint and entrypoint not in sources:
            there = [candidate.entrypoint for candidate in documents(mode, sources)]
            hint = f'entrypoint = "{there[0]}"' if there else f"git add {entrypoint}"
            raise EntrypointWrong(f"{entrypoint} does not exist in the app's directory", hint=hint)
        if "/" in entrypoint:
            place = entrypoint.rpartition("/")[0]
            what = f"{entrypoint} is not at the top of the app's directory, and a manifest stands beside its document"
            raise EntrypointWrong(what, hint=f'let `path` end in "{place}"')
        return entrypoint
    module, colon, name = entrypoint.partition(":")
    if ":" in name or not module:
        raise EntrypointWrong(f"{entrypoint!r} is not of the form module:object", hint='entrypoint = "app:app"')
    if name.endswith(")"):
        hint = f'entrypoint = "{module}:{name.partition("(")[0]}"'
        raise EntrypointWrong(f"{entrypoint}: Connect calls a factory by its name alone, without arguments", hint=hint)
    if "/" in module or (module.endswith(".py") and module_file(module, sources)):
        dotted = module.removesuffix(".py").removesuffix("/__init__").strip("./").replace("/", ".")
        if mode.kind != "script":
            hint = f'entrypoint = "{dotted}{colon}{name}"'
            raise EntrypointWrong(f"{entrypoint} is a file; an entrypoint names a module", hint=hint)
        return dotted + colon + name
    return entrypoint


def _mode_of(entrypoint: str, candidates: Sequence[Candidate]) -> AppMode:
    """The mode of an entrypoint that is declared without one; the import will contradict a wrong guess."""
    module = entrypoint.partition(":")[0].removesuffix(".py").replace("/", ".")
    same = [candidate for candidate in candidates if candidate.entrypoint == entrypoint]
    near = [candidate for candidate in candidates if candidate.entrypoint.partition(":")[0] == module]
    return next((candidate.mode for candidate in (*same, *near)), FLASK)


def _undecided(
    mode: AppMode | None, best: Sequence[Candidate], every: Sequence[Candidate]
) -> ModeUnknown | EntrypointWrong:
    names = ", ".join(f"{each.entrypoint or each.mode.title} ({each.mode.name})" for each in best or every)
    if mode is None and not every:
        hint = 'say mode = "flask" (or fastapi, dash, ...) and entrypoint = "module:object" in [tool.connect-tasks]'
        return ModeUnknown("no app of a framework that we know is in the directory", hint=hint)
    if not best:
        what = f"no {mode.name} app" if mode else "no app"
        return EntrypointWrong(f"{what} is in the directory; found {names or 'none at all'}", hint='entrypoint = "..."')
    hint = f'entrypoint = "{best[0].entrypoint}" and mode = "{best[0].mode.name}"'
    return EntrypointWrong(f"more than one app is in the directory: {names}", hint=hint)


def _sources(directory: Path) -> dict[str, bytes]:
    """The files of an export for `detect`: of Python files the content, of all others the name is enough."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.suffix == ".py" else b"" for path in files
    }
