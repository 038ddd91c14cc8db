"""What every problem is, whatever it is about."""

from __future__ import annotations

from typing import ClassVar


class Problem(Exception):
    """Something a person can mend. `where` is a file, a line or a URL; `hint` is the next command."""

    code: ClassVar[str] = "CT000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return f"{self.code}: {self.message}{where}"


class Problems(Problem):
    """Several problems found in one pass; people mend them all at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            raise ValueError("an empty group of problems")
        self.problems = problems
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.message + more, where=first.where, hint=first.hint)
        self.code = first.code  # type: ignore[misc]  # the group speaks with the voice of its first member
        self.exit_code = max(problem.exit_code for problem in problems)  # type: ignore[misc]  # same


def raise_all(problems: list[Problem]) -> None:
    """Raise nothing, the only problem, or all of them together; what two facts found is told once."""
    told = tuple({(problem.code, problem.message, problem.where): problem for problem in reversed(problems)}.values())
    if len(told) == 1:
        raise told[0]
    if told:
        raise Problems(told[::-1])
