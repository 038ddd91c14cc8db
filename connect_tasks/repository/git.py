"""The door to git: one repository, its commits, trees, blobs and remotes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .. import process
from .git_calls import REMOTE_TIMEOUT
from .git_messages import failed, unreachable
from .git_objects import GitObjects
from .git_status import Changes, read_status
from .nested_files import directories_of, grep_for_files
from .tree import DIRECTORY, SUBMODULE, Blob, Tree

#: Listings of trees that are kept: a run looks at the same few again and again.
TREES_KEPT = 32


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where HEAD points: `commit` None before the first commit, `branch` None when detached."""

    commit: str | None
    branch: str | None

    @property
    def detached(self) -> bool:
        return self.branch is None


class Git(GitObjects):
    """One repository. See `GitCalls` for how it is found and called.

    Paths given and returned are POSIX and relative to `root`, the top of the work tree, unless said otherwise;
    `directory` is such a path, "." for the root.
    """

    # reading ----------------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        symbolic = self.ask("symbolic-ref", "--quiet", "HEAD")
        branch = os.fsdecode(symbolic.stdout.strip()).removeprefix("refs/heads/") if symbolic.ok else None
        return Head(commit=self.resolve("HEAD"), branch=branch)

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names, None when there is none."""
        return self.look_up(f"{revision}^{{commit}}")

    def tree(self, revision: str, directory: str) -> Tree:
        """The blobs below DIR at a commit or tree, by path relative to DIR; empty when DIR is absent there."""
        if (known := self._trees.get((revision, directory))) is not None:
            return known
        found = self.run("ls-tree", "-r", "-z", "--full-tree", at(revision, directory))
        entries: dict[str, Blob] = {}
        for entry in os.fsdecode(found.stdout).split("\0")[:-1] if found.ok else ():
            facts, _, path = entry.partition("\t")
            mode, _, oid = facts.split(" ")
            entries[path] = Blob(mode, oid)
        if found.ok and is_id(revision) and len(self._trees) < TREES_KEPT:
            self._trees[revision, directory] = entries
        return entries

    @cached_property
    def _trees(self) -> dict[tuple[str, str], Tree]:
        return {}

    def tree_id(self, revision: str, directory: str) -> str | None:
        """The id of DIR's tree at a commit, None when DIR is absent there."""
        return self.look_up(at(revision, directory))

    def changes(self, directory: str = ".") -> Changes:
        """What differs from HEAD below a directory, paths relative to it."""
        args = ("status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=none")
        found = self.run(
            "--literal-pathspecs", *args, "--", directory, env={"GIT_OPTIONAL_LOCKS": "0"}
        )  # filters may run; the index stays
        if not found.ok:
            raise failed(found)
        return read_status(found.stdout, directory)

    def directories_with(self, file: str, text: str) -> tuple[str, ...]:
        """The directories below the root whose tracked `file` holds `text` in the work tree, in one call however many
        there are."""
        return directories_of(self.run(*grep_for_files(file, text)).stdout)  # status 1: there are none

    @property
    def index_file(self) -> Path:
        """The index of this work tree (linked work trees have their own)."""
        return self.git_dir / "index"

    def git_path(self, name: str) -> Path:
        """Where git keeps a file of its own for this work tree (linked work trees have their own HEAD and index)."""
        return self.root / self.line(self.ask("rev-parse", "--git-path", name))

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; a commit contains itself. Unknown commits are contained in nothing."""
        return older == newer or self.ask("merge-base", "--is-ancestor", older, newer).ok

    def blobs_changed(self, older: str, newer: str) -> dict[str, Blob | None]:
        """What `newer` has where it differs from `older`, by path from the root; None where it has nothing."""
        found = self.ask("diff-tree", "-r", "-z", "--no-renames", "--end-of-options", older, newer)
        if not found.ok:
            raise failed(found)
        fields = found.stdout.split(b"\0")[:-1]
        changed: dict[str, Blob | None] = {}
        for facts, path in zip(fields[::2], fields[1::2], strict=True):
            _, mode, _, oid, _ = facts.decode().split()
            changed[os.fsdecode(path)] = None if mode == "000000" else Blob(mode, oid)
        return changed

    def subjects(self, *revisions: str, paths: Sequence[str] = (), limit: int = 1000) -> tuple[tuple[str, str], ...]:
        """(commit, subject) of the commits that `revisions` select (as for rev-list), newest first; of those that touch
        `paths` (pathspecs), where there are some."""
        options = ("-z", "--format=%H %s", f"--max-count={limit}", "--end-of-options")
        found = self.ask("log", *options, *revisions, "--", *paths)
        if not found.ok:
            raise failed(found)
        lines = found.text.split("\0")
        return tuple((line[: line.index(" ")], line[line.index(" ") + 1 :]) for line in lines if " " in line)

    # remotes ----------------------------------------------------------------------------------------------------------

    def remote_url(self, name: str) -> str | None:
        """Where the remote is read from, after `insteadOf`; None when it is not configured."""
        found = self.ask("remote", "get-url", "--", name)
        return self.line(found) if found.ok else None

    def pushes_elsewhere(self, remote: str) -> bool:
        """Whether what is pushed to a remote goes to another address than it is fetched from."""
        names = (name.lower() for name in self.settings)
        return any(name == f"remote.{remote.lower()}.pushurl" or name.endswith(".pushinsteadof") for name in names)

    def remotes(self) -> tuple[str, ...]:
        return tuple(self.line(self.ask("remote")).split())

    def remote_tip(self, remote: str, ref: str, *, timeout: float = REMOTE_TIMEOUT) -> str | None:
        """The object that a branch (or a full ref) of the remote names now, None when it does not exist. Raises
        RemoteUnreachable."""
        ref = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        found = self.run_remote("ls-remote", "--quiet", "--", remote, ref, timeout=timeout)
        if not found.ok:
            raise unreachable(remote, found)
        lines = (line.split("\t") for line in found.text.splitlines())
        return next((oid for oid, name in lines if name == ref), None)

    def fetch(self, remote: str, branch: str, *, timeout: float = REMOTE_TIMEOUT) -> str | None:
        """Fetch one branch into its remote-tracking ref; its tip, None when the remote has no such branch. Raises
        RemoteUnreachable."""
        tracking = f"refs/remotes/{remote}/{branch}"
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc")
        found = self.run_remote("fetch", *options, "--", remote, f"+refs/heads/{branch}:{tracking}", timeout=timeout)
        if found.ok:
            return self.resolve(tracking)
        if "couldn't find remote ref" in found.error_text:
            return None
        raise unreachable(remote, found)

    # trees that are not commits yet -----------------------------------------------------------------------------------

    def store(self, path: str, content: bytes) -> str:
        """Store a blob as `git add` of `path` with this content would (clean filters, eol); its id. `path` is relative
        to the root."""
        key = (path, hashlib.sha256(content).digest())
        if key not in self._stored:
            self._stored[key] = self.line(self.run("hash-object", "-w", "--stdin", f"--path={path}", input=content))
        return self._stored[key]

    @cached_property
    def _stored(self) -> dict[tuple[str, bytes], str]:
        return {}

    def overlay(self, revision: str | None, directory: str, blobs: Mapping[str, Blob | None]) -> str:
        """The id of DIR's tree at a commit (None: an empty tree) with blobs laid over it; None as a blob removes the
        path. Paths relative to DIR."""
        if not any("/" in path for path in blobs):
            return self._relist(at(revision, directory) if revision else None, blobs)
        base = self.tree_id(revision, directory) if revision else None
        with self.private_index() as index:
            self.index(index, "read-tree", base or "--empty")
            self.update_index(index, blobs)
            return self.line(self.index(index, "write-tree"))

    def graft(self, revision: str | None, directory: str, tree: str) -> str:
        """The root tree of a commit (None: an empty one) with DIR's tree replaced: one small tree for each level,
        however many files there are."""
        if directory == ".":
            return tree
        above, _, name = directory.rpartition("/")
        made = self._relist(at(revision, above or ".") if revision else None, {name: Blob(DIRECTORY, tree)})
        return self.graft(revision, above or ".", made)

    def _relist(self, tree: str | None, entries: Mapping[str, Blob | None]) -> str:
        """The id of a tree (None, or one that is missing: an empty one) with entries of its own level replaced or
        removed. Two calls, where an index takes three and time for each file. `--missing`: a partial clone need not
        fetch what stands beside."""
        listed = self.run("ls-tree", "-z", tree) if tree else None
        found = listed.stdout.split(b"\0")[:-1] if listed and listed.ok else []
        lines = [entry for entry in found if os.fsdecode(entry.split(b"\t", 1)[1]) not in entries]
        lines += [
            f"{new.mode} {new.kind} {new.oid}\t".encode() + os.fsencode(name) for name, new in entries.items() if new
        ]
        return self.line(self.run("mktree", "-z", "--missing", input=b"".join(line + b"\0" for line in lines)))

    def update_index(self, index: Path, blobs: Mapping[str, Blob | None]) -> None:
        """Lay blobs over an index file; paths relative to its root."""
        done = self.lay_over_index(index, blobs)
        if not done.ok:
            raise failed(done)

    def lay_over_index(self, index: Path, blobs: Mapping[str, Blob | None]) -> process.Completed:
        """As update_index, with the status as a result."""
        return self.run(
            "update-index", "--add", "-z", "--index-info", input=_index_lines(blobs), env={"GIT_INDEX_FILE": str(index)}
        )

    @contextmanager
    def private_index(self) -> Iterator[Path]:
        """A place for an index of our own; the user's is neither read nor locked."""
        with tempfile.TemporaryDirectory(prefix="connect-tasks-") as scratch:
            yield Path(scratch, "index")

    def export(self, tree: str, destination: Path, *, directory: str = ".", revision: str | None = None) -> None:
        """Write the files of a tree to `destination` (new or empty) as a fresh clone on Linux would have them.

        The tree is that of `directory`; the `.gitattributes` above it are taken from `revision`. Connect clones with
        git's defaults: so this runs in an empty repository that borrows our objects, and neither `core.autocrlf` nor a
        filter of the user's applies, while the attributes in the tree do.
        """
        if self._promisor is not None:  # the empty repository could not fetch them
            self._fetch_missing([blob.oid for blob in self.tree(tree, ".").values() if blob.mode != SUBMODULE])
        above = self._attributes_above(directory, revision)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=destination.parent) as scratch:
            env: dict[str, str | None] = {
                **_bare_repository(Path(scratch), self.common_dir / "objects", sha256=len(tree) == 64),
                "GIT_INDEX_FILE": str(Path(scratch, "index")),
            }
            if directory == ".":
                self.line(self.run("read-tree", tree, env=env))
            else:
                self.line(self.run("read-tree", "--empty", env=env))
                self.line(self.run("read-tree", f"--prefix={directory}/", tree, env=env))
                self.line(self.run("update-index", "--add", "-z", "--index-info", input=_index_lines(above), env=env))
            self.line(self.run("checkout-index", "--all", "--quiet", f"--prefix={scratch}/files/", env=env))
            made = Path(scratch, "files", directory)
            made.mkdir(parents=True, exist_ok=True)  # an empty tree
            if destination.exists():
                destination.rmdir()
            shutil.move(made, destination)

    def _attributes_above(self, directory: str, revision: str | None) -> dict[str, Blob]:
        if directory == "." or revision is None:
            return {}
        parts = directory.split("/")
        places = ["/".join([*parts[:depth], ".gitattributes"]) for depth in range(len(parts))]
        found = self.ask("ls-tree", "-z", "--full-tree", revision, *places)
        entries = (entry.split(b"\t", 1) for entry in found.stdout.split(b"\0")[:-1])
        return {
            os.fsdecode(path): Blob(facts.decode().split()[0], facts.decode().split()[2]) for facts, path in entries
        }

    def index(self, index: Path, *args: str, input: bytes | None = None) -> process.Completed:  # noqa: A002  # as in run
        """Run a command on an index file that is not the user's. Raises GitFailed."""
        done = self.run(*args, input=input, env={"GIT_INDEX_FILE": str(index)})
        if not done.ok:
            raise failed(done)
        return done


