"""Bundle archives: looked at when they arrive, unpacked when they are deployed. Nobody's archive is trusted."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from connect_tasks.emulator.manifests import Manifest, ManifestInvalid, read_manifest

LARGEST: Final = 4 * 2**30  # bytes, unpacked
MOST_MEMBERS: Final = 200_000
LARGEST_MANIFEST: Final = 64 * 2**20
UNWRITABLE: Final = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


class ArchiveRefused(Exception):
    """The archive is unreadable, or has a member that would leave its folder; one line."""


def manifest_of(archive: Path, *, links: bool) -> Manifest:
    """The manifest at the root, or inside single nested folders.

    Reads the whole archive, so that what passes here can be unpacked later. Raises ArchiveRefused, ManifestInvalid.
    """
    names: list[PurePosixPath] = []
    found, text = None, b""  # the manifest nearest to the root: no other can be in the folder that all files share
    with _members(archive, links=links) as (tar, members):
        for member in members:
            path = PurePosixPath(member.name)
            if not member.isdir():
                names.append(path)
            if path.name != "manifest.json" or not member.isfile() or member.size > LARGEST_MANIFEST:
                continue
            if found is None or path == found or len(path.parts) < len(found.parts):
                source = tar.extractfile(member)
                found, text = path, source.read() if source else b""
    root = _common_folder(names)
    if root / "manifest.json" != found:
        raise ManifestInvalid("there is no manifest.json")
    return read_manifest(text, root="" if root == PurePosixPath() else str(root))


def _common_folder(names: list[PurePosixPath]) -> PurePosixPath:
    """The lone top folder of the archive, or the lone folder in it, and so on: Connect looks there too."""
    root = PurePosixPath()
    while names and all(len(name.parts) > len(root.parts) + 1 for name in names):
        inner = {name.parts[len(root.parts)] for name in names}
        if len(inner) != 1:
            break
        root /= inner.pop()
    return root


def unpack(archive: Path, destination: Path, *, links: bool) -> None:
    """Unpacks into a sibling and renames: the destination is whole or absent. Raises ArchiveRefused.

    `links`: symbolic links that stay inside are taken; for archives made by git, where they are ordinary content.
    """
    if destination.exists():
        return
    partial = destination.with_name(f"{destination.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        with _members(archive, links=links) as (tar, members):
            for member in members:
                _write(tar, member, partial)
        try:
            partial.rename(destination)
        except OSError:
            if not destination.exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = folder.joinpath(*PurePosixPath(member.name).parts)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written by ourselves and never through a link that an earlier member made.
    if folder.resolve() not in (target.parent.resolve(), *target.parent.resolve().parents):
        raise ArchiveRefused(f"{member.name!r} lies behind a link")
    target.unlink(missing_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
        return
    source = tar.extractfile(member)
    with target.open("wb") as file:
        if source is not None:
            shutil.copyfileobj(source, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


@contextmanager
def _members(archive: Path, *, links: bool) -> Iterator[tuple[tarfile.TarFile, Iterator[tarfile.TarInfo]]]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            yield tar, _checked(tar, links=links)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise ArchiveRefused("it holds a path that no file can have") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the archive's
        raise ArchiveRefused("it is not a readable gzip tar archive") from error
    except zlib.error as error:
        raise ArchiveRefused("its compressed data is damaged") from error


def _checked(tar: tarfile.TarFile, *, links: bool) -> Iterator[tarfile.TarInfo]:
    size = 0
    for count, member in enumerate(tar, start=1):
        name = member.name
        if name.startswith("/") or "\\" in name or "\0" in name or ".." in PurePosixPath(name).parts:
            raise ArchiveRefused(f"{name!r} would lie outside the bundle")
        if member.issym() and links:
            _refuse_leaving_link(member)
        elif not member.isdir() and not member.isreg():
            raise ArchiveRefused(f"{name!r} is neither a file nor a folder")
        size += member.size
        if size > LARGEST or count > MOST_MEMBERS:
            raise ArchiveRefused("it holds too much")
        yield member


def _refuse_leaving_link(member: tarfile.TarInfo) -> None:
    target = os.path.normpath(PurePosixPath(member.name).parent / member.linkname)
    if member.linkname.startswith("/") or target == ".." or target.startswith("../"):
        raise ArchiveRefused(f"the link {member.name!r} leaves the bundle")
