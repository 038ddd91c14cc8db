"""`python -m connect_tasks VERB`: the verbs without nox, with detailed exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import options, parser
from .errors import Problem
from .runner import run_verb
from .verbs import verb


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb -> its exit code: 0 done or nothing to do, 1 failed, 2 drift, 3 unhealthy, 4 usage, 5 locked, 75
    temporary, 130 interrupted."""
    try:
        namespace = parser().parse_args(arguments)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n     next: {problem.hint}\n")
        return problem.exit_code
    return run_verb(verb(namespace.verb), options(namespace), directory=Path.cwd(), environ=os.environ)
