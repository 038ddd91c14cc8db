"""The account of a run in files: JSON for scripts, a page for people, and what CI systems read.

Everything passes the redactor, and files of ours are readable by their owner alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .arguments import Options, own_version
from .atomic_file import remove_half_written, write_private
from .console import Console, write
from .errors import Problem, ReportUnwritten
from .foreign_text import plain
from .outcome import Report, told_as_json
from .secret import Redactor, Secret, each_text


def write_json(verb: str, options: Options, reports: Sequence[Report], redact: Redactor) -> None:
    """The report as JSON, where it was asked for. Raises `ReportUnwritten`."""
    if options.json is None:
        return
    text = json.dumps(redact.data(told_as_json(verb, reports)), indent=2, ensure_ascii=True) + "\n"
    if options.json == "-":
        write(sys.stdout, text)
        return
    _write_file(Path(options.json), text)


def write_page(verb: str, options: Options, reports: Sequence[Report], redact: Redactor) -> None:
    """The report as a page, where it was asked for. Raises `ReportUnwritten`."""
    if options.html is None:
        return
    from .html_report import render

    told = [{**report.as_json(), "diffs": report.diffs, "log": report.log} for report in reports]
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    _write_file(Path(options.html), render(verb, _shown(told, redact), when=when, version=own_version()))


def write_for_ci(verb: str, options: Options, reports: Sequence[Report], redact: Redactor) -> None:
    """The files that CI systems read, those that were asked for. Raises `ReportUnwritten`."""
    if not (options.junit or options.dotenv or options.code_quality):
        return
    from . import ci_account

    told = [_shown(report.as_json(), redact) for report in reports]
    if options.junit:
        _write_file(Path(options.junit), ci_account.junit(verb, told))
    if options.dotenv:
        _write_file(Path(options.dotenv), ci_account.dotenv(told))
    if options.code_quality:
        _write_file(Path(options.code_quality), ci_account.code_quality(told))


def tell_github(
    verb: str, environ: Mapping[str, str], console: Console, reports: Sequence[Report], redact: Redactor
) -> None:
    """In a job of GitHub Actions: its summary, its outputs, and annotations. Raises `ReportUnwritten`."""
    if not is_github(environ):
        return
    from . import ci_account

    told = [_shown(report.as_json(), redact) for report in reports]
    _append(environ.get("GITHUB_STEP_SUMMARY"), ci_account.job_summary(verb, told))
    _append(environ.get("GITHUB_OUTPUT"), "".join(f"{key}={text}\n" for key, text in ci_account.outputs(told).items()))
    console.command("".join(f"{line}\n" for line in ci_account.error_annotations(told)))


def hide_from_github(secrets: Iterable[Secret], environ: Mapping[str, str], console: Console) -> None:
    """In a job of GitHub Actions: what its log never shows, whoever prints it. The runner swallows these lines."""
    if is_github(environ):
        from .ci_account import mask

        console.command("".join(mask(secret.reveal()) for secret in secrets))


def is_github(environ: Mapping[str, str]) -> bool:
    return environ.get("GITHUB_ACTIONS") == "true"


def write_refusal(arguments: Sequence[str], problem: Problem, redact: Redactor) -> None:
    """The report of a command line that could not be read, where it asks for one. Raises `ReportUnwritten`."""
    place = _named_file(arguments) if arguments and not arguments[0].startswith("-") else None
    if place is not None:
        report = Report(verb=arguments[0])
        report.fail(problem)
        write_json(report.verb, Options(json=place), [report], redact)


def _named_file(arguments: Sequence[str]) -> str | None:
    """What `--json` names, as far as that can be told."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument.startswith("--json="):
            return argument.removeprefix("--json=") or None
        if argument == "--json":
            return following if following == "-" or not following.startswith("-") else None
    return None


def _shown(data: Any, redact: Redactor) -> Any:
    """For people: without secrets, and without what steers a terminal or turns the direction of a line."""
    return each_text(data, lambda text: redact(plain(text)))


def _append(place: str | None, text: str) -> None:
    """To a file that the CI system made for this step."""
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ReportUnwritten(f"the job's account could not be written: {error.strerror}", where=place) from None


def _write_file(path: Path, text: str) -> None:
    """All of it or nothing, readable by its owner alone."""
    try:
        remove_half_written(path.absolute().parent)
        write_private(path.absolute(), text)
    except OSError as error:
        raise ReportUnwritten(
            f"the report could not be written: {error.strerror}",
            where=str(path),
            hint="name a FILE in a directory that exists and has room",
        ) from None
