"""Do the committed files describe their commit? Offline, and without a change anywhere.

However many apps there are, git is asked a fixed number of times: four calls per app cost 8 s for 500 apps, a few calls
for all of them a tenth of a second.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..configuration import App
from ..configuration.app_mode import connect_mode
from ..errors import AppEmpty, DependenciesMissing, NoCommits, Problem, PythonMissing
from ..packages.dependencies import find_dependencies
from ..packages.python_version import PYTHON_FILES, declared_python
from ..repository.deploy_branch import source_of
from ..repository.git import Git
from ..repository.tree import MANIFEST, REQUIREMENTS, SUBMODULE, Blob, Tree
from .app_trees import directories_above, files_above, holds_any, overlaid, split, staged_changes
from .connect_manifest import Manifest, as_written, read_manifest
from .content_policy import blob_sizes
from .manifest_changes import ManifestChange, ManifestFacts, compare, explain_checksum
from .manifest_facts import claimed_entrypoint, declared_facts, entry_file, entrypoint_changes, own_facts, pin_changes

#: Larger files are not looked into to explain why a checksum differs.
_LARGEST_EXPLAINED = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One app's answer: what differs, or why that can't be said."""

    app: App
    changes: tuple[ManifestChange, ...] = ()
    problem: Problem | None = None


def check(
    app: App, git: Git, *, staged: bool = False, index: Path | None = None, configured: bool = True
) -> tuple[ManifestChange, ...]:
    """Every way in which the manifest and the requirements of `app` do not describe HEAD, or with `staged` the index.

    `index`: the file that GIT_INDEX_FILE names when we run as a hook (a commit of some paths has an index of its own).
    `configured` False: somebody else's app, where requirements, mode and entrypoint are as its author wanted. Raises
    `NoCommits`, `AppEmpty`, `ManifestInvalid`, `ModeUnknown`.
    """
    (checked,) = check_all((app,), git, staged=staged, index=index, configured=configured)
    if checked.problem is not None:
        raise checked.problem
    return checked.changes


def check_all(
    apps: Sequence[App],
    git: Git,
    *,
    staged: bool = False,
    index: Path | None = None,
    configured: bool = True,
    touched_only: bool = False,
) -> tuple[Checked, ...]:
    """The same for many apps, in their order; one app's problem does not stop the others. Raises `NoCommits`.

    An app with a deploy branch is looked at there, as this clone knows that branch.
    `touched_only`, with `staged`: apps of which nothing is staged are passed over, as a commit hook should.
    """
    revision = git.resolve("HEAD")
    if revision is None and not staged:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    changed = staged_changes(git, revision, index) if staged else {}
    here = [app for app in apps if not (configured and app.deploy_branch)]
    here = [app for app in here if not touched_only or holds_any(app.path, changed)]
    base = here[0].path if len(here) == 1 and not staged else "."
    whole = overlaid(git.tree(revision, base) if revision and here else {}, changed)
    above = whole if base == "." else files_above(git, revision or "", base)
    trees = split(whole, base, [app.path for app in here])
    answers = {id(answer.app): answer for answer in _answers(here, trees, above, git, configured=configured)}
    if not staged:  # what ships from a deploy branch was never in an index
        generated = (app for app in apps if configured and app.deploy_branch)
        answers |= {id(app): _on_deploy_branch(app, git, revision or "") for app in generated}
    return tuple(answers.get(id(app)) or Checked(app=app) for app in apps)


def _on_deploy_branch(app: App, git: Git, head: str) -> Checked:
    """The same for an app whose generated files no branch of people has; what it declares may be above it at HEAD."""
    names = (f"refs/heads/{app.deploy_branch}", f"refs/remotes/{app.remote}/{app.deploy_branch}")
    tip = next((commit for name in names if (commit := git.resolve(name))), None)
    if tip is None:
        detail = f"there is no branch {app.deploy_branch} here yet: nothing was released, or it was not fetched"
        return Checked(app=app, changes=(ManifestChange(kind="missing", path=MANIFEST, matters=True, detail=detail),))
    above = {**files_above(git, head, app.path), **files_above(git, tip, app.path)}
    tree = git.tree(tip, app.path)
    source = git.tree(source_of(git, tip) or head, app.path) or git.tree(head, app.path)
    declared = {**source, **tree}  # what is excluded from the branch is declared all the same
    (answer,) = _answers((app,), {app.path: tree}, above, git, configured=True, declared={app.path: declared})
    return answer


