"""The one grammar of arguments, for nox sessions (after `--`) and for `python -m connect_tasks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import UsageWrong
from .verbs import COMMON, VERBS, Verb


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of one call of a verb; those that the verb does not have keep their defaults."""

    app: str | None = None
    target: str | None = None
    path: str | None = None
    json: str | None = None
    upgrade: tuple[str, ...] = ()  # "" among them: everything
    offline: bool = False
    evidence: str | None = None
    no_test: str | None = None
    allow_dirty: bool = False
    force: bool = False
    staged: bool = False
    keep: bool = False
    source: str | None = None
    port: int = 3939
    data: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageWrong(message, hint=f"{self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The grammar of `python -m connect_tasks`."""
    top = _Parser(
        prog="python -m connect_tasks",
        description="Release a Python app to Posit Connect by the git-backed route.",
        epilog="Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending, 3 live but unhealthy, "
        "4 usage or configuration, 5 lock held, 75 temporary, 130 interrupted.",
        allow_abbrev=False,
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for verb in VERBS:
        _add(verbs.add_parser(verb.name, help=verb.summary, description=verb.summary, allow_abbrev=False), verb)
    return top


def parse(verb: Verb, arguments: Sequence[str], *, program: str) -> Options:
    """The arguments of one verb. Raises `UsageWrong`; `--help` prints and raises SystemExit(0)."""
    own = _Parser(prog=program, description=verb.summary, allow_abbrev=False)
    _add(own, verb)
    return options(own.parse_args(list(arguments)))


def options(namespace: argparse.Namespace) -> Options:
    values: dict[str, Any] = {key: value for key, value in vars(namespace).items() if key != "verb"}
    values["upgrade"] = tuple(values.get("upgrade") or ())
    return Options(**values)


def _add(target: argparse.ArgumentParser, verb: Verb) -> None:
    for argument in (*COMMON, *verb.arguments):
        target.add_argument(*argument.flags, **argument.options)  # type: ignore[arg-type]  # data of our own table
