"""The entrypoint of an app: found in its sources, verified by importing it in the frozen environment, in a child process with a time limit."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import process
from .app_mode import AppMode, connect_mode, find_mode
from .entrypoint_candidates import Candidate, find_candidates, likeliest
from .errors import CommandTimedOut, EntrypointWrong, ModeUnknown

PROBE = Path(__file__).with_name("inside") / "connect_tasks_probe.py"
#: Seconds that an import may take.
TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class Entrypoint:
    """A verified entrypoint. `entrypoint`: module or module:object, a document's path, or "" where the mode has none. `notes`: what the import did besides."""

    mode: AppMode
    entrypoint: str
    notes: tuple[str, ...] = ()


def detect(sources: Mapping[str, str | bytes], mode: str | None = None, entrypoint: str | None = None) -> Entrypoint:
    """Mode and entrypoint of an app by its sources (POSIX path -> content), as far as they are not declared; not yet verified.

    Raises `ModeUnknown` or `EntrypointWrong`, naming the candidates, where nothing or more than one thing fits.
    """
    declared = find_mode(mode) if mode else None
    candidates = find_candidates(sources)
    if entrypoint is not None:
        return Entrypoint(
            mode=declared or _mode_of(entrypoint, candidates), entrypoint=_normal(entrypoint, declared, sources)
        )
    if declared is not None and declared.kind in ("model", "quarto"):
        return Entrypoint(mode=declared, entrypoint="")
    best = likeliest(_documents_of(declared, sources) if declared and not declared.imported else candidates, declared)
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
    untracked: Collection[str] = (),
) -> Entrypoint:
    """Find what is not declared, then import it with `python` in `directory` (an export of the app): the mode and entrypoint that really stand there.

    `untracked`: files of the app's directory that git does not track, so that an import of one is named as what it is. Raises `EntrypointWrong` (with the
    app's own error, or the candidates) and `ModeUnknown`.
    """
    sources = _sources(directory)
    guess = detect(sources, mode, entrypoint)
    if not guess.mode.imported:
        return _verify_document(guess, directory)
    module, _, name = guess.entrypoint.partition(":")
    request = {
        "directory": str(directory),
        "module": module,
        "name": name or None,
        "mode": guess.mode.connect if mode else None if guess.mode.kind != "script" else guess.mode.connect,
        "timeout": timeout,
    }
    result = probe(python, directory, request, env, timeout)
    return judge(guess, result, declared=find_mode(mode) if mode else None, timeout=timeout, untracked=untracked)


def probe(
    python: Path, directory: Path, request: Mapping[str, Any], env: Mapping[str, str], timeout: float
) -> dict[str, Any]:
    """Run the probe: its result, with the end of the app's own output under "output" and the exit status under "status"."""
    with tempfile.TemporaryDirectory(prefix="connect-tasks-probe-") as scratch:
        path = Path(scratch) / "result.json"
        argv = [python, "-I", PROBE, json.dumps({**request, "result": str(path)})]
        try:
            completed = process.run(argv, cwd=directory, env=process.child_environment(env), timeout=timeout + 10)
        except CommandTimedOut:
            return {"outcome": "hangs", "error": {"frames": []}}
        try:
            result: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            result = {"outcome": "died"}
        output = (completed.stdout[-4000:] + completed.stderr[-4000:]).decode("utf-8", "replace")
        return {**result, "status": completed.status, "output": output}


def judge(
    guess: Entrypoint,
    result: Mapping[str, Any],
    *,
    declared: AppMode | None,
    timeout: float,
    untracked: Collection[str] = (),
) -> Entrypoint:
    """What a result of the probe means (pure). Raises `EntrypointWrong`."""
    module, _, _ = guess.entrypoint.partition(":")
    outcome = result["outcome"]
    if outcome == "found":
        chosen = result.get("chosen")
        if chosen is None:
            return Entrypoint(mode=guess.mode, entrypoint=guess.entrypoint, notes=_notes(result))
        return Entrypoint(
            mode=declared or connect_mode(chosen["kind"]) or guess.mode,
            entrypoint=guess.entrypoint,
            notes=_notes(result),
        )
    if outcome == "wrong":
        raise _wrong(guess, result, declared)
    raise _unimportable(module, result, timeout, untracked)


