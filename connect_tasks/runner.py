"""Runs a verb: reads the configuration, builds the world, does the deed for each app, and accounts for it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Options
from .calling import Spelling, respell
from .computer_failures import computer_refused
from .configuration import TABLE_OF_AN_APP, TARGET, App, Config, for_path, load, resolve, resolve_all, resolve_every
from .console import Console
from .content.evidence import EvidenceStore
from .errors import InternalError, Interrupted, Problem, ReportUnwritten
from .event_log import EventLog
from .interrupts import terminated_as_interrupt
from .outcome import Report, exit_code
from .pipeline.stage_hooks import run_on_failure
from .repository.git import Git
from .repository.leftovers import remove_leftovers
from .run_limit import limited
from .run_report import hide_from_github, tell_github, write_for_ci, write_json, write_page
from .run_times import TIMED, Times, keep_times, read_times, times_of
from .scratch import scratch
from .secret import Redactor, Secret
from .slot import slot
from .verbs import Verb
from .world import World

if TYPE_CHECKING:
    from .server.connect import Connect

#: Verbs after whose failure the configured commands run.
HOOKED = frozenset({"release", "deploy", "promote", "rollback"})
#: (app, world, report), for all of them at once (apps, world, reports), or without an app (options, environ, directory,
#: console, report).
Deed = Callable[..., None]


def run_verb(
    verb: Verb, options: Options, *, directory: Path, environ: Mapping[str, str], spelled: Spelling = str
) -> int:
    """Do a verb in the repository of `directory` -> the exit code of the verbs (see the README's table).

    `spelled` puts the commands of hints into the words of whoever called us.
    """
    redact = Redactor.of_environment(environ)
    stream = sys.stderr if "-" in {options.json, options.events} or options.matrix else sys.stdout
    events = EventLog(options.events, redact)
    events.begin(verb.name)
    console = Console(stream, redact, environ, events=events)
    reports: list[Report] = []
    if options.source is not None:
        directory /= options.source
    with terminated_as_interrupt():
        try:
            if verb.needs_app:
                # The scratch is first of all: whatever else asks for a temporary file gets it there.
                with scratch() as place, closing(Git.discover(directory, environ)) as git:
                    _run_apps(verb, options, directory, environ, console, redact, reports, git, place, spelled)
            else:
                _run_alone(verb, options, directory, environ, console, reports)
        except BaseException as error:  # noqa: BLE001  # the one place that catches: every run ends with a report
            reports = reports or [Report(verb=verb.name, app=options.app, target=options.target)]
            if environ.get("CONNECT_TASKS_DEBUG"):
                sys.stderr.write(redact("".join(traceback.format_exception(error))))
            reports[-1].fail(_as_problem(error))
    for problem, of in _problems(reports).items():
        respell(problem, spelled)
        console.problem(problem, of=", ".join(of) if len(reports) > 1 and len(of) < len(reports) else "")
    if not verb.every_target:  # its lines are the recap
        console.recap(reports)
    accounts = [partial(write_one, verb.name, options) for write_one in (write_json, write_page, write_for_ci)]
    for account in (*accounts, partial(tell_github, verb.name, environ, console), partial(events.finish, verb.name)):
        try:
            account(reports, redact)
        except ReportUnwritten as problem:
            console.problem(problem)
            reports[-1].error = reports[-1].error or problem
    return exit_code(reports)


def _problems(reports: Iterable[Report]) -> dict[Problem, list[str]]:
    """Each problem once, with the names of the apps that it stopped: one of the repository stops several."""
    found: dict[Problem, list[str]] = {}
    for report in reports:
        if report.error is not None:
            found.setdefault(report.error, []).append(" on ".join(filter(None, (report.app, report.target))))
    return found


def _run_apps(
    verb: Verb,
    options: Options,
    directory: Path,
    environ: Mapping[str, str],
    console: Console,
    redact: Redactor,
    reports: list[Report],
    git: Git,
    place: Path,
    spelled: Spelling,
) -> None:
    config = _configuration(options, git, directory)
    apps = _select(verb, options, config, environ)
    secrets = [Secret(environ[name]) for app in apps for name in app.env if environ.get(name)]
    redact.add(*secrets)
    hide_from_github(secrets, environ, console)
    deed = _deed(verb)
    times = read_times(git.common_dir) if verb.name in TIMED else {}
    accounts = {id(app): _account(verb, app, times) for app in apps}
    remove_leftovers(git, {app.path for app in apps})
    cache = cache_directory(environ, place)
    with slot(cache, place) as place_of_environments:
        world = World(
            git=git,
            environ=environ,
            scratch=place,
            slot=place_of_environments,
            cache=cache,
            console=console,
            evidence=_evidence(options, git),
            connect=partial(_connect, accounts=accounts, environ=environ, redact=redact),
            options=options,
            several_apps=len(config.apps) > 1,
            spelled=spelled,
        )
        try:
            _do_for_all(verb, deed, apps, world, accounts, reports)
        finally:
            if verb.name in TIMED:
                keep_times(git.common_dir, reports)


def _account(verb: Verb, app: App, times: Times) -> Report:
    return Report(verb=verb.name, app=app.name, target=app.target, before=times_of(times, app.name, app.target))


def _do_for_all(
    verb: Verb,
    deed: Deed,
    apps: Sequence[App],
    world: World,
    accounts: Mapping[int, Report],
    reports: list[Report],
) -> None:
    if verb.at_once:
        reports += [accounts[id(app)] for app in apps]
        with limited(sum(app.run_timeout for app in apps)):
            _do(deed, apps, world, reports, failing=reports)
            _tell_of_failures(verb, apps, world, reports)
        return
    for number, app in enumerate(apps):
        report = accounts[id(app)]
        reports.append(report)
        own = world.scratch / str(number)
        own.mkdir()
        if len(apps) > 1 and not verb.every_target:
            world.console.line(f"{app.name}:")
        with limited(app.run_timeout):
            _do(deed, app, replace(world, scratch=own), report, failing=[report])
            _tell_of_failures(verb, [app], world, [report])


def _do(deed: Deed, *inventory: object, failing: Iterable[Report]) -> None:
    """Do it; a problem is put on the account of each of `failing`, and what comes after goes on."""
    try:
        deed(*inventory)
    except Problem as problem:
        for report in failing:
            report.fail(problem)


def _tell_of_failures(verb: Verb, apps: Iterable[App], world: World, reports: Iterable[Report]) -> None:
    """What the configuration wants done when a release, or what is like one, has failed."""
    for app, report in zip(apps, reports, strict=False):
        if verb.name in HOOKED and report.error is not None:
            run_on_failure(app, world, report)


def _run_alone(
    verb: Verb,
    options: Options,
    directory: Path,
    environ: Mapping[str, str],
    console: Console,
    reports: list[Report],
) -> None:
    report = Report(verb=verb.name)
    reports.append(report)
    _do(_deed(verb), options, environ, directory, console, report, failing=[report])


def _configuration(options: Options, git: Git, directory: Path) -> Config:
    if options.path is None:
        return load(git.root, git.directories_with(*TABLE_OF_AN_APP))
    return for_path(git.root, directory / options.path)


def _select(verb: Verb, options: Options, config: Config, environ: Mapping[str, str]) -> tuple[App, ...]:
    if verb.every_target and not (options.target or environ.get(TARGET)):
        return resolve_every(config, options.app, environ)
    if options.app is None and verb.several_apps:
        return resolve_all(config, options.target, environ)
    return (resolve(config, options.app, options.target, environ),)


def _deed(verb: Verb) -> Deed:
    module, function = verb.deed.split(":")
    deed: Deed = getattr(import_module(f"{__package__}.stages.{module}"), function)
    return deed


def _connect(app: App, *, accounts: Mapping[int, Report], environ: Mapping[str, str], redact: Redactor) -> Connect:
    from .server.connect import Connect
    from .server.server_address import find_server

    address = find_server(app, environ)
    redact.add(address.key)
    account = accounts.get(id(app)) if len(accounts) > 1 else next(iter(accounts.values()))
    return Connect(address, account.server if account else None)


def _evidence(options: Options, git: Git) -> EvidenceStore:
    own = git.common_dir / "connect-tasks" / "evidence"
    return EvidenceStore((Path(options.evidence), own) if options.evidence else (own,))


def cache_directory(environ: Mapping[str, str], scratch: Path) -> Path:
    """Where environments and what was asked stay between runs: CONNECT_TASKS_CACHE, else the user's cache directory.
    Who has no home keeps nothing: what lies among everybody's temporary files may be somebody else's."""
    if environ.get("CONNECT_TASKS_CACHE"):
        return Path(environ["CONNECT_TASKS_CACHE"])
    home = environ.get("XDG_CACHE_HOME") or environ.get("LOCALAPPDATA")
    if not home and environ.get("HOME"):
        home = str(Path(environ["HOME"], ".cache"))
    return Path(home, "connect-tasks") if home else scratch / "cache"


def _as_problem(error: BaseException) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", hint="run the same command again: it goes on where this one stopped")
    refused = computer_refused(error) if isinstance(error, OSError) else None
    if refused is not None:
        return refused
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)
    return InternalError(
        f"this is a fault of connect_tasks: {type(error).__name__}: {error}",
        where=where,
        hint="run again with CONNECT_TASKS_DEBUG=1 and report the traceback",
    )
