"""Blobs through a pipe: whatever their sizes, and wherever the pieces end."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from connect_tasks.errors import GitFailed
from connect_tasks.repository import git_objects
from connect_tasks.repository.git import Git

from .repository import git, make_repository, open_git

EDGE = git_objects._CHUNK


@pytest.fixture
def blobs(tmp_path: Path) -> tuple[Git, dict[str, bytes]]:
    """A repository, and blobs of awkward sizes in it by id."""
    chance = random.Random(7)  # any bytes will do
    sizes = [0, 1, 2, *(EDGE + more for more in (-12, -2, -1, 0, 1, 2)), 2 * EDGE, 3 * EDGE + 17, *range(200, 900)]
    chance.shuffle(sizes)
    root = make_repository(tmp_path / "repository", {"a": "a\n"})
    contents = [chance.randbytes(size // 2) + b"\n" * (size - size // 2) for size in sizes]
    paths = []
    for number, content in enumerate(contents):
        paths.append(f"../blob{number}")
        (tmp_path / f"blob{number}").write_bytes(content)
    ids = git(root, "hash-object", "-w", "--no-filters", *paths).split()
    return open_git(root), dict(zip(ids, contents, strict=True))


def test_each_is_what_was_stored(blobs: tuple[Git, dict[str, bytes]]) -> None:
    door, contents = blobs

    assert door.read(contents) == contents
    sums = {oid: hashlib.md5(content, usedforsecurity=False).hexdigest() for oid, content in contents.items()}
    assert door.checksums([*contents, *contents]) == sums


def test_a_large_blob_is_hashed_in_pieces(blobs: tuple[Git, dict[str, bytes]]) -> None:
    door, contents = blobs
    pieces = {oid: [len(piece) for piece in chunks] for oid, chunks in door._blobs(contents)}

    assert {oid: sum(lengths) for oid, lengths in pieces.items()} == {oid: len(data) for oid, data in contents.items()}
    assert max(length for lengths in pieces.values() for length in lengths) <= 2 * EDGE


def test_whoever_stops_early_is_left_alone(blobs: tuple[Git, dict[str, bytes]]) -> None:
    door, contents = blobs
    wanted = [oid for oid, content in contents.items() if len(content) > 2 * EDGE]
    reading = door._blobs([*wanted, *contents])
    next(reading)
    reading.close()

    assert door.read(contents) == contents


def test_what_is_missing_is_named(blobs: tuple[Git, dict[str, bytes]]) -> None:
    door, contents = blobs
    missing = "1234567890" * 4

    with pytest.raises(GitFailed, match=f"git has no object {missing}"):
        door.read([*contents, missing])


@pytest.mark.parametrize("size", [10, 10 * EDGE])
def test_a_broken_object_is_an_error_in_gits_words(tmp_path: Path, size: int) -> None:
    root = make_repository(tmp_path / "repository", {"a": random.Random(3).randbytes(size)})
    door, oid = open_git(root), git(root, "rev-parse", "HEAD:a").strip()
    (broken,) = (root / ".git/objects" / oid[:2]).iterdir()
    broken.chmod(0o644)
    broken.write_bytes(broken.read_bytes()[: size // 2])

    with pytest.raises(GitFailed, match="git"):
        door.checksums([oid])
    with pytest.raises(GitFailed, match="git"):
        door.read([oid])
