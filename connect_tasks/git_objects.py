"""Reading objects: names resolved without a new process each, blobs many at once and as large as they come."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import IO

from .errors import GitFailed
from .git_calls import REMOTE_TIMEOUT, GitCalls
from .git_messages import failed
from .process import Completed

#: Bytes of a blob that are held in memory at once where it is only hashed.
_CHUNK = 1 << 20


class GitObjects(GitCalls):
    """What names and object ids stand for."""

    def look_up(self, name: str) -> str | None:
        """The id of the object that a name stands for (`HEAD`, `main^{commit}`, `HEAD:apps/sales`), None when there is
        none.

        GitPython's standing `cat-file` answers in 0.1 ms, a new process in 3. What it does not understand (a missing
        object, an id of sha256) git is asked again for.
        """
        if "\n" not in name:
            with self.turn:
                try:
                    return os.fsdecode(self._repo.git.get_object_header(name)[0])  # bytes, whatever its type says
                except ValueError:
                    pass
        found = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return found.text.strip() if found.ok else None

    def commit_data(self, commit: str) -> bytes:
        """A commit object as it is: headers, an empty line, the message. Raises GitFailed when it is none."""
        with self.turn:
            try:
                _, kind, _, data = self._repo.git.get_object_data(commit)
            except ValueError:
                kind, data = "", b""
        if os.fsdecode(kind) == "commit":
            return bytes(data)
        found = self.ask("cat-file", "commit", commit)
        if not found.ok:
            raise failed(found)
        return found.stdout

    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """The contents of blobs, by id, in one call. Raises GitFailed when one is missing."""
        return {oid: b"".join(chunks) for oid, chunks in self._blobs(oids)}

    def checksums(self, oids: Iterable[str]) -> dict[str, str]:
        """The md5 of blobs as git stores them, by id, in one call and without holding a large blob in memory."""
        checksums = {}
        for oid, chunks in self._blobs(oids):
            digest = hashlib.md5(usedforsecurity=False)  # what Connect's manifest asks for
            for chunk in chunks:
                digest.update(chunk)
            checksums[oid] = digest.hexdigest()
        return checksums

    def _blobs(self, oids: Iterable[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
        """(id, content in chunks) of each blob. The content is to be read before the next one is asked for."""
        wanted = sorted(set(oids))
        if not wanted:
            return
        self._fetch_missing(wanted)
        with self._contents(wanted) as contents:
            for oid in wanted:
                size = contents.readline().rstrip()
                if size.endswith(b" missing"):
                    raise GitFailed(f"git has no object {oid}", hint="git fsck")
                if not size:
                    raise EOFError
                yield oid, _chunks(contents, int(size))

    @contextmanager
    def _contents(self, oids: Iterable[str]) -> Iterator[IO[bytes]]:
        """A size, a line feed, the content, a line feed, for each object. Raises GitFailed, also for an EOFError inside.

        Through a pipe, so that what one core reads the other hashes; `--buffer` spares a system call per object.
        """
        request = "".join(f"{oid}\n" for oid in oids).encode()
        reading, writing = os.pipe()

        def write() -> Completed:
            with open(writing, "wb", buffering=0) as sink:  # closed with git's end: that is how the reader sees it
                return self.run("cat-file", "--batch=%(objectsize)", "--buffer", input=request, output=sink)

        with ThreadPoolExecutor(1) as pool, open(reading, "rb", buffering=_CHUNK) as contents:
            written = pool.submit(write)
            try:
                yield contents
            except EOFError:
                if written.result().ok:
                    raise GitFailed("git cat-file ended early", hint="git fsck") from None
            if not written.result().ok:
                raise failed(written.result())

    @cached_property
    def _promisor(self) -> str | None:
        """The remote that a partial clone fetches the rest from."""
        found = self.ask("config", "--name-only", "--get-regexp", r"^remote\..*\.promisor$").text.split()
        return found[0].removeprefix("remote.").removesuffix(".promisor") if found else None

    def _fetch_missing(self, wanted: list[str]) -> None:
        """In a partial clone, fetch what is missing in one exchange; `cat-file` would open a connection for each
        blob."""
        if self._promisor is None:
            return
        listed = self.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered")
        missing = set(wanted) - set(listed.text.split())
        if missing:
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none")
            args = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", *options, "--stdin", "--", self._promisor)
            self.run_remote(*args, input="".join(f"{oid}\n" for oid in missing).encode(), timeout=REMOTE_TIMEOUT)


def _chunks(file: IO[bytes], size: int) -> Iterable[bytes]:
    """The next `size` bytes of a file, and the line feed after them. Raises EOFError."""
    if size < _CHUNK:  # nearly all: 20,000 generators would take longer than the hashing
        content = file.read(size + 1)
        if len(content) <= size:
            raise EOFError
        return (content[:-1],)
    return _large(file, size)


def _large(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise EOFError
        size -= len(chunk)
        yield chunk
    file.read(1)