def _answers(
    apps: Sequence[App],
    trees: Mapping[str, Tree],
    above: Tree,
    git: Git,
    *,
    configured: bool,
    declared: Mapping[str, Tree] | None = None,
) -> tuple[Checked, ...]:
    """`trees`: by the apps' paths; `above`: what may name a Python above them, by path from the root; `declared`: where
    Python and dependencies are declared, if that is in other trees."""
    above = as_written(above)
    trees = {path: as_written(tree) for path, tree in trees.items()}
    blobs = _Blobs(git)
    blobs.fetch(_wanted_first(apps, trees, above))
    sources = declared or trees
    cases = [_case(app, trees[app.path], sources[app.path], above, blobs, configured=configured) for app in apps]
    blobs.fetch(case.tree[case.source].oid for case in cases if case.source)
    checksums = git.checksums(oid for case in cases for oid in case.compared)
    return tuple(_checked(case, checksums, blobs) for case in cases)


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What is known about one app before its blobs are hashed. `source`: the file of its entrypoint."""

    app: App
    tree: Tree
    manifest: Manifest | None = None
    facts: ManifestFacts | None = None
    source: str | None = None
    changes: tuple[ManifestChange, ...] = ()
    problem: Problem | None = None

    @property
    def compared(self) -> list[str]:
        """The object ids whose checksums the manifest speaks of."""
        listed = (self.manifest or {}).get("files", {})
        return [blob.oid for path, blob in self.tree.items() if path in listed and blob.mode != SUBMODULE]


class _Blobs:
    """Contents of blobs, fetched in few calls."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._contents: dict[str, bytes] = {}

    def fetch(self, oids: Iterable[str]) -> None:
        self._contents.update(self._git.read(set(oids) - set(self._contents)))

    def content(self, blob: Blob) -> bytes:
        if blob.oid not in self._contents:
            self.fetch([blob.oid])
        return self._contents[blob.oid]

    def text(self, blob: Blob) -> str:
        return self.content(blob).decode("utf-8", "replace")

    def sizes(self, oids: Iterable[str]) -> Mapping[str, int]:
        return blob_sizes(self._git, oids)


def _case(app: App, tree: Tree, declared: Tree, above: Tree, blobs: _Blobs, *, configured: bool) -> _Case:
    if not tree:
        problem = AppEmpty(f"there is no file under {app.path}", hint=f"git add {app.path} && git commit")
        return _Case(app=app, tree=tree, problem=problem)
    if MANIFEST not in tree:
        detail = "not in the commit: without it Connect deploys nothing"
        change = ManifestChange(kind="missing", path=MANIFEST, matters=True, detail=detail)
        return _Case(app=app, tree=tree, changes=(change,))
    where = MANIFEST if app.path == "." else f"{app.path}/{MANIFEST}"
    try:
        manifest = read_manifest(blobs.content(tree[MANIFEST]), where=where)
        facts, changes = _facts(app, manifest, declared, above, blobs, configured=configured)
    except Problem as problem:
        return _Case(app=app, tree=tree, problem=problem)
    source = None if app.mode and app.entrypoint else entry_file(manifest, tree)  # what is declared needs no look
    case = _Case(app=app, tree=tree, manifest=manifest, facts=facts, source=source)
    pins = _pins(case, declared, blobs) if configured else ()
    return replace(case, changes=(*changes, *pins))


def _facts(
    app: App, manifest: Manifest, declared: Tree, above: Tree, blobs: _Blobs, *, configured: bool
) -> tuple[ManifestFacts, tuple[ManifestChange, ...]]:
    own = {name: blobs.text(declared[name]) for name in PYTHON_FILES if name in declared}
    if not configured:
        return own_facts(own), ()
    python, changes = None, []
    mode = connect_mode(str(manifest.get("metadata", {}).get("appmode")))
    if mode is not None and mode.has_python:
        try:
            python = declared_python(own, _texts_above(app, above, blobs), app.python)
        except PythonMissing as problem:
            detail = f"{problem.message} ({problem.where}); {problem.hint}"
            changes.append(ManifestChange(kind="constraint", matters=True, detail=detail))
    facts = declared_facts(app, python)
    if facts.entrypoint is not None and _same_entrypoint(facts.entrypoint, manifest):
        facts = replace(facts, entrypoint=str(manifest["metadata"]["entrypoint"]))
    return facts, tuple(changes)


