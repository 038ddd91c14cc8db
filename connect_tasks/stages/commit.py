"""`commit`: the generated files of the work tree, and nothing else."""

from __future__ import annotations

from ..configuration import App
from ..content.candidate import Candidate, take_candidate
from ..content.connect_manifest import read_manifest
from ..content.manifest_changes import compare, drifted
from ..errors import ManifestStale, RequirementsMissing, raise_all
from ..outcome import Report, Result
from ..packages.requirements_file import PinChange, pins_of
from ..packages.requirements_file import compare as compare_pins
from ..pipeline.actions import Action, CommitGenerated, CommitToDeployBranch, Shipment
from ..pipeline.performance import Performance, note_shipment, perform
from ..pipeline.shipping import generated_branch, untested_trailer
from ..repository.commit_message import commit_message
from ..repository.tree import MANIFEST, REQUIREMENTS
from ..repository.work_tree_checks import work_tree_problems
from ..world import World


def commit(app: App, world: World, report: Report) -> None:
    """Commit requirements.txt and manifest.json as they stand in the work tree, if they describe what HEAD holds."""
    git = world.git
    raise_all(work_tree_problems(git, app))
    candidate = take_candidate(git, app)
    require_described(app, world, candidate)
    shipment = Shipment(app_tree=candidate.tree_id, commit=candidate.commit)
    if app.deploy_branch is not None:
        action: Action = CommitToDeployBranch(wanted=generated_branch(app, world, candidate))
        perform((action,), shipment, Performance(app=app, world=world, candidate=candidate), report)
        report.result = Result.CHANGED
        return
    if candidate.tree_id == git.tree_id(candidate.commit, app.path):
        note_shipment(report, shipment, None)
        report.result = Result.NOOP
        world.console.note(f"nothing to commit: {candidate.commit[:10]} holds the generated files already")
        return
    changes = _pin_changes(world, app, candidate)
    message = commit_message(app, changes=changes, trailers=untested_trailer(world.options.no_test))
    action = CommitGenerated(files=dict(candidate.generated), message=message, tree=candidate.tree_id)
    perform((action,), shipment, Performance(app=app, world=world, candidate=candidate), report)
    report.result = Result.CHANGED


def require_described(app: App, world: World, candidate: Candidate) -> None:
    """Raise where the manifest does not describe the candidate, whoever wrote it."""
    content = candidate.generated.get(MANIFEST)
    if content is None:
        raise ManifestStale("there is no manifest.json yet", where=app.path, hint="nox -s manifest")
    if REQUIREMENTS not in candidate.tree and read_manifest(content).get("python"):
        raise RequirementsMissing("there is no requirements.txt yet", where=app.path, hint="nox -s freeze")
    checksums = world.git.checksums(blob.oid for blob in candidate.tree.values())
    found = compare(read_manifest(content), candidate.tree, checksums, include=app.include, exclude=app.exclude)
    if drifted(found):
        first = next(change for change in found if not change.warning)
        raise ManifestStale(
            f"manifest.json does not describe the app: {first.detail}", where=app.path, hint="nox -s manifest"
        )


def _pin_changes(world: World, app: App, candidate: Candidate) -> tuple[PinChange, ...]:
    before = world.git.tree(candidate.commit, app.path).get(REQUIREMENTS)
    old = world.git.read([before.oid])[before.oid].decode("utf-8", "replace") if before else ""
    new = candidate.generated.get(REQUIREMENTS, b"").decode("utf-8", "replace")
    return compare_pins(pins_of(old), pins_of(new), {})