def is_id(revision: str) -> bool:
    """Whether it is a whole object id: what that names never changes."""
    return re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", revision) is not None


def at(revision: str, directory: str) -> str:
    """How git spells a directory of a commit."""
    return f"{revision}:" if directory == "." else f"{revision}:{directory}"


def full_path(directory: str, path: str) -> str:
    """A path of a directory, from the root."""
    return path if directory == "." else f"{directory}/{path}"


def blob_id(content: bytes, *, like: str) -> str:
    """The id that git gives a blob, by the hash that `like` was made with."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()


def _index_lines(blobs: Mapping[str, Blob | None]) -> bytes:
    """What `update-index -z --index-info` reads. Mode 0 removes; the id beside it only has to be one."""
    some = next((blob.oid for blob in blobs.values() if blob), "0" * 40)
    entries = ((path, blob or Blob("0", "0" * len(some))) for path, blob in blobs.items())
    return b"".join(f"{blob.mode} {blob.oid}\t".encode() + os.fsencode(path) + b"\0" for path, blob in entries)


def _bare_repository(place: Path, objects: Path, *, sha256: bool) -> dict[str, str | None]:
    """The variables that make git work in an empty repository at `place` with the objects of another, and with no
    configuration."""
    (place / "git" / "refs").mkdir(parents=True)
    (place / "git" / "HEAD").write_text("ref: refs/heads/none\n")
    (place / "files").mkdir()
    if sha256:
        config = "[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = sha256\n"
        (place / "git" / "config").write_text(config)
    return {
        "GIT_DIR": str(place / "git"),
        "GIT_WORK_TREE": str(place / "files"),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": None,
        "GIT_CONFIG_PARAMETERS": None,
    }
