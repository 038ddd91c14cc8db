"""What in the work tree, the index or the tree of the app would stop a release; each check answers with problems, none
raises."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator

from .configuration import App
from .errors import (
    ContentNotInGit,
    GeneratedFileHidden,
    GitTooOld,
    IdentityMissing,
    NameRefused,
    OperationInProgress,
    Problem,
)
from .git import Git
from .tree import GENERATED, SUBMODULE, SYMLINK, Blob
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


def work_tree_problems(git: Git, app: App) -> list[Problem]:
    """All problems of this kind."""
    tree = git.tree("HEAD", app.path)
    checks = (
        _version(git),
        _operations(git),
        _unmerged(git),
        _locked(git),
        _identity(git),
        _hidden(git, app, tree),
        _missing_content(git, app, tree),
        _names(app, tree),
    )
    return [problem for check in checks for problem in check]


def setting_problems(git: Git, app: App) -> Iterator[Problem]:
    """The configuration has looked already; this is the last moment before the names reach a command line."""
    for key, name in (("branch", app.branch), ("deploy_branch", app.deploy_branch), ("remote", app.remote)):
        if name is not None and (name.startswith("-") or not git.ask("check-ref-format", f"refs/heads/{name}").ok):
            yield NameRefused(
                f"{name!r} can't be a {key.replace('_', ' ')}", hint=f'{key} = "..." in [tool.connect-tasks]'
            )


def _version(git: Git) -> Iterator[Problem]:
    found = re.search(r"(\d+)\.(\d+)", git.ask("version").text)
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        yield GitTooOld(f"git {found[0]} is installed, {oldest} or later is needed", hint="install a newer git")


def _operations(git: Git) -> Iterator[Problem]:
    for name, (what, end) in _OPERATIONS.items():
        if (git.git_dir / name).exists():
            yield OperationInProgress(f"{what} is in progress", where=str(git.root), hint=end)


def _unmerged(git: Git) -> Iterator[Problem]:
    entries = git.ask("ls-files", "--unmerged", "-z", "--full-name").stdout.split(b"\0")[:-1]
    paths = sorted({os.fsdecode(entry.split(b"\t", 1)[1]) for entry in entries})
    if paths:
        yield OperationInProgress(
            f"paths are unmerged: {', '.join(paths[:5])}", hint=f"git add {paths[0]}, once it is mended"
        )


def _locked(git: Git) -> Iterator[Problem]:
    if not lock_is_gone(git, patience=2.0):
        yield index_locked(git, "nothing was written")


def _identity(git: Git) -> Iterator[Problem]:
    for role in ("AUTHOR", "COMMITTER"):
        if not git.ask("var", f"GIT_{role}_IDENT").ok:
            yield IdentityMissing(
                "git does not know who commits", hint='git config user.name "NAME" && git config user.email "EMAIL"'
            )
            return


def _hidden(git: Git, app: App, tree: dict[str, Blob]) -> Iterator[Problem]:
    prefix = "" if app.path == "." else app.path + "/"
    paths = [prefix + name for name in GENERATED]
    ignored = git.run(
        "check-ignore", "-v", "-z", "--stdin", input=b"".join(os.fsencode(path) + b"\0" for path in paths)
    )
    fields = [os.fsdecode(field) for field in ignored.stdout.split(b"\0")]
    for file, number, rule, path in zip(fields[0::4], fields[1::4], fields[2::4], fields[3::4], strict=False):
        if not rule.startswith("!"):
            yield GeneratedFileHidden(
                f"{path} is ignored by the rule {rule!r}",
                where=f"{file}:{number}",
                hint=f"echo '!/{path}' >> .gitignore",
            )
    for entry in git.ask("--literal-pathspecs", "ls-files", "-v", "-z", "--", *paths).stdout.split(b"\0")[:-1]:
        letter, path = entry[:1].decode(), os.fsdecode(entry[2:])
        if letter.islower():
            yield GeneratedFileHidden(
                f"{path} is marked assume-unchanged", hint=f"git update-index --no-assume-unchanged {path}"
            )
        elif letter == "S" and not git.flag("core.sparseCheckout"):
            yield GeneratedFileHidden(
                f"{path} is marked skip-worktree", hint=f"git update-index --no-skip-worktree {path}"
            )
    attributes = git.ask("check-attr", "-z", "filter", "working-tree-encoding", "ident", "--", *paths).stdout.split(
        b"\0"
    )
    for raw, attribute, value in zip(attributes[0::3], attributes[1::3], attributes[2::3], strict=False):
        if value not in {b"unspecified", b"unset"}:
            path, name = os.fsdecode(raw), attribute.decode()
            yield GeneratedFileHidden(
                f"{path} has the attribute {name}={value.decode()}: git would store other bytes than ours",
                hint=f"echo '/{path} -{name}' >> .gitattributes",
            )
    for name in GENERATED:
        if name in tree and tree[name].mode == SYMLINK:
            yield GeneratedFileHidden(
                f"{prefix}{name} is a symbolic link", hint=f"git rm {prefix}{name} && git commit -m 'No link'"
            )


def _missing_content(git: Git, app: App, tree: dict[str, Blob]) -> Iterator[Problem]:
    modules = [path for path, blob in tree.items() if blob.mode == SUBMODULE]
    if modules:
        yield ContentNotInGit(
            f"{app.path} holds the submodule {', '.join(modules)}: Connect's clone would lack its files",
            hint=f"git rm {modules[0]}, and commit the files themselves",
        )
    prefix = "" if app.path == "." else app.path + "/"
    asked = b"".join(os.fsencode(prefix + path) + b"\0" for path in tree)
    fields = git.run("check-attr", "-z", "--stdin", "--cached", "filter", input=asked).stdout.split(b"\0")
    marked = [
        os.fsdecode(path)[len(prefix) :]
        for path, value in zip(fields[0::3], fields[2::3], strict=False)
        if value == b"lfs"
    ]
    contents = git.read(tree[path].oid for path in marked)
    pointers = [path for path in marked if contents[tree[path].oid].startswith(_LFS)]
    if pointers:
        shown = ", ".join(pointers[:5])
        yield ContentNotInGit(
            f"Connect does not fetch LFS files: {shown}",
            hint=f"git lfs migrate export --include={prefix}{pointers[0]}, or keep it elsewhere",
        )


def _names(app: App, tree: dict[str, Blob]) -> Iterator[Problem]:
    alike = defaultdict(list)
    for path in tree:
        alike[unicodedata.normalize("NFC", path).casefold()].append(path)
        if any(0xDC80 <= ord(letter) <= 0xDCFF for letter in path):
            yield NameRefused(
                f"a file of {app.path} has a name that is not UTF-8: {path!r}", hint="git mv it to another name"
            )
    for paths in alike.values():
        if len(paths) > 1:
            yield NameRefused(
                f"files of {app.path} differ in case or accents only: {', '.join(sorted(paths))}",
                hint=f"git mv {paths[0]} to another name",
            )
