"""`doctor`: every check at once, each failure with the command that cures it. Reads, and changes nothing."""

from __future__ import annotations

from dataclasses import replace

from ..configuration import App
from ..errors import ChecksFailed
from ..outcome import Report, Result
from ..pipeline.checkup import examine
from ..pipeline.checkup_values import Check, Verdict, counted
from ..world import World


def doctor(app: App, world: World, report: Report) -> None:
    """Print a line for each check. Raises `ChecksFailed` where one fails: exit code 4 where that is the
    configuration's fault, else 1."""
    checks: list[Check] = []
    heading = f"{app.name} on {app.target}" if app.target else app.name
    world.console.line(f"   {heading}")
    with world.console.stage(report, "doctor") as stage:
        for found in examine(app, world):
            check = replace(found, hint=found.hint and world.spelled(found.hint))
            if not checks or checks[-1].group != check.group:
                world.console.line(f"   {check.group}")
            checks.append(check)
            world.console.verdict(str(check.verdict), check.name, check.detail, check.hint)
        failed = [check for check in checks if check.verdict is Verdict.FAIL]
        stage.result = Result.FAILED if failed else Result.OK
        stage.detail = counted(checks)
        report.state = {"checks": [check.as_json() for check in checks]}
    if failed:
        raise ChecksFailed.of(failed[0].hint, count=len(failed), exit_code=max(check.exit_code for check in failed))
