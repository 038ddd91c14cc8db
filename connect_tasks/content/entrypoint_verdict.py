"""What the probe's result means: the verified entrypoint, or one line with the app's own error first (pure)."""

from __future__ import annotations

import signal
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..configuration.app_mode import AppMode, connect_mode
from ..errors import EntrypointWrong
from .entrypoint_candidates import DEFAULT_NAMES, find_candidates, module_file


@dataclass(frozen=True, kw_only=True)
class Entrypoint:
    """A mode and an entrypoint: module or module:object, a document's path, or "" where the mode has none.

    `notes`: what the import did besides.
    """

    mode: AppMode
    entrypoint: str
    notes: tuple[str, ...] = ()


def judge(
    guess: Entrypoint,
    result: Mapping[str, Any],
    *,
    sources: Mapping[str, str | bytes],
    untracked: Collection[str],
    timeout: float,
) -> Entrypoint:
    """`guess`, verified, with notes. Raises `EntrypointWrong`."""
    if result["outcome"] == "found":
        written = result.get("written") or []
        notes = (f"importing {guess.entrypoint} writes {', '.join(written[:5])}",) if written else ()
        return Entrypoint(mode=guess.mode, entrypoint=guess.entrypoint, notes=notes)
    if result["outcome"] == "wrong":
        raise _wrong(guess, result)
    raise _not_importable(guess, result, sources, untracked, timeout)


def _wrong(guess: Entrypoint, result: Mapping[str, Any]) -> EntrypointWrong:
    """The module was imported, and there is no app of that mode under that name."""
    module, _, name = guess.entrypoint.partition(":")
    origin, chosen, objects = result.get("origin"), result.get("chosen"), result["objects"]
    if not origin or PurePosixPath(origin).is_absolute():
        stem = module.partition(".")[0]
        what = f"`import {module}` finds another module than the app's: the name {stem} is taken"
        return EntrypointWrong(what, where=origin, hint=f"rename {stem}.py")
    fitting = [found for found in objects if found["kind"] == guess.mode.connect]
    cure = f'entrypoint = "{module}:{fitting[0]["name"]}"' if fitting else _cure_by_mode(module, objects)
    if chosen is None:
        names = name or f"none of {', '.join(DEFAULT_NAMES)}"
        what = f"{module} has no {names}" if name else f"{module} has {names}"
        return EntrypointWrong(f"{what}; {_listed(module, objects)}", where=origin, hint=cure)
    called = f"{module}:{chosen['name']}" if chosen["name"] else module
    real = connect_mode(chosen["kind"] or "")
    if real is not None:
        what = f"{called} is {real.title}, {chosen['type']}, and not {guess.mode.title}"
        if fitting:
            return EntrypointWrong(f"{what}; {_listed(module, fitting)}", where=origin, hint=cure)
        return EntrypointWrong(what, where=origin, hint=f'mode = "{real.name}"')
    if guess.mode.kind == "script":
        return EntrypointWrong(
            f"{called} is not {guess.mode.title}: {chosen['problem']}", where=origin, hint="mode = ..."
        )
    found = f"; {_listed(module, objects)}"
    what = f"{called} is not {guess.mode.title}: {chosen['problem']}{found}"
    return EntrypointWrong(what, where=origin, hint=cure)


