"""The times of the last run's stages, to be shown beside those of this one. A hint: who can't keep it does without.

One file below git's common directory, readable by its owner only.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .atomic_file import write_private
from .outcome import Report, Result

#: Verbs whose times are compared: those that ship. (A rehearsal leaves nothing behind.)
TIMED = frozenset({"release", "deploy", "promote", "rollback"})
#: Apps on targets that are remembered, those that ran last.
KEPT = 2000
Times = Mapping[str, Mapping[str, float]]


def read_times(common_dir: Path) -> Times:
    """Seconds by app with its target, and by stage (see `Report.before`)."""
    try:
        data = json.loads(_file(common_dir).read_text("utf-8"))
        return {
            str(app): {str(stage): float(seconds) for stage, seconds in stages.items()} for app, stages in data.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def times_of(times: Times, app: str | None, target: str | None) -> Mapping[str, float]:
    return times.get(_name(app, target), {})


def keep_times(common_dir: Path, reports: Sequence[Report]) -> None:
    """Remember those of a run, failed stages aside. Two that end at once keep one's."""
    times = dict(read_times(common_dir))
    for report in reports:
        if report.verb in TIMED and report.stages:
            name = _name(report.app, report.target)
            times[name] = {**times.pop(name, {}), **_times(report)}  # popped: those that ran last stand last
    with contextlib.suppress(OSError):
        file = _file(common_dir)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, json.dumps(dict(list(times.items())[-KEPT:])))


def _times(report: Report) -> dict[str, float]:
    done = [stage for stage in report.stages if stage.result is not Result.FAILED]
    found = {report.time_key(stage.name, stage.result): round(stage.seconds, 3) for stage in done}
    if report.error is None:
        found[report.time_key("server", report.result)] = round(report.server.seconds, 3)
    return found


def _name(app: str | None, target: str | None) -> str:
    return f"{app or ''}@{target or ''}"


def _file(common_dir: Path) -> Path:
    return common_dir / "connect-tasks" / "times.json"
