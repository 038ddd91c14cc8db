"""The answers of `doctor`, as values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..errors import Problem, Problems


class Verdict(str, Enum):
    """`SKIP`: it can't be looked at, because of a failure before it."""

    PASS = "pass"  # noqa: S105  # no password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line: what was looked at, how it is, and the command that cures it. `exit_code` is that of its problem."""

    group: str
    name: str
    verdict: Verdict
    detail: str
    hint: str | None = None
    code: str | None = None
    exit_code: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "name": self.name,
            "verdict": str(self.verdict),
            "detail": self.detail,
            "hint": self.hint,
            "code": self.code,
        }


@dataclass(frozen=True, kw_only=True)
class Group:
    """Makes the checks of one group."""

    name: str

    def passed(self, name: str, detail: str) -> Check:
        return Check(group=self.name, name=name, verdict=Verdict.PASS, detail=detail)

    def warned(self, name: str, detail: str, hint: str | None = None) -> Check:
        return Check(group=self.name, name=name, verdict=Verdict.WARN, detail=detail, hint=hint)

    def skipped(self, name: str, detail: str) -> Check:
        return Check(group=self.name, name=name, verdict=Verdict.SKIP, detail=detail)

    def failed(self, name: str, problem: Problem, *, verdict: Verdict = Verdict.FAIL) -> Iterator[Check]:
        """A line for each problem of a group of them."""
        for member in problem.problems if isinstance(problem, Problems) else (problem,):
            yield Check(
                group=self.name,
                name=name,
                verdict=verdict,
                detail=f"{member.message} ({member.where})" if member.where else member.message,
                hint=member.hint,
                code=member.code,
                exit_code=member.exit_code,
            )

    def asked(self, name: str, ask: Callable[[], str]) -> Iterator[Check]:
        """Passed with what `ask` answers, or failed with the problem that it raises."""
        try:
            yield self.passed(name, ask())
        except Problem as problem:
            yield from self.failed(name, problem)


def counted(checks: Iterable[Check]) -> str:
    """`17 pass, 2 warn, 1 fail`, without the zeros."""
    verdicts = [check.verdict for check in checks]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts)
