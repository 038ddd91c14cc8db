"""How our verbs are called here: hints say `nox -s VERB`, and the way in knows what that is in this noxfile. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath

from .errors import Problem, Problems
from .verbs import COMMAND, NAMES

#: Spells the commands in a hint.
Spelling = Callable[[str], str]
_VERB = f"(?:{'|'.join(NAMES)})(?![\\w-])"
_CALL = re.compile(rf"\bnox -s (?P<verbs>{_VERB}(?: {_VERB})*)(?P<dashes> --(?= ))?")
#: What an installation puts on PATH: all that there is of us after `pipx install`, where `python -m` finds nothing.
PROGRAM = "connect-tasks"


def called_as(path: str) -> str:
    """How the command line calls us, by the program's path: `/venv/bin/connect-tasks` -> `connect-tasks`."""
    return PROGRAM if PurePath(path).stem == PROGRAM else COMMAND


def spelling(sessions: Mapping[str, str], command: str = COMMAND) -> Spelling:
    """By the names under which verbs are registered; one that is not is called without nox, by `command`.

    `{"release": "connect_release"}`: `nox -s release -- --force` -> `nox -s connect_release -- --force`;
    `{}`: -> `python -m connect_tasks release --force`.
    """

    def spelled(call: re.Match[str]) -> str:
        verbs = call["verbs"].split()
        if all(name in sessions for name in verbs):
            return f"nox -s {' '.join(sessions[name] for name in verbs)}{call['dashes'] or ''}"
        return " && ".join(f"{command} {name}" for name in verbs)

    return lambda text: _CALL.sub(spelled, text)


def respell(problem: Problem, spelled: Spelling) -> None:
    """Put the hints of a problem, and of all its members, into the words of this place."""
    for each in (problem, *(problem.problems if isinstance(problem, Problems) else ())):
        each.hint = each.hint and spelled(each.hint)
