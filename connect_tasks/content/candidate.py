"""The candidate: the bytes we speak of, before and after they are committed.

It is HEAD's tree of the app's directory (never the index: staged edits and `add -N` entries are not in the commit that
ships), with the two generated files, as they stand in the work tree, laid over it: existing pins are read from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..configuration import App
from ..errors import AppEmpty, NoCommits
from ..repository.git import Git, at, blob_id, full_path
from ..repository.tree import FILE, GENERATED, Blob, Tree
from .app_trees import staged_tree


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A tree of the app's directory that is in git's object store, wherever it came from."""

    commit: str  # HEAD
    directory: str
    tree: Tree
    tree_id: str
    generated: Mapping[str, bytes]  # the generated files that exist in it
    staged: bool = False  # not HEAD's tree: that of the index

    def text(self, git: Git, path: str) -> str | None:
        """A file's text, None when the candidate has no such file."""
        blob = self.tree.get(path)
        return None if blob is None else git.read([blob.oid])[blob.oid].decode("utf-8", "replace")

    def texts(self, git: Git, paths: tuple[str, ...]) -> dict[str, str]:
        """The texts of those of `paths` that exist, in one call to git."""
        present = {path: self.tree[path].oid for path in paths if path in self.tree}
        contents = git.read(present.values())
        return {path: contents[oid].decode("utf-8", "replace") for path, oid in present.items()}


def take_candidate(git: Git, app: App, *, pinned_at: str | None = None) -> Candidate:
    """HEAD's tree with the work tree's generated files over it. Raises `NoCommits`, `AppEmpty`.

    `pinned_at` is the tip of a deploy branch: there the generated files live that no branch of people has.
    """
    names = ("HEAD^{commit}", at("HEAD", app.path))
    found = git.look_up_all(names)
    commit, tree_id = (found[name] for name in names)
    if commit is None:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    tree = git.tree(tree_id, ".") if tree_id else {}
    if not tree or tree_id is None:
        raise AppEmpty(
            f"the commit {commit[:10]} holds no file under {app.path}",
            hint=f"git add {app.path} && git commit, or correct `path` in [tool.connect-tasks]",
        )
    generated = {name: path.read_bytes() for name in GENERATED if (path := git.root / app.path / name).is_file()}
    if pinned_at is not None:
        earlier = git.tree(pinned_at, app.path)
        missing = {name: earlier[name].oid for name in GENERATED if name in earlier and name not in generated}
        contents = git.read(missing.values())
        generated |= {name: contents[oid] for name, oid in missing.items()}
    head = Candidate(commit=commit, directory=app.path, tree=tree, tree_id=tree_id, generated={})
    return lay_over(head, git, generated)


def take_staged(git: Git, app: App, *, index: Path | None = None) -> Candidate:
    """What `git commit` would make of the index now, with the work tree's generated files over it: for a hook.

    `index` is the file that GIT_INDEX_FILE names there. Raises `NoCommits`, `AppEmpty`.
    """
    head = take_candidate(git, app)
    staged = staged_tree(git, app.path, index=index)
    changed = {path: staged.get(path) for path in {*head.tree, *staged} - set(GENERATED)}
    moved = {path: blob for path, blob in changed.items() if head.tree.get(path) != blob}
    tree_id = git.overlay(head.tree_id, ".", moved) if moved else head.tree_id
    tree = {path: blob for path, blob in {**head.tree, **moved}.items() if blob is not None}
    return Candidate(
        commit=head.commit, directory=app.path, tree=tree, tree_id=tree_id, generated=head.generated, staged=True
    )


def lay_over(candidate: Candidate, git: Git, generated: Mapping[str, bytes]) -> Candidate:
    """The candidate with these generated files and no other: objects go into git's store, no ref, index or work tree
    moves."""
    tree, directory = candidate.tree, candidate.directory
    blobs: dict[str, Blob | None] = {}
    for name in GENERATED:
        there = tree.get(name)
        if name not in generated:
            blobs |= {} if there is None else {name: None}
        elif there is None or there.oid != blob_id(generated[name], like=there.oid):  # else git has it as it is
            blobs[name] = Blob(there.mode if there else FILE, git.store(full_path(directory, name), generated[name]))
    laid = {path: blob for path, blob in tree.items() if path not in blobs}
    laid.update((path, blob) for path, blob in blobs.items() if blob is not None)
    tree_id = git.overlay(candidate.tree_id, ".", blobs) if blobs else candidate.tree_id
    return replace(candidate, tree=laid, tree_id=tree_id, generated=dict(generated))


def with_generated(git: Git, candidate: Candidate, **files: bytes) -> Candidate:
    """The same candidate with one or both generated files replaced, by their names with the dot as `_`."""
    names = {name.replace(".", "_"): name for name in GENERATED}
    return lay_over(candidate, git, {**candidate.generated, **{names[key]: content for key, content in files.items()}})


def export(git: Git, candidate: Candidate, destination: Path) -> Path:
    """Write the candidate's files below `destination`, as a clone on the server would have them."""
    git.export(candidate.tree_id, destination, directory=candidate.directory, revision=candidate.commit)
    return destination
