"""Do the committed files describe their commit? Offline, and without a change anywhere.

However many apps there are, git is asked a fixed number of times: four calls per app cost 8 s for 500 apps, a few calls
for all of them a tenth of a second.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .app_mode import connect_mode
from .configuration import App
from .connect_manifest import Manifest, as_written, read_manifest
from .content_policy import blob_sizes
from .dependencies import find_dependencies
from .errors import AppEmpty, DependenciesMissing, GitFailed, NoCommits, OperationInProgress, Problem, PythonMissing
from .git import Git
from .manifest_changes import ManifestChange, ManifestFacts, compare, explain_checksum
from .manifest_facts import (
    claimed_entrypoint,
    declared_facts,
    entry_file,
    entrypoint_changes,
    own_facts,
    pin_changes,
)
from .python_version import PYTHON_FILES, declared_python
from .tree import MANIFEST, REQUIREMENTS, SUBMODULE, Blob, Tree

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

    `touched_only`, with `staged`: apps of which nothing is staged are passed over, as a commit hook should.
    """
    revision = git.resolve("HEAD")
    if revision is None and not staged:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    base = apps[0].path if len(apps) == 1 and not staged else "."
    whole: Tree = git.tree(revision, base) if revision else {}
    changed = _staged_changes(git, revision, index) if staged else {}
    whole = _overlaid(whole, changed)
    above = as_written(whole if base == "." else _files_above(git, revision or "", base))
    trees = {path: as_written(tree) for path, tree in _split(whole, base, [app.path for app in apps]).items()}
    touched = [not touched_only or _below(app.path, changed) for app in apps]
    blobs = _Blobs(git)
    looked_at = [app for app, is_touched in zip(apps, touched, strict=True) if is_touched]
    blobs.fetch(_wanted_first(looked_at, trees, above))
    cases = [_case(app, trees[app.path], above, blobs, configured=configured) for app in looked_at]
    blobs.fetch(case.tree[case.source].oid for case in cases if case.source)
    checksums = git.checksums(oid for case in cases for oid in case.compared)
    answers = iter([_checked(case, checksums, blobs) for case in cases])
    return tuple(
        next(answers) if is_touched else Checked(app=app) for app, is_touched in zip(apps, touched, strict=True)
    )


