"""`test`: the candidate passes its own tests in an environment of its frozen requirements, and that is on record."""

from __future__ import annotations

from ..configuration import App
from ..content.candidate import take_candidate
from ..outcome import Report, Result
from ..pipeline.app_tests import judge, run_tests
from ..pipeline.preparation import find_python
from ..pipeline.test_plan import plan_tests
from ..pipeline.test_stands import prepare_tests
from ..world import World


def test(app: App, world: World, report: Report) -> None:
    """Test `app` as it would ship: HEAD's tree with the generated files of the work tree."""
    with world.console.stage(report, "test") as stage:
        candidate = take_candidate(world.git, app)
        python = find_python(world.git, app, candidate, world.environ)
        plan = plan_tests(app, world.git, candidate, python)
        prepared = prepare_tests(app, world, candidate, python, plan)
        run = run_tests(
            app,
            prepared,
            untracked=lambda: world.git.changes(app.path).untracked,
            progress=world.console.progress,
        )
        evidence = judge(app, world, run)
        world.evidence.keep(evidence)
        stage.result, stage.detail = Result.OK, evidence.summary
    report.result = Result.OK


test.__test__ = False  # type: ignore[attr-defined]  # the name is the verb's; pytest must not collect it
