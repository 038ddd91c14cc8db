"""The nox sessions: thin wrappers around the verbs, and the only place that imports nox.

What nox really does, and why this module is as it is, is kept as tests over small noxfiles in `tests/noxfiles`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox
from nox import registry

from .errors import SessionNameTaken
from .verbs import NAMES, Verb, verb

#: How a name of ours that the noxfile has already is spelled instead.
YIELDED = "connect_"
_OURS = "__connect_tasks_verb__"


def register(*names: str, prefix: str = "", **options: Any) -> None:
    """Register our sessions in the noxfile that calls this.

    Without `names`: all of them, and `release_<app>` for each of several apps. A name that the noxfile has already is left to it, and ours becomes
    `connect_<name>`; this form never raises because of names or configuration, so that `nox -s lint` of the same noxfile keeps working.
    With `names`: exactly those; raises `SessionNameTaken` where the noxfile has one already, which `prefix` cures.
    `options` are those of `nox.session` (`tags`, `requires`, `reuse_venv`, ...). Sessions are never default ones: a bare `nox` ships nothing.
    """
    for name in names or NAMES:
        wanted = prefix + name
        if not names and _taken(wanted):
            wanted = YIELDED + wanted
            if _taken(wanted):
                continue
        _register(verb(_known(name)), wanted, app=None, options=options)
    if not names:
        for app in _several_apps():
            wanted = f"{prefix}release_{app}"
            if not _taken(wanted):
                _register(verb("release"), wanted, app=app, options=options)


def register_one(name: str) -> Any:
    """Register one session under its own name and return it; asking again returns the same one."""
    registered = registry.get().get(name)
    if registered is not None and _is_ours(registered, name):
        return registered  # `from package import name` asks twice
    return _register(verb(_known(name)), name, app=None, options={})


def _register(which: Verb, name: str, *, app: str | None, options: dict[str, Any]) -> Any:
    if _taken(name):
        registered = registry.get()[name]
        if _is_ours(registered, which.name):
            return registered
        raise SessionNameTaken(
            f"the noxfile has a session `{name}` already",
            hint=f'connect_tasks.register("{which.name}", prefix="{YIELDED}")',
        )
    settings = {"python": False, "default": False, **options}
    return nox.session(name=name, **settings)(_function(which, app))


def _function(which: Verb, app: str | None) -> Callable[[nox.Session], None]:
    """A real function with a docstring: nox lists its first line, and copies it for other Pythons."""

    def run(session: nox.Session) -> None:
        from .errors import Problem

        arguments = list(session.posargs)
        if app is not None and not any(part == "--app" or part.startswith("--app=") for part in arguments):
            arguments += ["--app", app]
        try:
            status = _run(which, arguments)
        except Problem as problem:
            session.error(str(problem) + (f"; next: {problem.hint}" if problem.hint else ""))
        if status:
            session.error(f"{which.name} ended with exit code {status}")

    run.__name__ = run.__qualname__ = which.name
    run.__doc__ = which.summary if app is None else f"Release the app {app}."
    setattr(run, _OURS, which.name)
    return run


def _run(which: Verb, arguments: list[str]) -> int:
    from .arguments import parse
    from .runner import run_verb

    try:
        options = parse(which, arguments, program=f"nox -s {which.name} --")
    except SystemExit:  # --help was asked for and printed; letting it through would end nox and lose later sessions
        return 0
    return run_verb(which, options, directory=Path.cwd(), environ=os.environ)


def _taken(name: str) -> bool:
    return name in registry.get()


def _is_ours(function: Any, name: str) -> bool:
    return getattr(getattr(function, "func", function), _OURS, None) == name


def _known(name: str) -> str:
    if name not in NAMES:
        raise SessionNameTaken(f"connect_tasks has no session `{name}`", hint=f"choose among {', '.join(NAMES)}")
    return name


def _several_apps() -> tuple[str, ...]:
    """Names of several configured apps; none where the configuration can't be read: that surfaces in our sessions, not in others."""
    from .configuration import app_names
    from .errors import Problem

    try:
        names = app_names(Path.cwd())
    except (Problem, OSError):
        return ()
    return names if len(names) > 1 else ()