def _listed(module: str, objects: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(f"{module}:{found['name']} ({found['type']})" for found in objects)
    return f"found {names}" if names else "found no app object there"


def _cure_by_mode(module: str, objects: Sequence[Mapping[str, Any]]) -> str | None:
    mode = connect_mode(objects[0]["kind"]) if objects else None
    return f'mode = "{mode.name}", entrypoint = "{module}:{objects[0]["name"]}"' if mode else None


def _not_importable(
    guess: Entrypoint,
    result: Mapping[str, Any],
    sources: Mapping[str, str | bytes],
    untracked: Collection[str],
    timeout: float,
) -> EntrypointWrong:
    module, error = guess.entrypoint.partition(":")[0], result.get("error", {})
    frames = error.get("frames") or []
    where = f"{frames[-1]['file']}:{frames[-1]['line']}" if frames else module_file(module, sources)
    at = f" at `{frames[-1]['text']}`" if frames and frames[-1].get("text") else ""
    match result["outcome"]:
        case "serves":
            what = f"importing {module} starts a server{at} and never ends; Connect runs the server itself"
            return EntrypointWrong(what, where=where, hint='put it below `if __name__ == "__main__":`')
        case "hangs":
            what = f"importing {module} did not end within {timeout:g} s{at}"
            return EntrypointWrong(what, where=where, hint="move slow work out of the import")
        case "exited":
            what = f"importing {module} ends the program: SystemExit: {error['message'] or 0}{at}{_last_words(result)}"
            return EntrypointWrong(what, where=where, hint="let a module be imported without ending the program")
        case "died":
            what = f"importing {module} ended the process{_ending(result)}{_last_words(result)}"
            return EntrypointWrong(what, where=where, hint=f'python -X faulthandler -c "import {module}"')
    if _is_the_entrypoint_itself(module, error, sources):
        return no_such_module(guess, sources, untracked)
    own = ": ".join(part for part in (error["type"], *error["message"].strip().splitlines()[:1]) if part)[:400]
    if named := _untracked_cause(error, untracked):
        what = f"{module} can't be imported: {own}{at}; git does not track {named}, so it is not shipped"
        return EntrypointWrong(what, where=where, hint=f"git add {named} && git commit")
    return EntrypointWrong(f"{module} can't be imported: {own}{at}", where=where, hint=_import_cure(error))


def _is_the_entrypoint_itself(module: str, error: Mapping[str, Any], sources: Container[str]) -> bool:
    missing = error.get("type") == "ModuleNotFoundError" and not error.get("frames")
    return missing and f"{module}.".startswith(f"{error.get('name')}.") and module_file(module, sources) is None


def no_such_module(
    guess: Entrypoint, sources: Mapping[str, str | bytes], untracked: Collection[str]
) -> EntrypointWrong:
    module = guess.entrypoint.partition(":")[0]
    file = module_file(module, set(untracked))
    if file is not None:
        what = f"git does not track {file}, the module of the entrypoint {guess.entrypoint}"
        return EntrypointWrong(what, where=file, hint=f"git add {file} && git commit")
    names = [candidate.entrypoint for candidate in find_candidates(sources)]
    found = f"found {', '.join(names[:10])}" if names else "found no app at all"
    hint = f'entrypoint = "{names[0]}"' if names else 'entrypoint = "module:object"'
    return EntrypointWrong(f"the app has no module {module} (entrypoint {guess.entrypoint}); {found}", hint=hint)


def _untracked_cause(error: Mapping[str, Any], untracked: Collection[str]) -> str | None:
    """The untracked file behind an import error, or behind a file that the app wanted to read."""
    if error.get("file") in untracked:
        return str(error["file"])
    if error["type"] not in ("ModuleNotFoundError", "ImportError") or not error.get("name"):
        return None
    module, tracked_not = str(error["name"]), set(untracked)
    if error["type"] == "ImportError":  # `from package import module` blames the package, which is there
        missing = error["message"].partition("import name '")[2].partition("'")[0]
        return module_file(f"{module}.{missing}", tracked_not) if missing else None
    below = (path for path in sorted(untracked) if path.startswith(module.replace(".", "/") + "/"))
    return module_file(module, tracked_not) or next(below, None)


def _import_cure(error: Mapping[str, Any]) -> str | None:
    shadows = sorted(error.get("shadows") or [], key=lambda name: name.partition(".")[0] not in error["message"])
    if shadows and error["type"] in ("ImportError", "AttributeError", "ModuleNotFoundError"):
        return f"rename {shadows[0]}: it takes the place of Python's own module of that name"
    if error["type"] == "ModuleNotFoundError" and error.get("name"):
        package = str(error["name"]).partition(".")[0]
        return (
            f"declare what brings {package!r} among the dependencies, then nox -s freeze; "
            f"or git add -f it, where a .gitignore hides it"
        )
    return "mend the app and commit"


def _ending(result: Mapping[str, Any]) -> str:
    status = int(result.get("status", 0))
    if status >= 0:
        return f" with status {status}"
    try:
        return f" by {signal.Signals(-status).name}"
    except ValueError:
        return f" by signal {-status}"


def _last_words(result: Mapping[str, Any]) -> str:
    lines = [line.strip() for line in result.get("output", "").splitlines() if line.strip()]
    return f"; its last words: {lines[-1][:200]}" if lines else ""
