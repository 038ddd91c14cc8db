"""The one grammar of arguments, for nox sessions (after `--`) and for `python -m connect_tasks`."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import UsageWrong
from .verbs import COMMAND, EXIT_CODES, NAMES, VERBS, Argument, Verb, verb

WIDTH = 100
_ENVIRONMENT = "CONNECT_SERVER and CONNECT_API_KEY name the server and your key, as for Posit's own tools."


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of one call of a verb; those that the verb does not have keep their defaults."""

    app: str | None = None
    target: str | None = None
    path: str | None = None
    json: str | None = None
    events: str | None = None
    html: str | None = None
    junit: str | None = None
    dotenv: str | None = None
    code_quality: str | None = None
    upgrade: tuple[str, ...] = ()  # "" among them: everything
    offline: bool = False
    evidence: str | None = None
    no_test: str | None = None
    allow_dirty: bool = False
    force: bool = False
    pull_request: bool = False
    staged: bool = False
    keep: bool = False
    source: str | None = None
    port: int = 3939
    data: str | None = None
    wait: float | None = None
    to: str | None = None
    source_target: str | None = None
    yes: bool = False
    dry_run: bool = False
    pre_commit: bool = False
    ci: str | None = None
    work_tree: bool = False
    jobs: int = 1
    changed_since: str | None = None
    matrix: str | None = None


class _Parser(argparse.ArgumentParser):
    """Its errors are ours: one line, and the next command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageWrong(message, hint=f"{self.prog} --help")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, but an unknown option hears which one it resembles."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [flag for action in self._actions for flag in action.option_strings]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{resembling(unknown[0].split('=')[0], known)}")
        return found


def command_line(arguments: Sequence[str], *, program: str = COMMAND) -> tuple[Verb, Options]:
    """What `PROGRAM ARGUMENTS` asks for. Raises as `parse`."""
    if arguments and arguments[0] in NAMES:
        which = verb(arguments[0])
        return which, parse(which, arguments[1:], program=f"{program} {which.name}")
    top = _overview(program)
    word = arguments[0] if arguments else "-"
    if not word.startswith("-"):
        top.error(f"there is no verb `{word}`{resembling(word, NAMES)}")
    top.parse_known_args(list(arguments))  # --help and --version end here
    raise UsageWrong("a VERB comes first", hint=f"{program} --help")


def parse(which: Verb, arguments: Sequence[str], *, program: str) -> Options:
    """The arguments of one verb. Raises `UsageWrong`; `--help` prints and raises SystemExit(0)."""
    parser = _Parser(prog=program, description=_wrapped(which.summary, which.manual), epilog=_epilog(which, program))
    _add(parser, "which app", which.which)
    _add(parser, "how", (*which.own, *which.reports))
    values = vars(parser.parse_args(list(arguments)))
    if values["json"] == values.get("events") == "-":
        parser.error("--json - and --events -: only one of them can have standard output")
    values["upgrade"] = tuple(values.get("upgrade") or ())
    return Options(**values)


def resembling(word: str, words: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(words), n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""


def _overview(program: str) -> argparse.ArgumentParser:
    width = max(map(len, NAMES))
    lines = [f"  {entry.name:<{width}}  {entry.summary}" for entry in VERBS]
    top = _Parser(
        prog=program,
        usage=f"{program} VERB [--app NAME] [--target NAME] [--json FILE] [...]",
        description="\n".join(("Release a Python app to Posit Connect by the git-backed route.", "", "verbs:", *lines)),
        epilog="\n".join(
            (f"each has its own manual: {program} VERB --help", "", _wrapped(_ENVIRONMENT), "", _exit_codes())
        ),
    )
    top.add_argument("--version", action="version", version=f"connect-tasks {own_version()}")
    top.add_argument("--explain", metavar="CT###", action=_Explain, help="what a code means, why, and what to do next")
    return top


class _Explain(argparse.Action):
    """`--explain CT402` prints the page of a problem: offline, and of the version that is installed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002  # argparse's own signature
        values: Any,
        option: str | None = None,
    ) -> NoReturn:
        from .errors.explained import explain, kinds

        wanted = {kind.code: kind for kind in kinds()}
        code = str(values).upper()
        if code not in wanted:
            parser.error(f"argument {option}: there is no code {values}{resembling(code, wanted)}")
        sys.stdout.write(_wrapped(*explain(wanted[code]).text.split("\n\n")) + "\n")
        parser.exit()


def _add(parser: argparse.ArgumentParser, title: str, arguments: Iterable[Argument]) -> None:
    group = parser.add_argument_group(title)
    for argument in arguments:
        group.add_argument(*argument.flags, **argument.options)  # type: ignore[arg-type]  # data of our own table


def _epilog(which: Verb, program: str) -> str:
    examples = [f"  {program} {example}".rstrip().removesuffix(" --") for example in which.examples]
    return "\n".join(("examples:", *examples, "", _wrapped(_ENVIRONMENT), "", _exit_codes()))


def own_version() -> str:
    """The version that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("connect-tasks")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"


def _exit_codes() -> str:
    codes = (f"  {code:<4} {words}" for code, words in EXIT_CODES.items())
    return "\n".join(("exit codes (under nox every failure is 1):", *codes))


def _wrapped(*paragraphs: str) -> str:
    return "\n\n".join(textwrap.fill(paragraph, WIDTH, break_on_hyphens=False) for paragraph in paragraphs)
