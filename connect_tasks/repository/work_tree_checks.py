"""What in the work tree, the index or the tree of the app would stop a release; each check answers with problems, none
raises."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from shlex import quote

from ..configuration import App, rules
from ..errors import (
    ContentNotInGit,
    GeneratedFileHidden,
    GitTooOld,
    IdentityMissing,
    NameRefused,
    OperationInProgress,
    Problem,
)
from .git import Git, full_path
from .git_messages import named
from .tree import GENERATED, SUBMODULE, SYMLINK, Tree
from .user_index import index_locked, lock_is_gone

#: `git fetch --no-write-fetch-head`, `rev-parse --end-of-options` and more came with it or before.
OLDEST_GIT = (2, 30)
_LFS = b"version https://git-lfs.github.com/spec/"
#: File or directory in the git directory -> what is half done, and how it ends.
_OPERATIONS = {
    "MERGE_HEAD": ("a merge", "git merge --continue, or git merge --abort"),
    "rebase-merge": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "rebase-apply": ("a rebase or git am", "git rebase --continue, or git rebase --abort (git am --abort)"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or git revert --abort"),
    "BISECT_LOG": ("a bisect", "git bisect reset"),
}


def work_tree_problems(git: Git, app: App, *, committing: bool = True) -> list[Problem]:
    """All problems of this kind."""
    tree = git.tree(git.resolve("HEAD") or "HEAD", app.path)
    checks = (
        _version(git),
        _operations(git),
        _unmerged(git),
        _locked(git),
        _identity(git) if committing else (),
        _hidden(git, app, tree),
        _attributes(git, app, tree),
        _submodules(app, tree),
        _names(app, tree),
    )
    return [problem for check in checks for problem in check]


def setting_problems(app: App) -> Iterator[Problem]:
    """The configuration has looked already; this is the last moment before the names reach a command line."""
    for key, name in (("branch", app.branch), ("deploy_branch", app.deploy_branch), ("remote", app.remote)):
        complaint = rules.ref(name) if name is not None else None
        if complaint:
            yield NameRefused(f"{key} {name!r} {complaint}", hint=f'{key} = "..." in [tool.connect-tasks]')


def _version(git: Git) -> Iterator[Problem]:
    found = re.search(r"(\d+)\.(\d+)", _installed(git.environ.get("PATH", ""), git))
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        yield GitTooOld(f"git {found[0]} is installed, {oldest} or later is needed", hint="install a newer git")


_versions: dict[str, str] = {}


def _installed(path: str, git: Git) -> str:
    if path not in _versions:
        _versions[path] = git.ask("version").text
    return _versions[path]


def _operations(git: Git) -> Iterator[Problem]:
    for name, (what, end) in _OPERATIONS.items():
        if (git.git_dir / name).exists():
            yield OperationInProgress(f"{what} is in progress", where=str(git.root), hint=end)


def _unmerged(git: Git) -> Iterator[Problem]:
    entries = git.ask("ls-files", "--unmerged", "-z", "--full-name").stdout.split(b"\0")[:-1]
    paths = sorted({os.fsdecode(entry.split(b"\t", 1)[1]) for entry in entries})
    if paths:
        yield OperationInProgress(
            f"paths are unmerged: {named(paths)}", hint=f"git add {quote(paths[0])}, once it is mended"
        )


def _locked(git: Git) -> Iterator[Problem]:
    if not lock_is_gone(git, patience=2.0):
        yield index_locked(git, "nothing was written")


def _identity(git: Git) -> Iterator[Problem]:
    for role in ("AUTHOR", "COMMITTER"):
        if not _is_known(git, role) and not git.ask("var", f"GIT_{role}_IDENT").ok:
            hint = 'git config user.name "NAME" && git config user.email "EMAIL"'
            yield IdentityMissing("git does not know who commits", hint=hint)
            return


def _is_known(git: Git, role: str) -> bool:
    """Name and address stand in the environment or the configuration; else git makes them up, or does not."""
    name, email = (
        git.environ.get(f"GIT_{role}_{what.upper()}")
        or git.setting(f"{role.lower()}.{what}")
        or git.setting(f"user.{what}")
        for what in ("name", "email")
    )
    return bool(name and name.strip() and (email or git.environ.get("EMAIL")))


def _hidden(git: Git, app: App, tree: Tree) -> Iterator[Problem]:
    paths = [full_path(app.path, name) for name in GENERATED]
    yield from _ignored(git, paths)
    for entry in git.ask("--literal-pathspecs", "ls-files", "-v", "-z", "--", *paths).stdout.split(b"\0")[:-1]:
        letter, path = entry[:1].decode(), os.fsdecode(entry[2:])
        if letter.islower():
            bit = "assume-unchanged"
        elif letter == "S" and not git.flag("core.sparseCheckout"):
            bit = "skip-worktree"
        else:
            continue
        yield GeneratedFileHidden(f"{named([path])} is marked {bit}", hint=f"git update-index --no-{bit} {quote(path)}")
    for path in paths:
        blob = tree.get(path.removeprefix(full_path(app.path, "")))
        if blob is not None and blob.mode == SYMLINK:
            hint = f"git rm {quote(path)} && git commit -m 'No link'"
            yield GeneratedFileHidden(f"{named([path])} is a symbolic link", hint=hint)


def _ignored(git: Git, paths: list[str]) -> Iterator[Problem]:
    found = _rules(git, paths)
    if not found:
        return
    directories = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    closed = {rule for rule, _ in _rules(git, sorted(directories), "--no-index")}
    for (file, number, rule), path in found:
        # Below an ignored directory nothing can be taken back in.
        mended = f"delete line {number} of {file}" if (file, number, rule) in closed else _take_back_in(file, path)
        message = f"{named([path])} is ignored by the rule {rule!r}"
        yield GeneratedFileHidden(message, where=f"{file}:{number}", hint=mended)


def _rules(git: Git, paths: list[str], *options: str) -> list[tuple[tuple[str, str, str], str]]:
    """((file, line, rule), path) of those paths that a rule ignores."""
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    found = git.run("check-ignore", "-v", "-z", "--stdin", *options, input=asked)
    fields = [os.fsdecode(field) for field in found.stdout.split(b"\0")]
    records = zip(fields[0::4], fields[1::4], fields[2::4], fields[3::4], strict=False)
    return [((file, number, rule), path) for file, number, rule, path in records if not rule.startswith("!")]


def _take_back_in(file: str, path: str) -> str:
    """The command that adds an exception behind the rule: to the same file, where that one is in the repository."""
    inside = PurePosixPath(file).name == ".gitignore" and not PurePosixPath(file).is_absolute()
    place = PurePosixPath(file if inside else ".gitignore")
    pattern = PurePosixPath(path).relative_to(place.parent)
    return f"echo {quote(f'!/{pattern}')} >> {quote(str(place))}"


def _attributes(git: Git, app: App, tree: Tree) -> Iterator[Problem]:
    """What git would do to our files on their way in, and LFS, whose content Connect never sees."""
    generated = {full_path(app.path, name) for name in GENERATED}
    paths = {*generated, *(full_path(app.path, path) for path in tree)}
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    fields = git.run(
        "check-attr", "-z", "--stdin", "filter", "working-tree-encoding", "ident", input=asked
    ).stdout.split(b"\0")
    pointers = []
    for raw, attribute, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        path, name = os.fsdecode(raw), attribute.decode()
        if path in generated and value not in {b"unspecified", b"unset"}:
            message = (
                f"{named([path])} has the attribute {name}={value.decode()}: git would store other bytes than ours"
            )
            yield GeneratedFileHidden(message, hint=f"echo {quote(f'/{path} -{name}')} >> .gitattributes")
        elif (name, value) == ("filter", b"lfs") and path not in generated:
            pointers.append(path)
    yield from _lfs(git, {path: tree[path.removeprefix(full_path(app.path, ""))] for path in pointers})


def _lfs(git: Git, marked: Tree) -> Iterator[Problem]:
    contents = git.read(blob.oid for blob in marked.values())
    pointers = sorted(path for path, blob in marked.items() if contents[blob.oid].startswith(_LFS))
    if pointers:
        hint = f"git lfs migrate export --include={quote(pointers[0])}, or keep it elsewhere"
        yield ContentNotInGit(f"Connect does not fetch LFS files: {named(pointers)}", hint=hint)


def _submodules(app: App, tree: Tree) -> Iterator[Problem]:
    modules = [path for path, blob in tree.items() if blob.mode == SUBMODULE]
    if modules:
        message = f"{app.path} holds the submodule {named(modules)}: Connect's clone would lack its files"
        hint = f"git rm {quote(full_path(app.path, modules[0]))}, and commit the files themselves"
        yield ContentNotInGit(message, hint=hint)


def _names(app: App, tree: Tree) -> Iterator[Problem]:
    alike = defaultdict(list)
    for path in tree:
        alike[unicodedata.normalize("NFC", path).casefold()].append(path)
        if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in path):  # how Python spells bytes that are not UTF-8
            message = f"a file of {app.path} has a name that is not UTF-8: {named([path])}"
            yield NameRefused(message, hint="git mv it to another name")
    for paths in alike.values():
        if len(paths) > 1:
            message = f"files of {app.path} differ in case or accents only: {named(sorted(paths))}"
            yield NameRefused(message, hint=f"git mv {quote(full_path(app.path, paths[0]))} to another name")
