"""Mirrors of the repositories that content is linked to, and the directories taken out of them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from connect_tasks.emulator.processes import Log, ask, run

PASSED_ON = ("PATH", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
SETTINGS = {
    "gc.autoDetach": "false",  # what outlives the command is killed with it
    "http.lowSpeedLimit": "1",  # a remote that says nothing for a minute is given up
    "http.lowSpeedTime": "60",
    "safe.directory": "*",
    "core.symlinks": "true",
    "advice.detachedHead": "false",
}
SCRATCH = ".scratch-"
FULL_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-")  # what git allows in no ref: main~1 is an expression
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


class CloneFailed(Exception):
    """A repository, ref or directory could not be had. The text holds no secret: it goes to the task log."""


class Repositories:
    """One bare mirror per URL below `root`; a mirror is used by one task at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._locks: dict[Path, asyncio.Lock] = {}
        self._whole: dict[Path, set[str]] = {}  # commits that a fetch brought to its end: being there is not enough
        for left_over in self._root.glob(f"{SCRATCH}*"):  # by a server that was killed
            shutil.rmtree(left_over, ignore_errors=True)

    async def fetch(self, url: str, ref: str, log: Log) -> str:
        """Bring the mirror up to date: the full SHA of the commit that a branch, tag or commit names.

        Raises CloneFailed.
        """
        mirror = self._mirror(url)
        if not ref or NO_NAME.search(ref):
            raise CloneFailed(f"{ref!r} is no name of a branch, tag or commit")
        async with self._locks.setdefault(mirror, asyncio.Lock()):
            # A commit stays what it is: one that is here need not be fetched again.
            commit = ref if ref in self._whole.get(mirror, ()) else await self._fetched(mirror, url, ref, log)
        if commit is None:
            raise CloneFailed(f"{_shown(url)} has no branch, tag or commit {ref!r}")
        log(f"{commit}\t{ref}")
        return commit

    async def _fetched(self, mirror: Path, url: str, ref: str, log: Log) -> str | None:
        await self._update(mirror, url, log)
        commit = await self._resolve(mirror, ref)
        if commit is None and FULL_SHA.fullmatch(ref):  # on no branch: ask the remote for that very commit
            await self._git(mirror, "fetch", "--quiet", "--no-tags", "--end-of-options", url, ref)
            commit = await self._resolve(mirror, ref)
        if commit == ref:
            self._whole.setdefault(mirror, set()).add(ref)
        return commit

    async def archive(self, url: str, commit: str, directory: str, destination: Path) -> None:
        """Write a tar.gz of what that directory holds at that commit, its contents at the root; whole or not at all.

        The files are checked out as a clone would have them, so attributes that only `git archive` knows
        (export-ignore) take nothing away. Raises CloneFailed if the commit has no such directory.
        """
        mirror = self._mirror(url)
        inside = _inside(directory)
        async with self._locks.setdefault(mirror, asyncio.Lock()):
            with tempfile.TemporaryDirectory(dir=self._root, prefix=SCRATCH) as scratch:
                index, tree = Path(scratch, "index"), _folder(Path(scratch, "tree"))
                environment = _environment(mirror) | {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(tree)}
                for arguments in _taken_out(commit, inside):
                    command = ["git", *arguments]
                    code, said = await ask(command, cwd=tree, environment=environment, data=self._root)
                    if code:
                        break
                if code and "did not match" not in "".join(said):
                    raise CloneFailed(f"git checkout failed: {_reason(said)}")
                if code or not _is_real_folder(tree / inside):
                    raise CloneFailed(f"commit {commit[:12]} of {_shown(url)} has no directory {directory!r}")
                await asyncio.to_thread(_pack, tree / inside, destination)

    def _mirror(self, url: str) -> Path:
        parts = _http(url)
        if parts is None:
            raise CloneFailed(f"{_shown(url)} is no http or https URL: Connect clones by nothing else")
        if parts.password or parts.username:
            raise CloneFailed(f"{_shown(url)}: credentials belong in the server's settings, not in the URL")
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{parts.netloc}{parts.path}".removesuffix(".git"))[-80:].strip("-")
        return self._root / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}.git"

    async def _update(self, mirror: Path, url: str, log: Log) -> None:
        log(f"Fetching git repo at {mirror.name} from {_shown(url)}")
        refspecs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        fetch = ("fetch", "--no-tags", "--prune", "--force", "--end-of-options", url, *refspecs)
        if not _exists(mirror):
            await self._checked(_folder(mirror), "init", "--quiet", "--bare", ".")
        code, said = await self._git(mirror, *fetch, log=log)
        if code and _damaged(said):  # by a server that was killed while it wrote
            log("The mirror is damaged: cloning anew")
            self._whole.pop(mirror, None)
            await asyncio.to_thread(shutil.rmtree, mirror)
            await self._checked(_folder(mirror), "init", "--quiet", "--bare", ".")
            code, said = await self._git(mirror, *fetch, log=log)
        if code:
            raise CloneFailed(f"git fetch of {_shown(url)} failed: {_reason(said)}")

    async def _resolve(self, mirror: Path, ref: str) -> str | None:
        """Branches before tags before commits; the start of a commit is enough where no other starts so."""
        candidates = [f"refs/heads/{ref}", f"refs/tags/{ref}", *([ref] if re.fullmatch("[0-9a-f]{7,64}", ref) else [])]
        question = ["git", "cat-file", "--batch-check=%(objectname)"]  # answers in the order of the lines
        lines = "".join(f"{candidate}^{{commit}}\n" for candidate in candidates)
        _, said = await ask(question, cwd=mirror, environment=_environment(mirror), data=self._root, told=lines)
        return next((line for line in said if FULL_SHA.fullmatch(line)), None)

    async def _checked(self, repository: Path, *arguments: str) -> None:
        code, said = await self._git(repository, *arguments)
        if code:
            raise CloneFailed(f"git {arguments[0]} failed: {_reason(said)}")

    async def _git(self, repository: Path, *arguments: str, log: Log = lambda _line: None) -> tuple[int, list[str]]:
        environment = _environment(repository)
        return await run(["git", *arguments], cwd=repository, environment=environment, data=self._root, log=log)


