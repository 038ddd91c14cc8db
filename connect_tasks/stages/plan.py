"""`plan`: what `release` would do, by the very objects that it performs. Nothing is changed but remote-tracking refs,
which the facts pass of a release fetches too."""

from __future__ import annotations

from collections.abc import Mapping

from ..configuration import App
from ..outcome import Report, Result
from ..pipeline.planned import Planned, diff_of
from ..pipeline.standstill import standing_still
from ..repository.git import full_path
from ..repository.tree import GENERATED
from ..world import World
from .release import say_still

#: Lines of a plan that are shown; the JSON report has all of them.
SHOWN = 200


def plan(app: App, world: World, report: Report) -> None:
    """Print the plan of `app`'s release. The report's exit code is 2 where it is not empty."""
    record = standing_still(app, world)
    if record is not None:
        say_still(world, report, record)
        report.plan = Planned(actions=(), diffs={}).as_json()
        return
    from ..pipeline.full_release import find_facts, generate
    from ..pipeline.release_facts import gather_only
    from ..pipeline.shipping import Proposal, begin, propose

    facts = find_facts(app, world, report, ask=gather_only)
    candidate, changes = generate(app, world, report, facts)
    proposal: Proposal = propose(app, world, facts, candidate, changes)
    begin(world, report, proposal)
    content = facts.server.content
    planned = Planned(
        actions=proposal.actions,
        diffs=_diffs(app, world, facts.repository.deploy_tip or facts.candidate.commit, candidate.generated),
        guid=content.guid if content else None,
        drafts=facts.server.drafts,
    )
    _show(world, report, planned)


def _show(world: World, report: Report, planned: Planned) -> None:
    report.plan = planned.as_json()
    report.result = Result.CHANGED if planned.actions else Result.NOOP
    if not planned.actions:
        world.console.note(f"nothing to do: {report.live_commit} is live at {report.url}")
        return
    lines = list(planned.lines())
    for line in lines[:SHOWN]:
        world.console.note(line)
    if len(lines) > SHOWN:
        world.console.note(f"and {len(lines) - SHOWN} more lines: --json FILE has all of them")


def _diffs(app: App, world: World, commit: str, generated: Mapping[str, bytes]) -> dict[str, str]:
    """Of the generated files, against those that are committed."""
    tree = world.git.tree(commit, app.path)
    there = {name: tree[name].oid for name in GENERATED if name in tree}
    contents = world.git.read(there.values())
    diffs = {
        name: diff_of(full_path(app.path, name), contents[there[name]] if name in there else None, generated.get(name))
        for name in GENERATED
    }
    return {name: diff for name, diff in diffs.items() if diff}
