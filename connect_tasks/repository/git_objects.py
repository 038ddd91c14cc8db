"""Reading objects: names resolved without a new process each, blobs many at once and as large as they come."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from io import FileIO

from ..errors import GitFailed
from ..process import Completed
from .git_calls import REMOTE_TIMEOUT, GitCalls
from .git_messages import failed

#: Bytes that are read at once, as many as a pipe holds; larger blobs are hashed in pieces.
_CHUNK = 1 << 16
#: Bytes that our own pipe holds: git is not held up while we wait for more of what it writes.
_ROOM = 1 << 20
#: Seconds to wait after a read that found little: git writes 4 KiB at a time, and to be woken for each takes more
#: processor time than to hash it (104 ms against 75, for 20,000 blobs of 250 bytes).
_PAUSE = 0.0004
#: Contents that are kept once read, since several stages ask for the same few: of so many bytes at most, and so many.
_SMALL, _KEPT = 1 << 14, 1000
#: The next piece of a stream, of so many bytes at most.
More = Callable[[int], bytes]


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

    def look_up_all(self, names: Iterable[str]) -> dict[str, str | None]:
        """The same for many names, in one call. A name with a line feed in it stands for nothing."""
        wanted = [name for name in dict.fromkeys(names) if "\n" not in name]
        if not wanted:
            return {}
        request = "".join(f"{name}\n" for name in wanted)
        found = self.run("cat-file", "--batch-check=%(objectname)", "--buffer", input=os.fsencode(request))
        if not found.ok:
            raise failed(found)
        lines = os.fsdecode(found.stdout).split("\n")[:-1]
        return {
            name: None if line.endswith((" missing", " ambiguous")) else line
            for name, line in zip(wanted, lines, strict=True)
        }

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
        """The contents of blobs, by id, in one call at most. Raises GitFailed when one is missing."""
        wanted = list(dict.fromkeys(oids))
        found = {oid: self._known[oid] for oid in wanted if oid in self._known}
        for oid, chunks in self._blobs(oid for oid in wanted if oid not in found):
            found[oid] = b"".join(chunks)
            if len(found[oid]) <= _SMALL and len(self._known) < _KEPT:
                self._known[oid] = found[oid]
        return {oid: found[oid] for oid in wanted}

    def checksums(self, oids: Iterable[str]) -> dict[str, str]:
        """The md5 of blobs as git stores them, by id, in one call at most; no large blob is held in memory."""
        wanted, known, made = list(dict.fromkeys(oids)), self._checksums, {}
        for oid, chunks in self._blobs([oid for oid in wanted if oid not in known] if known else wanted):
            digest = hashlib.md5(usedforsecurity=False)  # what Connect's manifest asks for
            for chunk in chunks:
                digest.update(chunk)
            made[oid] = digest.hexdigest()
        known.update(made)
        return made if len(made) == len(wanted) else {oid: known[oid] for oid in wanted}

    def _blobs(self, oids: Iterable[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
        """(id, content in chunks) of each blob. The content is to be read before the next one is asked for."""
        wanted = list(dict.fromkeys(oids))
        if not wanted:
            return
        self._fetch_missing(wanted)
        with self._contents(wanted) as more:
            yield from _cut(more, wanted)

    @contextmanager
    def _contents(self, oids: Iterable[str]) -> Iterator[More]:
        """What `_cut` cuts, in pieces as they come. Raises GitFailed, in git's own words.

        Through a pipe, so that one core hashes while the other reads on; `--buffer` spares a system call per object.
        """
        request = "".join(f"{oid}\n" for oid in oids).encode()
        reading, writing = _roomy_pipe()

        def write() -> Completed:
            with FileIO(writing, "wb") as sink:  # closed with git's end: that is how the reader sees it
                return self.run("cat-file", "--batch=%(objectsize)", "--buffer", input=request, output=sink)

        full = True

        def more(most: int) -> bytes:
            nonlocal full
            if not full:
                time.sleep(_PAUSE)
            data = contents.read(min(most, _CHUNK))
            full = len(data) > _CHUNK // 4
            if not data:
                done = written.result()
                raise GitFailed("git cat-file ended early", hint="git fsck") if done.ok else failed(done)
            return data

        with ThreadPoolExecutor(1) as pool, FileIO(reading, "rb") as contents:
            written = pool.submit(write)
            yield more
            if not written.result().ok:
                raise failed(written.result())

    @cached_property
    def _known(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def _checksums(self) -> dict[str, str]:
        return {}

    @cached_property
    def _promisor(self) -> str | None:
        """The remote that a partial clone fetches the rest from."""
        named = re.compile(r"remote\.(.*)\.promisor")
        return next((found[1] for name in self.settings if (found := named.fullmatch(name))), None)

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


def _roomy_pipe() -> tuple[int, int]:
    """A pipe that git does not fill while we pause; elsewhere than on Linux an ordinary one."""
    reading, writing = os.pipe()
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _ROOM)
    return reading, writing


def _cut(more: More, oids: Iterable[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
    """(id, content in chunks) out of a size, a line feed, the content, a line feed, for each id.

    Out of large pieces: a `readline` and a `read` for each of 20,000 blobs took longer than their checksums.
    """
    block, at = b"", 0
    for oid in oids:
        while not (start := block.find(b"\n", at) + 1):
            block, at = block[at:] + more(_CHUNK), 0
        try:
            size = int(block[at:start])
        except ValueError:  # "ID missing"
            raise GitFailed(f"git has no object {oid}", hint="git fsck") from None
        if size > _CHUNK and start + size >= len(block):
            yield oid, _large(more, block[start:], size)
            block, at = b"", 0
            continue
        if start + size >= len(block):
            block, start = block[start:], 0
            while size >= len(block):
                block += more(_CHUNK)
        yield oid, (block[start : start + size],)
        at = start + size + 1


def _large(more: More, begun: bytes, size: int) -> Iterator[bytes]:
    yield begun
    left = size - len(begun)
    while left > 0:
        chunk = more(left)
        left -= len(chunk)
        yield chunk
    more(1)  # the line feed