def staged_tree(git: Git, directory: str, *, index: Path | None = None) -> Tree:
    """The tree of a directory that `git commit` would make of the index now."""
    revision = git.resolve("HEAD")
    whole = _overlaid(git.tree(revision, ".") if revision else {}, _staged_changes(git, revision, index))
    return _split(whole, ".", [directory])[directory]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What is known about one app before its blobs are hashed. `source`: the file of its entrypoint."""

    app: App
    tree: Tree
    configured: bool
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


def _case(app: App, tree: Tree, above: Tree, blobs: _Blobs, *, configured: bool) -> _Case:
    if not tree:
        problem = AppEmpty(f"there is no file under {app.path}", hint=f"git add {app.path} && git commit")
        return _Case(app=app, tree=tree, configured=configured, problem=problem)
    if MANIFEST not in tree:
        detail = "not in the commit: without it Connect deploys nothing"
        change = ManifestChange(kind="missing", path=MANIFEST, matters=True, detail=detail)
        return _Case(app=app, tree=tree, configured=configured, changes=(change,))
    where = MANIFEST if app.path == "." else f"{app.path}/{MANIFEST}"
    try:
        manifest = read_manifest(blobs.content(tree[MANIFEST]), where=where)
        facts, changes = _facts(app, manifest, tree, above, blobs, configured=configured)
    except Problem as problem:
        return _Case(app=app, tree=tree, configured=configured, problem=problem)
    source = None if app.mode and app.entrypoint else entry_file(manifest, tree)  # what is declared needs no look
    known = _Case(app=app, tree=tree, configured=configured, manifest=manifest, facts=facts, source=source)
    pins = _pins(known, blobs) if configured else ()
    return replace(known, changes=(*changes, *pins))


def _facts(
    app: App, manifest: Manifest, tree: Tree, above: Tree, blobs: _Blobs, *, configured: bool
) -> tuple[ManifestFacts, tuple[ManifestChange, ...]]:
    own = {name: blobs.text(tree[name]) for name in PYTHON_FILES if name in tree}
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
    directories = _above(app.path)
    places = [{name: posixpath.join(directory, name) for name in PYTHON_FILES} for directory in directories]
    return [{name: blobs.text(above[path]) for name, path in each.items() if path in above} for each in places]


def _same_entrypoint(declared: str, manifest: Manifest) -> bool:
    """Scripts are spelled in several ways, and Express apps are recorded under an escaped name."""
    claimed = claimed_entrypoint(manifest)
    plain = declared.removesuffix(".py").replace("/", ".")
    return bool(claimed) and (plain == claimed.removesuffix(".py") or (plain.partition(":")[0] == claimed))


def _pins(case: _Case, blobs: _Blobs) -> tuple[ManifestChange, ...]:
    if REQUIREMENTS not in case.tree:
        return ()  # said by the comparison, where the manifest names it
    try:
        source = find_dependencies(case.tree, lambda path: blobs.text(case.tree[path]), case.app.dependencies)
    except DependenciesMissing as problem:
        path = problem.where or REQUIREMENTS
        return (ManifestChange(kind="requirements", path=path, matters=False, detail=problem.message),)
    python = (case.facts and case.facts.python) or str((case.manifest or {}).get("python", {}).get("version", "3.12"))
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


def _staged_changes(git: Git, revision: str | None, index: Path | None) -> dict[str, Blob | None]:
    """What `git commit` would change now, by path; None for a removed file. `git add -N` adds nothing yet."""
    base = revision or git.line(git.ask("hash-object", "-t", "tree", os.devnull))
    command = ("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-invisible-in-index", base)
    env = {"GIT_INDEX_FILE": str(index)} if index else {}
    done = git.run(*command, "--", env={"GIT_OPTIONAL_LOCKS": "0", **env})
    if not done.ok:
        raise GitFailed(f"git diff-index: {done.error_text.strip()}", hint="git status")
    records = done.stdout.split(b"\0")
    changed: dict[str, Blob | None] = {}
    for facts, path in zip(records[0:-1:2], records[1::2], strict=False):
        _, mode, _, oid, status = facts.decode().split(" ")
        name = os.fsdecode(path)
        if status == "U":
            raise OperationInProgress(f"{name} is unmerged", where=name, hint=f"resolve it, then git add {name}")
        changed[name] = None if status == "D" else Blob(mode, oid)
    return changed


def _overlaid(tree: Tree, changed: Mapping[str, Blob | None]) -> Tree:
    if not changed:
        return tree
    return {path: blob for path, blob in {**tree, **changed}.items() if blob is not None}


def _files_above(git: Git, revision: str, directory: str) -> dict[str, Blob]:
    """The files that may name a Python in the directories above one."""
    places = [posixpath.join(parent, name) for parent in _above(directory) for name in PYTHON_FILES]
    if not places:
        return {}
    found = git.ask("--literal-pathspecs", "ls-tree", "-z", "--full-tree", revision, "--", *places)
    entries = (entry.split(b"\t", 1) for entry in found.stdout.split(b"\0")[:-1])
    return {os.fsdecode(path): Blob(*facts.decode().split()[::2]) for facts, path in entries}


def _below(directory: str, paths: Iterable[str]) -> bool:
    return any(directory == "." or path.startswith(f"{directory}/") for path in paths)


def _split(whole: Tree, base: str, directories: Sequence[str]) -> Mapping[str, Tree]:
    """The tree of each directory, from the tree of `base`, in one pass. Directories may lie in each other."""
    if set(directories) == {base}:
        return {base: whole}
    trees: dict[str, dict[str, Blob]] = {directory: {} for directory in directories}
    prefixes = {"" if directory == "." else f"{directory}/": directory for directory in directories}
    for path, blob in whole.items():
        end = 0
        while end >= 0:
            if directory := prefixes.get(path[:end]):
                trees[directory][path[end:]] = blob
            end = path.find("/", end) + 1 or -1
    return trees


def _wanted_first(apps: Iterable[App], trees: Mapping[str, Tree], above: Tree) -> Iterable[str]:
    """The blobs that nearly every app needs; the few others are fetched when they are asked for."""
    names = (MANIFEST, REQUIREMENTS, "requirements.in", "uv.lock", "poetry.lock", *PYTHON_FILES)
    for app in apps:
        tree = trees[app.path]
        yield from (tree[name].oid for name in names if name in tree)
        places = (posixpath.join(parent, name) for parent in _above(app.path) for name in PYTHON_FILES)
        yield from (above[place].oid for place in places if place in above)


def _above(path: str) -> list[str]:
    """The directories above an app's, nearest first, up to the repository's root, which is ""."""
    parts = [] if path == "." else path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, -1, -1)]