def _texts_above(app: App, above: Tree, blobs: _Blobs) -> list[dict[str, str]]:
    directories = directories_above(app.path)
    places = [{name: posixpath.join(directory, name) for name in PYTHON_FILES} for directory in directories]
    return [{name: blobs.text(above[path]) for name, path in each.items() if path in above} for each in places]


def _same_entrypoint(declared: str, manifest: Manifest) -> bool:
    """Scripts are spelled in several ways, and Express apps are recorded under an escaped name."""
    claimed = claimed_entrypoint(manifest)
    plain = declared.removesuffix(".py").replace("/", ".")
    return bool(claimed) and (plain == claimed.removesuffix(".py") or (plain.partition(":")[0] == claimed))


def _pins(case: _Case, declared: Tree, blobs: _Blobs) -> tuple[ManifestChange, ...]:
    if case.manifest is None or REQUIREMENTS not in case.tree:
        return ()  # said by the comparison, where the manifest names it
    try:
        source = find_dependencies(declared, lambda path: blobs.text(declared[path]), case.app.dependencies)
    except DependenciesMissing as problem:
        path = problem.where or REQUIREMENTS
        return (ManifestChange(kind="requirements", path=path, matters=False, detail=problem.message),)
    python = (case.facts and case.facts.python) or str(case.manifest.get("python", {}).get("version", "3.12"))
    minor = ".".join(python.split(".")[:2])
    return tuple(pin_changes(source, blobs.text(case.tree[REQUIREMENTS]), minor, case.app.platform))


def _checked(case: _Case, checksums: Mapping[str, str], blobs: _Blobs) -> Checked:
    if case.problem is not None or case.manifest is None:
        return Checked(app=case.app, changes=case.changes, problem=case.problem)
    app, manifest, tree = case.app, case.manifest, case.tree
    changes = compare(manifest, tree, checksums, case.facts, include=app.include, exclude=app.exclude)
    source = blobs.content(tree[case.source]) if case.source else None
    claims = () if app.mode and app.entrypoint else tuple(entrypoint_changes(manifest, tree, source))
    return Checked(app=app, changes=(*_explained(changes, manifest, tree, blobs), *claims, *case.changes))


def _explained(
    changes: Iterable[ManifestChange], manifest: Manifest, tree: Tree, blobs: _Blobs
) -> Iterable[ManifestChange]:
    """The changed files with the reason why, where it is a known one. Only drift pays for this."""
    changes = tuple(changes)
    changed = [change.path for change in changes if change.kind == "changed" and change.path in manifest["files"]]
    sizes = blobs.sizes(tree[path].oid for path in changed if path) if changed else {}
    small = {path for path in changed if path and sizes[tree[path].oid] <= _LARGEST_EXPLAINED}
    blobs.fetch(tree[path].oid for path in small)
    for change in changes:
        if change.path in small:
            blob = tree[change.path]
            listed = manifest["files"][change.path].get("checksum", "")
            reason = explain_checksum(change.path, blob.mode, blobs.content(blob), listed)
            yield replace(change, detail=f"{change.detail} ({reason})") if reason else change
        else:
            yield change


def _wanted_first(apps: Iterable[App], trees: Mapping[str, Tree], above: Tree) -> Iterable[str]:
    """The blobs that nearly every app needs; the few others are fetched when they are asked for."""
    names = (MANIFEST, REQUIREMENTS, "requirements.in", "uv.lock", "poetry.lock", *PYTHON_FILES)
    for app in apps:
        tree = trees[app.path]
        yield from (tree[name].oid for name in names if name in tree)
        places = (posixpath.join(parent, name) for parent in directories_above(app.path) for name in PYTHON_FILES)
        yield from (above[place].oid for place in places if place in above)
