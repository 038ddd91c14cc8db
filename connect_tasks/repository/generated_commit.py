"""Commit the generated files and nothing else.

The commit is made through a private copy of the index. `git commit --only` would hold the user's index lock while every
hook runs, and leave it behind when it is killed; here a kill leaves a private file, a failing hook leaves nothing, and
a commit made by the user meanwhile makes ours fail by compare and swap.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .. import process
from ..atomic_file import write_file
from ..computer_failures import cure_of
from ..configuration import App
from ..errors import CommandTimedOut, CommitFailed, HookRewrote, IdentityMissing, NoCommits, Problem
from .git import Git, at, blob_id, full_path
from .git_messages import failed, named, own_words
from .repository_lock import inside_our_lock
from .tree import Blob
from .user_index import PATIENCE, index_locked, lock_is_gone, update_user_index

AGAIN = "run the same command again"


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The commit that holds the generated files: HEAD as it was (`created` False) or one more."""

    commit: str
    created: bool
    #: Generated files that a hook changed in the work tree after they were committed, without adding them.
    left_changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One app's share of a commit: `files` (path in `directory` -> content), and the id of the directory's tree that
    was tested."""

    directory: str
    files: Mapping[str, bytes]
    tree: str


def commit_generated(
    git: Git,
    app: App,
    files: Mapping[str, bytes],
    message: str,
    *,
    expect_tree: str,
    timeout: float = 600.0,
    verify: bool = True,
) -> Committed:
    """Write `files` (path in the app's directory -> content) to the work tree and commit them, with the user's hooks
    and signing.

    `expect_tree` is the id of the app's tree that was tested. Paths in the answer, and in HookRewrote, are relative to
    the app's directory. See `commit_parts`.
    """
    part = Part(directory=app.path, files=files, tree=expect_tree)
    ours = {full_path(app.path, path): path for path in files}
    try:
        done = commit_parts(git, (part,), message, timeout=timeout, verify=verify)
    except HookRewrote as rewritten:
        raise _hook_rewrote({ours[path]: content for path, content in rewritten.contents.items()}) from None
    return replace(done, left_changed=tuple(ours[path] for path in done.left_changed))


def commit_parts(
    git: Git, parts: Sequence[Part], message: str, *, timeout: float = 600.0, verify: bool = True
) -> Committed:
    """One commit of the files of all parts: each directory's tree is then the one that was tested, or nothing is
    committed.

    `timeout` (seconds) is for the hooks and the signer; `verify` False skips the hooks that git can skip. On any
    failure HEAD, index and the written files are as before. Raises HookRewrote (with what the hook made of the files,
    so that the caller can render once more), CommitFailed, IdentityMissing, RepositoryLocked, CommandTimedOut.
    """
    plan = _plan(git, parts)
    if not lock_is_gone(git, patience=PATIENCE):
        raise index_locked(git, "nothing was committed")
    if not plan.blobs:
        with _written(git.root, plan.contents):
            return Committed(commit=plan.base, created=False)
    with ThreadPoolExecutor(1) as beside, _private_index(git) as index:
        prepared = beside.submit(_prepare, git, index, plan)  # while the disk takes the files
        with _written(git.root, plan.contents, unless=lambda: _stands(git, plan)):
            prepared.result()
            commit = _commit(git, index, plan, message, timeout=timeout, verify=verify)
    update_user_index(git, plan.blobs)
    changed = tuple(
        path for path, content in plan.contents.items() if _bytes_of(git.root / path) not in {content, None}
    )
    return Committed(commit=commit, created=True, left_changed=changed)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The commit that we mean to make: `blobs` laid over `base` give the directories of `trees` these trees. Paths are
    from the root."""

    base: str
    trees: Mapping[str, str]
    blobs: Mapping[str, Blob]  # of `contents`, those that differ from `base`
    contents: Mapping[str, bytes]


def _plan(git: Git, parts: Sequence[Part]) -> _Plan:
    """What is to be committed, read off the tested trees: they are in git's store already, with the ids and modes."""
    base = git.resolve("HEAD")
    if base is None:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    blobs: dict[str, Blob] = {}
    contents: dict[str, bytes] = {}
    for part in parts:
        here = git.tree_id(base, part.directory)
        changed = git.blobs_changed(here, part.tree) if here else {}
        ours = {path: blob for path, blob in changed.items() if blob is not None and path in part.files}
        if here is None or ours.keys() != changed.keys():
            raise CommitFailed("HEAD moved after the tests: what would be committed was not tested", hint=AGAIN)
        for path, blob in ours.items():
            if blob.oid != blob_id(part.files[path], like=blob.oid):
                raise CommitFailed(f"{path} is not the file that was tested", hint=AGAIN)
        blobs |= {full_path(part.directory, path): blob for path, blob in ours.items()}
        contents |= {full_path(part.directory, path): content for path, content in part.files.items()}
    trees = {part.directory: part.tree for part in parts}
    return _Plan(base=base, trees=trees, blobs=blobs, contents=contents)


def _prepare(git: Git, index: Path, plan: _Plan) -> None:
    git.index(index, "read-tree", "--reset", plan.base)
    git.update_index(index, plan.blobs)


def _commit(git: Git, index: Path, plan: _Plan, message: str, *, timeout: float, verify: bool) -> str:
    """The new commit, as planned."""
    environment = {"GIT_INDEX_FILE": str(index), **inside_our_lock(git)}
    options = () if verify else ("--no-verify",)
    try:
        done = git.run("commit", "--file=-", *options, input=message.encode(), timeout=timeout, env=environment)
    except CommandTimedOut:
        if git.resolve("HEAD") == plan.base:
            raise
        return _checked(git, plan, None)  # it stands: what hung was a post-commit hook
    if not done.ok:
        raise _refused(git, plan, done)
    return _checked(git, plan, _made(git, done))


def _stands(git: Git, plan: _Plan) -> bool:
    """Whether HEAD is our commit though we were interrupted: to take the files back would stage its reversal."""
    found = git.run("rev-parse", "HEAD^", *(at("HEAD", directory) for directory in plan.trees))
    return found.ok and found.text.split() == [plan.base, *plan.trees.values()]


def _made(git: Git, done: process.Completed) -> str | None:
    """The commit that git says it made ("[main 1a2b3c4] subject"); HEAD may be another by now."""
    found = re.search(r"^\[.* ([0-9a-f]{4,64})\] ", done.text, re.MULTILINE)
    return git.resolve(found[1]) if found else None


def _checked(git: Git, plan: _Plan, made: str | None) -> str:
    """The commit that was made, when it is as planned; else HEAD goes back to where the user had it, and a problem is
    raised. A commit of the user's on top of ours is never touched."""
    head = git.resolve("HEAD")
    if made is None or (made != head and not git.is_ancestor(made, head or "")):
        made = head  # not told, or amended by a hook
    parent = git.look_up(f"{made}^")
    trees = {directory: git.look_up(at(str(made), directory)) for directory in plan.trees}
    if made is None or parent is None or None in trees.values():
        raise CommitFailed("HEAD was moved while the hooks ran", hint="git reflog")
    if (parent, trees) == (plan.base, plan.trees):
        return made
    if made != head:
        message = f"{made[:10]} is not as planned, and a commit of yours stands on it"
        raise CommitFailed(message, hint=f"git revert {made[:10]}")
    if parent != plan.base:
        # A commit of the user's between our read-tree and git's own look at HEAD: ours sits on it and takes its changes
        # back.
        _undo(git, made, parent)
        message = f"a commit was made while we prepared ours (HEAD is now {parent[:10]}); nothing of ours was committed"
        raise CommitFailed(message, hint=AGAIN)
    changed = {
        full_path(directory, path): blob
        for directory, tree in trees.items()
        for path, blob in git.blobs_changed(plan.trees[directory], str(tree)).items()
    }
    contents = git.read(blob.oid for path, blob in changed.items() if blob and path in plan.contents)
    _undo(git, made, plan.base)
    if changed.keys() <= plan.contents.keys():
        raise _hook_rewrote({path: contents[blob.oid] for path, blob in changed.items() if blob})
    message = f"a commit hook changes files that were tested as they were: {named(changed)}"
    raise CommitFailed(message, hint="git commit what the hook makes of them")


def _undo(git: Git, commit: str, base: str) -> None:
    done = git.run("update-ref", "-m", "connect-tasks: undo a commit that was not as tested", "HEAD", base, commit)
    if not done.ok:
        raise failed(done)


def _refused(git: Git, plan: _Plan, done: process.Completed) -> Problem:
    """Why `git commit` ended with an error. A hook that mends files and fails (as pre-commit's fixers do) has left them
    in the work tree."""
    now = {path: _bytes_of(git.root / path) for path in plan.contents}
    rewritten = {path: content for path, content in now.items() if content not in {None, plan.contents[path]}}
    if rewritten:
        return _hook_rewrote(rewritten)
    words = own_words(done.error_text + "\n" + done.text)
    if "Please tell me who you are" in words or "empty ident name" in words:
        return IdentityMissing(
            "git does not know who commits", hint='git config user.name "NAME" && git config user.email "EMAIL"'
        )
    if re.search(r"failed to sign|failed to write commit object|signing failed|gpg\.format", words):
        return CommitFailed(
            f"the commit could not be signed: {words}",
            hint="git config --get user.signingkey && git commit-tree -S -m test HEAD^{tree}",
        )
    if "cannot lock ref 'HEAD'" in words:
        return CommitFailed("a commit was made while our hooks ran; nothing of ours was committed", hint=AGAIN)
    return CommitFailed(
        f"git commit was refused: {words or f'status {done.status}'}",
        hint=cure_of(words) or "mend what the hook names, then run the same command again",
    )


def _hook_rewrote(rewritten: Mapping[str, bytes | None]) -> HookRewrote:
    names = ", ".join(sorted(rewritten))
    return HookRewrote(
        f"a commit hook rewrites {names}; nothing was committed",
        contents={path: content for path, content in rewritten.items() if content is not None},
        hint=f"exclude {names} from the hook, then run the same command again",
    )


@contextmanager
def _private_index(git: Git) -> Iterator[Path]:
    """A copy of the user's index: an empty one would lose skip-worktree bits, and the stat data that keep the next `git
    diff` from reading every file."""
    place = git.git_dir / "connect-tasks"
    place.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="commit-", dir=place))
    try:
        private = scratch / "index"
        users = git.index_file
        if users.exists():
            shutil.copy2(users, private)  # with its time, by which git tells which entries it must look at again
        yield private
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # a git that is just being killed may write there yet


@contextmanager
def _written(
    directory: Path, files: Mapping[str, bytes], *, unless: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """The files in the work tree; they get their old bytes back when the block fails, `unless` they are committed."""
    before: dict[str, bytes | None] = {}
    try:
        for path, content in files.items():
            target = directory / path
            if target.parent.is_dir():  # else a sparse checkout leaves the directory out
                before[path] = _bytes_of(target)
                write_file(target, content)
        yield
    except BaseException:
        if unless():
            raise
        for path, old in before.items():
            if old is None:
                (directory / path).unlink(missing_ok=True)
            else:
                write_file(directory / path, old)
        raise


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
