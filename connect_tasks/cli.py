"""`connect-tasks VERB`, `python -m connect_tasks VERB`: the verbs without nox, with detailed exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import command_line
from .calling import called_as, spelling
from .console import Console, write
from .errors import Interrupted, Problem
from .run_report import write_refusal
from .runner import run_verb
from .secret import Redactor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb -> its exit code, see `verbs.EXIT_CODES`. `--help` and `--version` print and raise SystemExit(0)."""
    given = sys.argv[1:] if arguments is None else arguments
    command = called_as(sys.argv[0])
    spelled = spelling({}, command)
    try:
        verb, options = command_line(given, program=command)
        return run_verb(verb, options, directory=Path.cwd(), environ=os.environ, spelled=spelled)
    except Problem as problem:
        redact = Redactor.of_environment(os.environ)
        console = Console(sys.stderr, redact, os.environ)
        console.problem(problem)
        try:
            write_refusal(given, problem, redact)
        except Problem as unwritten:
            console.problem(unwritten)
        return problem.exit_code
    except KeyboardInterrupt:  # one more, while the first was being told
        return Interrupted.exit_code
    finally:
        write(sys.stdout, "")  # whoever hung up must not change the exit code
