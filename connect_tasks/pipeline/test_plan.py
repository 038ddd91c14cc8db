"""What will be tested of a candidate and how: the run that would be evidence for it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ..configuration import App
from ..content.candidate import Candidate
from ..content.evidence import TestSubject
from ..errors import RequirementsMissing
from ..repository.git import Git
from ..repository.tree import REQUIREMENTS
from .preparation import Python

_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")


@dataclass(frozen=True, kw_only=True)
class TestPlan:
    """What will be tested and how; `command` is empty where there are no tests."""

    __test__ = False  # pytest must not collect it

    subject: TestSubject
    command: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.command) or "the import of its entrypoint (no tests found)"


def plan_tests(
    app: App, git: Git, candidate: Candidate, python: Python | None, *, ships: str | None = None
) -> TestPlan:
    """The run that would be evidence for this candidate. Pure but for reading tree ids.

    `ships` is the id of the tree that reaches the server, where that is only a part of the candidate.
    """
    requirements = candidate.generated.get(REQUIREMENTS, b"" if python is None else None)
    if requirements is None:
        raise RequirementsMissing("there is no requirements.txt yet", where=app.path, hint="nox -s freeze")
    command = app.test.command or (("pytest",) if python is not None and has_tests(app, candidate) else ())
    outside = tuple((path, _object_at(git, candidate.commit, path)) for path in app.test.paths)
    subject = TestSubject(
        app_tree=ships or candidate.tree_id,
        requirements=hashlib.sha256(requirements).hexdigest(),
        python=f"{python.minor[0]}.{python.minor[1]}" if python else "",
        command=command,
        entrypoint=f"{app.mode or ''} {app.entrypoint or ''}".strip(),
        extra_trees=outside,
    )
    return TestPlan(subject=subject, command=command)


def has_tests(app: App, candidate: Candidate) -> bool:
    return bool(app.test.paths) or any(_TEST_FILE.search(path) for path in candidate.tree)


def _object_at(git: Git, commit: str, path: str) -> str:
    """The id of a tree or blob, "" where there is none."""
    found = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
    return found.text.strip() if found.ok else ""