def _wrong(guess: Entrypoint, result: Mapping[str, Any], declared: AppMode | None) -> EntrypointWrong:
    module, _, name = guess.entrypoint.partition(":")
    origin, chosen, objects = result.get("origin"), result.get("chosen"), result["objects"]
    if origin is None or Path(origin).is_absolute():
        stem = module.partition(".")[0]
        return EntrypointWrong(
            f"`import {module}` does not find the app's file but another module of that name",
            where=origin,
            hint=f"rename {stem}.py: the name {stem} is taken",
        )
    fitting = [found for found in objects if declared is None or found["kind"] == declared.connect]
    hint = f'entrypoint = "{module}:{fitting[0]["name"]}"' if fitting else _other_mode(objects)
    if chosen is None:
        what = f"{module} has no {name}" if name else f"{module} has none of app, application, create_app, make_app"
        return EntrypointWrong(what + _found(module, objects), where=origin, hint=hint)
    if chosen["kind"] is not None and declared is not None:
        real = connect_mode(chosen["kind"])
        title = real.title if real else chosen["kind"]
        return EntrypointWrong(
            f"{module}:{chosen['name']} is {title} ({chosen['type']}), not {declared.title}",
            where=origin,
            hint=f'mode = "{real.name}"' if real else hint,
        )
    return EntrypointWrong(
        f"{module}:{chosen['name']} is no app: {chosen['problem']}" + _found(module, objects), where=origin, hint=hint
    )


def _found(module: str, objects: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(f"{module}:{found['name']} ({found['type']})" for found in objects)
    return f"; found {names}" if names else "; found no app object in it"


def _other_mode(objects: Sequence[Mapping[str, Any]]) -> str | None:
    mode = connect_mode(objects[0]["kind"]) if objects else None
    return f'mode = "{mode.name}"' if mode else None


def _unimportable(
    module: str, result: Mapping[str, Any], timeout: float, untracked: Collection[str]
) -> EntrypointWrong:
    outcome, error = result["outcome"], result.get("error", {})
    frames = error.get("frames") or []
    where = f"{frames[-1]['file']}:{frames[-1]['line']}" if frames else None
    line = f" at `{frames[-1]['text']}`" if frames and frames[-1]["text"] else ""
    if outcome == "serves":
        return EntrypointWrong(
            f"importing {module} starts a server{line} and never ends: Connect runs the server itself",
            where=where,
            hint='put it under `if __name__ == "__main__":`',
        )
    if outcome == "hangs":
        return EntrypointWrong(
            f"importing {module} did not end within {timeout:g} s{line}",
            where=where,
            hint="move slow work out of the import",
        )
    if outcome == "exited":
        said = error["message"] or "0"
        return EntrypointWrong(
            f"importing {module} ends the program: SystemExit({said}){line}{_said(result)}", where=where
        )
    if outcome == "died":
        return EntrypointWrong(f"importing {module} ended the process: {_ending(result)}{_said(result)}", where=where)
    own = ": ".join(
        part
        for part in (error["type"], error["message"].strip().splitlines()[0] if error["message"].strip() else "")
        if part
    )
    if named := _untracked_cause(error, untracked):
        return EntrypointWrong(
            f"{module} can't be imported: {own}{line}; git does not track {named}, so it is not shipped",
            where=where,
            hint=f"git add {named} && git commit",
        )
    return EntrypointWrong(f"{module} can't be imported: {own}{line}", where=where, hint=_import_hint(error))


def _untracked_cause(error: Mapping[str, Any], untracked: Collection[str]) -> str | None:
    """The untracked file behind an import error or a missing file."""
    if error.get("file") in untracked:
        return str(error["file"])
    if error["type"] not in ("ModuleNotFoundError", "ImportError") or not error.get("name"):
        return None
    stem = str(error["name"]).replace(".", "/")
    missing = error["message"].partition("import name '")[2].partition("'")[0]
    for wanted in (f"{stem}.py", f"{stem}/", f"{stem}/{missing}.py" if missing else f"{stem}.py"):
        for path in sorted(untracked):
            if path == wanted or (wanted.endswith("/") and path.startswith(wanted)):
                return path
    return None


def _import_hint(error: Mapping[str, Any]) -> str | None:
    shadows = error.get("shadows") or []
    if shadows and error["type"] in ("ImportError", "AttributeError", "ModuleNotFoundError"):
        return f"rename {shadows[0]}: it takes the place of Python's own module of that name"
    if error["type"] == "ModuleNotFoundError" and error.get("name"):
        return f"declare the package that brings {str(error['name']).partition('.')[0]!r} among the dependencies, then python -m connect_tasks freeze"
    return None


def _ending(result: Mapping[str, Any]) -> str:
    status = int(result.get("status", 0))
    if status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}"


