"""Work that begins before it is certain what ships: the tests, which take the longest, and the freeze.

Nearly every release keeps its pins, and then its candidate is known at once: HEAD's tree, the pins that are there, and
the manifest that describes both. That one is tested while git, the remote and the server are still asked, and uv looks
whether the pins still are what it would pin. The release waits for either where it would have begun it. Where something
else ships after all, what was begun is ended, and what ships is frozen and tested.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import process
from ..configuration import App
from ..content.candidate import Candidate, take_candidate
from ..errors import Problem
from ..packages.environment import Frozen
from ..repository.tree import MANIFEST, REQUIREMENTS
from ..world import World
from .app_tests import TestPlan, TestRun, plan_tests, prepare_tests, run_tests
from .crew import Begun, begun
from .preparation import Python, find_python, freeze_candidate, refresh_manifest
from .shipped_tree import shipped_tree

#: Seconds for a removal.
PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class Likely:
    """What most likely ships: the candidate as it is now, and with the manifest of what is in it."""

    now: Candidate
    python: Python | None
    described: Candidate
    tests: TestPlan


@dataclass(frozen=True, kw_only=True)
class HeadStart:
    """What has begun; None for what has not. `wanted`: somebody waits for the tests, and may be shown what they say."""

    likely: Likely | None = None
    freezing: Begun[tuple[Candidate, Frozen]] | None = None
    proving: Begun[None] | None = None
    testing: Begun[TestRun] | None = None
    wanted: threading.Event = field(default_factory=threading.Event)

    def freeze(self, app: App, world: World, candidate: Candidate, python: Python) -> tuple[Candidate, Frozen]:
        """As `freeze_candidate`, of which this is the result where it was the likely candidate's."""
        if self.likely is None or self.freezing is None or self.proving is None or self.likely.now != candidate:
            return freeze_candidate(app, world, candidate, python)
        made, frozen = self.freezing.result()
        return made, replace(frozen, prove=self.proving.result)

    def run_of(self, candidate: Candidate, tests: TestPlan) -> TestRun | None:
        """The run of these tests on this candidate, once it is over; None if it is another that was begun, which is
        ended then. Raises what the run raised."""
        if self.testing is None or self.likely is None:
            return None
        if (self.likely.described.tree_id, self.likely.tests) != (candidate.tree_id, tests):
            self.testing.end()
            return None
        self.wanted.set()
        return self.testing.result()


@contextmanager
def head_start(app: App, world: World) -> Iterator[HeadStart]:
    """Freeze and test what most likely ships while the block goes on; whatever nobody has waited for at its end is
    ended."""
    likely = _find_likely(app, world)
    if likely is None:
        yield HeadStart()
        return
    own = replace(world, scratch=world.place("ahead"))
    with ExitStack() as going:
        ahead = HeadStart(likely=likely)
        if (python := likely.python) is not None:  # uv is at work while the tests are prepared
            freezing = going.enter_context(begun(lambda: freeze_candidate(app, own, likely.now, python)))

            def prove() -> None:
                _, frozen = freezing.result()
                frozen.prove()

            proving = going.enter_context(begun(prove))
            ahead = replace(ahead, freezing=freezing, proving=proving)
        if (test := _tests(app, own, likely, ahead.wanted)) is not None:
            ahead = replace(ahead, testing=going.enter_context(begun(test)))
        going.enter_context(begun(lambda: _tidy(ahead, own.scratch)))
        yield ahead


def _tidy(ahead: HeadStart, place: Path) -> None:
    """Remove what was begun with, thousands of files, while the server is at work: not at the end, when a person waits.
    By a program: one of our threads would keep the others from theirs."""
    for going in (ahead.testing, ahead.proving):
        if going is not None:
            going.wait()
    process.run(["rm", "-r", "-f", place], cwd=place.parent, env=os.environ, timeout=PATIENCE)


def _tests(app: App, world: World, likely: Likely, wanted: threading.Event) -> Callable[[], TestRun] | None:
    """Everything is ready once they begin; None where they are not to be run, or cannot be."""
    if world.options.no_test is not None or "before_test" in dict(app.hooks):
        return None
    if world.evidence.find(likely.tests.subject) is not None:
        return None
    try:
        prepared = prepare_tests(app, world, likely.described, likely.python, likely.tests)
    except Problem:
        return None
    return lambda: run_tests(
        app,
        prepared,
        untracked=lambda: world.git.changes(app.path).untracked,
        progress=lambda line: wanted.is_set() and world.console.progress(line),
    )


def _find_likely(app: App, world: World) -> Likely | None:
    """None where there is no knowing. What is wrong is found again, and told, by the stage whose business it is."""
    if world.options.upgrade or "before_freeze" in dict(app.hooks):
        return None
    tracking = f"refs/remotes/{app.remote}/{app.deploy_branch}"
    try:
        pinned_at = world.git.resolve(tracking) if app.deploy_branch else None
        now = take_candidate(world.git, app, pinned_at=pinned_at)
        python = find_python(world.git, app, now, world.environ)
        if not {MANIFEST, *([REQUIREMENTS] if python else [])} <= set(now.generated):
            return None
        described = refresh_manifest(app, world.git, now)
        tests = plan_tests(app, world.git, described, python, ships=shipped_tree(app, world, described))
    except Problem:
        return None
    return Likely(now=now, python=python, described=described, tests=tests)
