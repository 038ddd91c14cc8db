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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from .. import process
from ..configuration import App
from ..content.candidate import Candidate, export, take_candidate
from ..errors import Problem
from ..packages.environment import Frozen, TestEnvironment
from ..packages.test_tools import TestTools
from ..repository.tree import MANIFEST, REQUIREMENTS
from ..world import World
from .app_tests import TestRun, run_tests
from .crew import Begun, begun
from .preparation import Python, find_python, freeze_candidate, refresh_manifest
from .shipped_tree import shipped_tree
from .test_plan import TestPlan, plan_tests
from .test_stands import NO_TOOLS, environment_maker, prepare_tests, tools_of

Done = TypeVar("Done")
#: Seconds that tests get to begin before we go on: what is imported then would keep the threads that start them from
#: their turn. Where their environment is still to be made they begin later.
MOMENT = 0.25
#: Seconds for a removal.
PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class HeadStart:
    """What has begun; None for what has not.

    `now` is the candidate as it is; `describing` gives it with the manifest of what is in it, and its tests. `wanted`:
    somebody waits for the tests, and may be shown what they say.
    """

    now: Candidate | None = None
    freezing: Begun[tuple[Candidate, Frozen]] | None = None
    proving: Begun[None] | None = None
    describing: Begun[tuple[Candidate, TestPlan]] | None = None
    testing: Begun[TestRun | None] | None = None
    making: tuple[Begun[TestEnvironment], ...] = ()
    wanted: threading.Event = field(default_factory=threading.Event)

    def freeze(self, app: App, world: World, candidate: Candidate, python: Python) -> tuple[Candidate, Frozen]:
        """As `freeze_candidate`, of which this is the result where it was the likely candidate's."""
        if self.freezing is None or self.proving is None or self.now != candidate:
            return freeze_candidate(app, world, candidate, python)
        made, frozen = self.freezing.result()
        return made, replace(frozen, prove=self.proving.result)

    def run_of(self, candidate: Candidate, tests: TestPlan) -> TestRun | None:
        """The run of these tests on this candidate, once it is over; None if it is another that was begun, which is
        ended then. Raises what the run raised."""
        if self.testing is None:
            return None
        if self._tested() != (candidate.tree_id, tests):
            self.testing.end()
            return None
        self.wanted.set()
        return self.testing.result()

    def _tested(self) -> tuple[str, TestPlan] | None:
        """What the tests that have begun are of, None where that could not be made out."""
        if self.describing is not None:
            with suppress(Problem):
                described, tests = self.describing.result()
                return described.tree_id, tests
        return None


@contextmanager
def head_start(app: App, world: World) -> Iterator[HeadStart]:
    """Freeze and test what most likely ships while the block goes on; whatever nobody has waited for at its end is
    ended. What is wrong is found again, and told, by the stage whose business it is."""
    over = threading.Event()
    with ExitStack() as going:
        ahead = HeadStart()
        with suppress(Problem), process.stoppable(over):
            own = replace(world, scratch=world.place("ahead"), slot=world.environment_place("ahead"))
            ahead = _begin(app, own, going)
        try:
            yield ahead
        finally:
            over.set()  # for all of it at once: each program has a grace


def _begin(app: App, world: World, going: ExitStack) -> HeadStart:
    """What is begun ends with `going`. `world`: with a scratch and a slot of its own, which are removed when
    all is over."""
    if world.options.upgrade:
        return HeadStart()
    tracking = f"refs/remotes/{app.remote}/{app.deploy_branch}"
    now = take_candidate(world.git, app, pinned_at=world.git.resolve(tracking) if app.deploy_branch else None)
    python = find_python(world.git, app, now, world.environ)
    if not {MANIFEST, *([REQUIREMENTS] if python else [])} <= set(now.generated):
        return HeadStart()
    ahead, tools = HeadStart(now=now), tools_of(app, world.git, now)
    tree = export(world.git, now, world.place("tree")) if python else world.scratch
    if python is not None:

        def prove() -> None:
            _, frozen = freezing.result()
            frozen.prove()

        with process.stepped_back():  # the tests take longer
            freezing = going.enter_context(begun(lambda: freeze_candidate(app, world, now, python, directory=tree)))
            ahead = replace(ahead, freezing=freezing, proving=going.enter_context(begun(prove)))
    if world.options.no_test is None and "before_test" not in dict(app.hooks):  # which may start what they need
        ahead = _begin_tests(app, world, ahead, now, python, tools, tree, going)
    with process.stepped_back():
        going.enter_context(begun(lambda: _tidy(ahead, world)))
    return ahead


def _begin_tests(
    app: App,
    world: World,
    ahead: HeadStart,
    now: Candidate,
    python: Python | None,
    tools: TestTools,
    tree: Path,
    going: ExitStack,
) -> HeadStart:
    """With tests, unless there is evidence already. Their environments are copied while the manifest is written."""

    def begin(deed: Callable[[], Done]) -> Begun[Done]:
        return going.enter_context(begun(deed))

    def describe() -> tuple[Candidate, TestPlan]:
        described = refresh_manifest(app, world.git, now)
        ships = shipped_tree(app, world, described)
        return described, plan_tests(app, world.git, described, python, ships=ships)

    def run() -> TestRun | None:
        try:
            described, tests = describing.result()
            if world.evidence.find(tests.subject) is not None:
                return None
            prepared = prepare_tests(
                app, world, described, python, tests, make=lambda tools, _directory: making[tools].result()
            )
        finally:
            under_way.set()
        return run_tests(
            app,
            prepared,
            untracked=lambda: world.git.changes(app.path).untracked,
            progress=lambda line: ahead.wanted.is_set() and world.console.progress(line),
        )

    under_way = threading.Event()
    describing = begin(describe)
    maker = begin(lambda: environment_maker(app, world, now, python))
    making = {each: begin(partial(lambda each: maker.result()(each, tree), each)) for each in (NO_TOOLS, tools)}
    testing = begin(run)
    under_way.wait(MOMENT)
    return replace(ahead, describing=describing, testing=testing, making=tuple(making.values()))


def _tidy(ahead: HeadStart, world: World) -> None:
    """Remove what was begun with, thousands of files, and stock the environments that the next run takes, while the
    server is at work: not at the end or the beginning, when a person waits. By programs: one of our threads would keep
    the others from theirs."""
    for going in (ahead.testing, ahead.proving):
        if going is not None:
            going.wait()
    remove = ["rm", "-r", "-f", str(world.scratch), str(world.slot)]
    process.run(remove, cwd=world.scratch.parent, env=os.environ, timeout=PATIENCE)
    for made in ahead.making:
        with suppress(Problem):
            for template in made.result().templates:
                template.restock()
