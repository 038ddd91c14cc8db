"""The nox sessions: thin wrappers around the verbs, and the only place that imports nox.

What nox really does, and why this module is as it is, is kept as tests over small noxfiles in `tests/noxfiles`.
"""

from __future__ import annotations

import ast
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nox
from nox import registry

from .errors import Interrupted, Problem, SessionNameTaken, UsageWrong
from .garbage import seldom_collected
from .verbs import EXIT_CODES, NAMES, Verb, verb

#: How a name of ours that the noxfile has already is spelled instead.
YIELDED = "connect_"
_OURS = "__connect_tasks__"


def register(*names: str, prefix: str = "", **options: Any) -> None:
    """Register our sessions in the noxfile that calls this.

    Without `names`: all of them, and `release_<app>` for each of several apps. A name that the noxfile has already is
    left to it, and ours becomes `connect_<name>`; this form never raises because of names or configuration, so that
    `nox -s lint` of the same noxfile keeps working.
    With `names`: exactly those; raises `SessionNameTaken` where the noxfile has one already, which `prefix` cures, and
    `UsageWrong` for a name that is none of ours. Asking twice changes nothing.
    `options` are those of `nox.session` (`tags`, `requires`, ...). Sessions are never default ones, a bare `nox` ships
    nothing, unless `default=True` is said of sessions by name.
    """
    if options.get("default") and not names:
        raise UsageWrong('a bare `nox` would ship; name sessions: connect_tasks.register("check", default=True)')
    for name in names or NAMES:
        _place(_known(name), prefix + name, options, yields=not names)
    if not names:
        for app in _several_apps():
            _place(verb("release"), f"{prefix}release_{app}", options, yields=True, app=app)


def register_one(name: str) -> Any:
    """Register one session under its own name and return it; asking again returns the same one.

    `from package import name` asks twice (T1).
    """
    return _place(_known(name), name, {}, yields=False)


def _place(which: Verb, wanted: str, options: dict[str, Any], *, yields: bool, app: str | None = None) -> Any:
    """The session under `wanted`, or where that `yields` to one of the noxfile's, under another name."""
    sessions = registry.get()
    for name in (wanted, YIELDED + wanted) if yields else (wanted,):
        there = sessions.get(name)
        if there is None:
            return nox.session(name=name, **(_DEFAULTS | options))(_function(which, app))
        ours = getattr(there, _OURS, None) == (which.name, app)
        if ours and (yields or not options):
            return there
    if yields:
        return None
    raise SessionNameTaken(_taken(which, wanted, ours=ours))


#: No environment: a session is our own code in nox's process, and a Python that nox can't find (`-P 3.12`, T23) is no
#: reason to skip it. Never beside another: what it reads, the other might be writing (T17).
_DEFAULTS: dict[str, Any] = {"python": False, "venv_backend": "none", "default": False, "allow_parallel": False}


def _taken(which: Verb, wanted: str, *, ours: bool) -> str:
    """The cure stands in the message: the last line of the traceback with which nox ends is all that people read."""
    if ours:
        return f'session `{wanted}` is registered already: call register("{which.name}", ...) before that'
    cure = f'connect_tasks.register("{which.name}", prefix="{YIELDED}")'
    return f"the noxfile has a session `{wanted}` already; register ours under another name: {cure}"


def _known(name: str) -> Verb:
    if name not in NAMES:
        from .arguments import resembling

        raise UsageWrong(f"connect_tasks has no session `{name}`{resembling(name, NAMES)}; it has {', '.join(NAMES)}")
    return verb(name)


def _several_apps() -> tuple[str, ...]:
    """Names of several configured apps; none where the configuration can't be read: our sessions will say so (T14)."""
    from .configuration import TABLE_OF_AN_APP, app_names
    from .repository.nested_files import nested_directories

    here = Path.cwd()
    try:
        names = app_names(here, nested_directories(here, *TABLE_OF_AN_APP, os.environ))
    except (Problem, OSError):
        return ()
    return names if len(names) > 1 else ()


# the session itself ---------------------------------------------------------------------------------------------------


def _function(which: Verb, app: str | None) -> Callable[[nox.Session], None]:
    """A real function with a docstring: nox lists its first line, and copies it for other Pythons (T5)."""

    def run(session: nox.Session) -> None:
        if not _was_named(session):
            session.skip(f"nobody named it; to run it: nox -s {session.name}")
        try:
            with _libraries_quiet(), seldom_collected():
                status = _run(which, app, session)
        except Problem as problem:
            session.error(_one_line(problem))
        if status == Interrupted.exit_code:
            raise KeyboardInterrupt  # nox ends here: after session.error it would go on with the next session
        if status:
            session.error(f"exit code {status}, {EXIT_CODES.get(status, 'failed')}")

    run.__name__ = run.__qualname__ = which.name
    summary = which.summary if app is None else f"Release the app {app}."
    run.__doc__ = f"{summary}\n\n{which.manual}\n\nArguments: nox -s {which.name} -- --help"
    setattr(run, _OURS, (which.name, app))
    return run


def _run(which: Verb, app: str | None, session: nox.Session) -> int:
    from .arguments import parse
    from .calling import spelling
    from .runner import run_verb

    arguments = list(session.posargs)
    if app is not None and not any(part == "--app" or part.startswith("--app=") for part in arguments):
        arguments += ["--app", app]
    try:
        options = parse(which, arguments, program=f"nox -s {session.name} --")
    except UsageWrong as problem:
        from .run_report import write_refusal
        from .secret import Redactor

        write_refusal([which.name, *arguments], problem, Redactor.of_environment(os.environ))
        raise
    except SystemExit:  # --help was printed; let through, it would end nox and lose later sessions (T18)
        return 0
    return run_verb(which, options, directory=Path.cwd(), environ=os.environ, spelled=spelling(_names()))


def _names() -> dict[str, str]:
    """Verb -> the name under which it is registered in this noxfile."""
    ours = ((getattr(function, _OURS, None), name) for name, function in registry.get().items())
    return {what[0]: name for what, name in ours if what is not None and what[1] is None}


@contextmanager
def _libraries_quiet() -> Iterator[None]:
    """nox logs at DEBUG for the whole process: GitPython's every argv, urllib3's every request, and across our line."""
    root, of_nox = logging.getLogger(), logging.getLogger("nox")
    levels = root.level, of_nox.level
    of_nox.setLevel(of_nox.level or root.level)
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(levels[0])
        of_nox.setLevel(levels[1])


def _was_named(session: nox.Session) -> bool:
    """False where `nox -k "not lint"` selected a session that nobody asked for; `default=False` does not help (T9)."""
    runner = getattr(session, "_runner", None)
    keywords = getattr(getattr(runner, "global_config", None), "keywords", None)
    if runner is None or not keywords:
        return True
    words = [node.id for node in ast.walk(ast.parse(keywords, mode="eval")) if isinstance(node, ast.Name)]
    return any(word in name for word in words for name in (runner.name, *runner.tags))


def _one_line(problem: Problem) -> str:
    from .secret import Redactor

    return Redactor.of_environment(os.environ)(f"{problem}; next: {problem.hint}" if problem.hint else str(problem))