def _taken_out(commit: str, inside: PurePosixPath) -> tuple[tuple[str, ...], ...]:
    """The commands that write a directory of the commit into an empty work tree."""
    if inside == PurePosixPath():
        return (("checkout", "--quiet", commit, "--", "."),)
    # The whole tree goes to the index, so that .gitattributes above the directory count as in a clone.
    return ("read-tree", commit), ("checkout", "--quiet", "--", str(inside))


def _environment(repository: Path) -> dict[str, str]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_DIR": str(repository),
        "GIT_CONFIG_COUNT": str(len(SETTINGS)),
    }
    for number, (key, value) in enumerate(SETTINGS.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _http(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    usable = parts.scheme in ("http", "https") and parts.hostname and not UNPRINTABLE.search(url)
    return parts if usable else None


def _inside(directory: str) -> PurePosixPath:
    inside = PurePosixPath(directory or ".")
    if inside.is_absolute() or ".." in inside.parts or "\0" in directory:
        raise CloneFailed(f"the directory {directory!r} leaves the repository")
    return inside


def _exists(mirror: Path) -> bool:
    return (mirror / "HEAD").exists()


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _pack(directory: Path, destination: Path) -> None:
    """The same bytes for the same tree: sorted, no times, no owners."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    destination.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}-")
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for entry in sorted(directory.iterdir()):
                archive.add(entry, arcname=entry.name, filter=plain)  # add() sorts what lies below by itself
        Path(name).replace(destination)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _damaged(said: list[str]) -> bool:
    """Our own mirror is at fault (a lock left by a kill, an object missing), not the remote."""
    text = "\n".join(said)
    return any(sign in text for sign in (".lock'", "corrupt", "bad object", "unable to read", "not a git repository"))


def _reason(said: list[str]) -> str:
    told = [line.strip() for line in said if line.startswith(("fatal:", "error:", "remote:"))] or said[-1:]
    return "; ".join(told)[:500] or "git said nothing"


def _shown(url: str) -> str:
    """The URL without what may be a password in it."""
    return re.sub(r"//[^/@]*@", "//***@", UNPRINTABLE.sub("?", url))[:300]
