"""`init`: makes a directory with an app one that can be rehearsed and released. Shows what it writes before it does."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .. import process
from ..arguments import Options
from ..atomic_file import write_file
from ..configuration.app_mode import find_mode
from ..console import Console
from ..errors import FileUnwritten, UsageWrong
from ..onboarding.init_plan import InitPlan, Surroundings, Wishes, plan_init
from ..onboarding.surroundings import look_around
from ..onboarding.work_files import WorkFiles
from ..outcome import Report, Result
from ..repository.git_environment import git_environment
from ..repository.git_messages import failed


def init(options: Options, environ: Mapping[str, str], directory: Path, console: Console, report: Report) -> None:
    """Look, plan, show, ask, write; a directory that has everything is left as it is. Raises what `look_around` raises,
    `UsageWrong` where there is nobody to ask, `FileUnwritten`."""
    with console.stage(report, "look") as look:
        files, there = look_around(directory, options.path, environ)
        look.detail = _found(there)
    plan = plan_init(there, _wishes(options, files, there))
    report.notes += plan.notes
    report.state = {
        "root": str(files.root),
        "git_init": plan.git_init,
        "apps": [
            {"name": app.name, "path": app.path, "mode": app.mode, "entrypoint": app.entrypoint} for app in there.apps
        ],
        "files": [asdict(change) for change in plan.files],
        "next": list(_next(plan)),
    }
    _show(plan, files, console)
    if plan.empty:
        report.result = Result.NOOP
        console.note("nothing to do: all is there")
    elif options.dry_run:
        console.note("nothing is written: --dry-run")
        return
    elif options.yes or _agreed():
        with console.stage(report, "write") as write:
            _write(plan, files.root, environ)
            write.result, write.detail = Result.CHANGED, ", ".join(change.path for change in plan.files)
        report.result = Result.CHANGED
    else:
        console.note("nothing is written")
        return
    console.line("   next:")
    for command in _next(plan):
        console.line(f"     {command}")


def _found(there: Surroundings) -> str:
    if there.configured:
        return "[tool.connect-tasks] is there already"
    return "; ".join(
        f"{find_mode(app.mode).title} in {app.path}" + (f", entrypoint {app.entrypoint}" if app.entrypoint else "")
        for app in there.apps
    )


def _wishes(options: Options, files: WorkFiles, there: Surroundings) -> Wishes:
    """What the arguments ask for; on a terminal the rest is offered."""
    wished = Wishes(pre_commit=options.pre_commit, ci=options.ci)
    if options.yes or options.dry_run or not _terminal():
        return wished
    plain = plan_init(there, wished)
    if plain.empty:
        return wished
    system = _ci_system(files)
    if not wished.pre_commit:
        wished = Wishes(
            pre_commit=_answer("add the pre-commit hook that checks the generated files? [y/N] "), ci=wished.ci
        )
    if wished.ci is None and system is not None and _answer(f"add a workflow for {system}? [y/N] "):
        wished = Wishes(pre_commit=wished.pre_commit, ci=system)
    return wished


def _ci_system(files: WorkFiles) -> str | None:
    """By the remote's host, or by what is there."""
    urls = " ".join(files.git.remote_url(name) or "" for name in files.git.remotes()) if files.git else ""
    words = urls + " ".join(path for path in files.paths if path.startswith((".github/", ".gitlab")))
    return next((system for system in ("github", "gitlab") if system in words), None)


def _show(plan: InitPlan, files: WorkFiles, console: Console) -> None:
    if plan.git_init:
        console.line(f"   git init {shlex.quote(str(files.root))}")
    for change in plan.files:
        for line in change.diff():
            console.line(f"   {line}")
    for note in plan.notes:
        console.note(f"note: {note}")


def _terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    except ValueError:  # closed
        return False


def _agreed() -> bool:
    if not _terminal():
        raise UsageWrong("there is no terminal to ask on", hint="add --yes to write this, --dry-run to look at it")
    return _answer("write this? [y/N] ")


def _answer(question: str) -> bool:
    try:
        return input(f"   {question}").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _write(plan: InitPlan, root: Path, environ: Mapping[str, str]) -> None:
    if plan.git_init:
        argv = ["git", "-c", "init.defaultBranch=main", "init", "--quiet"]
        made = process.run(argv, cwd=root, env=git_environment(environ, {}), timeout=60)
        if not made.ok:
            raise failed(made)
    for change in plan.files:
        path = root / change.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, change.new.encode())
        except OSError as error:
            raise FileUnwritten(
                f"{change.path} could not be written: {error.strerror}",
                where=str(path),
                hint="make it writable, then run init again: it goes on where it stopped",
            ) from None


def _next(plan: InitPlan) -> tuple[str, ...]:
    """In the order of use. Our own command where a shell finds it, else the module."""
    ours = "connect-tasks" if shutil.which("connect-tasks") else "python -m connect_tasks"
    commit = ("git add --all && git commit -m 'Release by connect_tasks'",) if not plan.empty else ()
    return (f"{ours} rehearse", *commit, f"{ours} doctor")
