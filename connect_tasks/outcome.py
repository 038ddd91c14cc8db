"""What a run came to, as values; text and JSON are renderings of them. Pure.

The JSON report has schema 1 and is written on failure too, see `Report.as_json`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import Problem, Problems
from .server.stopwatch import Stopwatch

if TYPE_CHECKING:
    from .content.manifest_changes import ManifestChange  # at run time it would bring pathspec along, for each verb

SCHEMA = 1
#: The exit code of a plan that is not empty; no error.
PENDING = 2
#: The plan of an app for which nothing is to be done, see `Planned.as_json`.
EMPTY_PLAN: Mapping[str, Any] = MappingProxyType(
    {"actions": (), "diffs": {}, "commit": None, "push": None, "carried": (), "calls": ()}
)
#: Exit codes, the one that a person must look at first in front: of several apps it is the run's.
GRAVEST = (130, 4, 1, 5, 75, 3, PENDING)
#: Lines of a run's log that are kept.
LOG = 2000


class Result(str, Enum):
    """`CHANGED`: something was written anywhere. `NOOP`: nothing had to be. `OK`: a reading verb found all well."""

    OK = "ok"
    NOOP = "noop"
    CHANGED = "changed"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """One line of the recap. `seconds` come from the monotonic clock; `before`: those of the last run's, if known."""

    name: str
    result: Result
    seconds: float
    detail: str = ""
    before: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "result": str(self.result),
            "seconds": round(self.seconds, 3),
            "before": self.before,
            "detail": self.detail,
        }


@dataclass(kw_only=True)
class Report:
    """The account of one app's run, filled in as the run goes on, so that a failure leaves what was done."""

    verb: str
    app: str | None = None
    target: str | None = None
    result: Result = Result.OK
    commit: str | None = None
    pushed: str | None = None
    bundle: str | None = None
    live_commit: str | None = None
    url: str | None = None
    stages: list[StageOutcome] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)  # "sha subject" of what is new since the live one
    changes: list[ManifestChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    state: Mapping[str, Any] | None = None  # of `status`: see `LiveState.as_json`
    plan: Mapping[str, Any] | None = None  # of `plan`: see `Planned.as_json`
    error: Problem | None = None
    server: Stopwatch = field(default_factory=Stopwatch)  # how long was waited for Connect, within the stages
    before: Mapping[str, float] = field(default_factory=dict)  # seconds of the last run, by `time_key`
    # For the page alone:
    diffs: dict[str, str] = field(default_factory=dict)  # path -> unified diff of a generated file
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG))  # lines of others: server, tests, git

    def fail(self, problem: Problem) -> None:
        self.result = Result.FAILED
        self.error = problem

    def time_key(self, stage: str, result: Result) -> str:
        """What a stage's time is compared by: the verb and the stage; of those that are quick for another reason where
        a run finds that nothing is to be done, that too."""
        return f"{self.verb} {stage}" + (" noop" if result is Result.NOOP and stage in {"facts", "server"} else "")

    @property
    def servers_share(self) -> StageOutcome:
        """How long was waited for Connect, beside the same of the last run that ended alike."""
        before = self.before.get(self.time_key("server", self.result))
        return StageOutcome(name="server", result=self.result, seconds=self.server.seconds, before=before)

    @property
    def exit_code(self) -> int:
        """Of the verbs: that of the error, or 2 for a plan with something in it."""
        if self.error is not None:
            return self.error.exit_code
        return PENDING if self.plan is not None and self.plan["actions"] else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "verb": self.verb,
            "result": str(self.result),
            "app": self.app,
            "target": self.target,
            "commit": self.commit,
            "pushed": self.pushed,
            "bundle": self.bundle,
            "live_commit": self.live_commit,
            "url": self.url,
            "stages": [stage.as_json() for stage in self.stages],
            "server": {"seconds": round(self.server.seconds, 3), "before": self.servers_share.before},
            "commits": list(self.commits),
            "changes": [asdict(change) for change in self.changes],
            "notes": list(self.notes),
            **({} if self.state is None else {"state": dict(self.state)}),
            **({} if self.plan is None else {"plan": dict(self.plan)}),
            "error": None if self.error is None else error_as_json(self.error),
        }


def error_as_json(problem: Problem) -> dict[str, Any]:
    """`{"code", "message", "where", "hint"}`; a group adds `"all"`, the same four for each member."""
    one: dict[str, Any] = {
        "code": problem.code,
        "message": _sentence(problem),
        "where": problem.where,
        "hint": problem.hint,
    }
    if isinstance(problem, Problems):
        one["all"] = [error_as_json(member) for member in problem.problems]
    return one


def _sentence(problem: Problem) -> str:
    return f"{problem.message} ({problem.where})" if problem.where else problem.message


def summarise(results: Iterable[Result]) -> Result:
    """One word for several: failed beats changed beats ok beats noop."""
    found = set(results)
    for result in (Result.FAILED, Result.CHANGED, Result.OK):
        if result in found:
            return result
    return Result.NOOP


def exit_code(reports: Iterable[Report]) -> int:
    """Of a run over several apps: what another try would not cure goes before what it may, and that before drift."""
    codes = {report.exit_code for report in reports}
    return next((code for code in GRAVEST if code in codes), max(codes, default=0))


def several_as_json(verb: str, reports: Iterable[Report]) -> Mapping[str, Any]:
    """The report of a run over several apps."""
    apps = list(reports)
    return {
        "schema": SCHEMA,
        "verb": verb,
        "result": str(summarise(report.result for report in apps)),
        "apps": [report.as_json() for report in apps],
    }


def told_as_json(verb: str, reports: Sequence[Report]) -> Mapping[str, Any]:
    """The account of a run: of its only app, or of several."""
    return reports[0].as_json() if len(reports) == 1 else several_as_json(verb, reports)


@dataclass(kw_only=True)
class Stage:
    """A stage under way: the doer sets how it went; the clock is ours."""

    name: str
    result: Result = Result.OK
    detail: str = ""
    started: float = field(default_factory=monotonic)

    def finished(self) -> StageOutcome:
        return StageOutcome(name=self.name, result=self.result, seconds=monotonic() - self.started, detail=self.detail)


@contextmanager
def recorded(report: Report, name: str) -> Iterator[Stage]:
    """Time a stage and put it into the report, failed when an exception passes through."""
    stage = Stage(name=name)
    try:
        yield stage
    except BaseException as error:
        stage.result = Result.FAILED
        stage.detail = error.message if isinstance(error, Problem) else type(error).__name__
        raise
    finally:
        done = stage.finished()
        report.stages.append(replace(done, before=report.before.get(report.time_key(name, done.result))))