def _said(result: Mapping[str, Any]) -> str:
    lines = [line.strip() for line in result.get("output", "").splitlines() if line.strip()]
    return f"; its last words: {lines[-1][:200]}" if lines else ""


def _notes(result: Mapping[str, Any]) -> tuple[str, ...]:
    written = result.get("written") or []
    return (f"importing the app writes {', '.join(written)}",) if written else ()


def _normal(entrypoint: str, mode: AppMode | None, sources: Mapping[str, str | bytes]) -> str:
    """The entrypoint in the form of Connect, `module` or `module:object`; a path of a file is turned into its module where it exists."""
    if mode is not None and not mode.imported:
        if mode.kind in ("notebook", "static") and entrypoint not in sources:
            raise EntrypointWrong(
                f"{entrypoint} does not exist in the app's directory",
                hint="entrypoint = " + json.dumps(_first(sources, mode)),
            )
        return entrypoint
    module, colon, name = entrypoint.partition(":")
    if name.endswith(")"):
        raise EntrypointWrong(
            f"{entrypoint}: Connect calls a factory by its name alone",
            hint=f'entrypoint = "{module}:{name.partition("(")[0]}"',
        )
    if "/" in module or module.endswith(".py"):
        path = module if module.endswith(".py") else module + ".py"
        dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if mode is None or mode.kind != "script":
            raise EntrypointWrong(
                f"{entrypoint} is a file: an entrypoint is module:object", hint=f'entrypoint = "{dotted}{colon}{name}"'
            )
        return dotted + colon + name
    return entrypoint


def _mode_of(entrypoint: str, candidates: Sequence[Candidate]) -> AppMode:
    module = entrypoint.partition(":")[0].removesuffix(".py")
    for candidate in candidates:
        if candidate.entrypoint == entrypoint:
            return candidate.mode
    for candidate in candidates:
        if candidate.entrypoint.partition(":")[0] == module:
            return candidate.mode
    return find_mode("flask")  # to be corrected by what the import finds


def _documents_of(mode: AppMode, sources: Mapping[str, str | bytes]) -> tuple[Candidate, ...]:
    suffix = ".ipynb" if mode.kind == "notebook" else ".html"
    top = sorted(path for path in sources if "/" not in path and path.endswith(suffix))
    if suffix == ".html" and "index.html" in top:
        top = ["index.html"]
    return tuple(Candidate(mode=mode, entrypoint=path, rank=0) for path in top)


def _first(sources: Mapping[str, str | bytes], mode: AppMode) -> str:
    documents = _documents_of(mode, sources)
    return documents[0].entrypoint if documents else "index.html" if mode.kind == "static" else "notebook.ipynb"


def _undecided(
    mode: AppMode | None, best: Sequence[Candidate], every: Sequence[Candidate]
) -> ModeUnknown | EntrypointWrong:
    listed = ", ".join(f"{candidate.entrypoint} ({candidate.mode.name})" for candidate in best or every)
    if not every and mode is None:
        return ModeUnknown(
            "no app of a framework that we know in the directory",
            hint='mode = "flask" and entrypoint = "module:object"',
        )
    if not best:
        wanted = mode.title if mode else "an app"
        return EntrypointWrong(
            f"no entrypoint of {wanted} found; found {listed or 'none at all'}", hint='entrypoint = "module:object"'
        )
    return EntrypointWrong(f"more than one app found: {listed}", hint=f'entrypoint = "{best[0].entrypoint}"')


def _verify_document(guess: Entrypoint, directory: Path) -> Entrypoint:
    if guess.entrypoint and not (directory / guess.entrypoint).is_file():
        raise EntrypointWrong(f"{guess.entrypoint} does not exist in the app's directory")
    return guess


def _sources(directory: Path) -> dict[str, bytes]:
    """The files of an export for `detect`: of Python files the content, of all others the name is enough."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.suffix == ".py" else b"" for path in files
    }
