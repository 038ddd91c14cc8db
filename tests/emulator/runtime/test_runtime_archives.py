"""Archives from anywhere: what is taken is what a bundle is, and nothing is written outside."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc
import zlib

import pytest

from connect_tasks.emulator import archives
from connect_tasks.emulator.archives import ArchiveRefused, manifest_of, unpack

MANIFEST = json.dumps({"version": 1, "metadata": {"appmode": "python-api", "entrypoint": "app"}}).encode()


def entry(name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.size = kind, link, mode, len(data)
    return member, data


@pytest.fixture
def archive(tmp_path):
    """A bundle of a manifest and these entries."""

    def archive(*entries, manifest: str = "manifest.json"):
        path = tmp_path / "bundle.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for member, data in [entry(manifest, MANIFEST), *entries]:
                tar.addfile(member, io.BytesIO(data))
        return path

    return archive


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "unpacked" / "1"


def refused(path, destination, *, links: bool = False) -> str:
    """Refused when it arrives and, if it were not, when it is unpacked; nothing is left. The reason."""
    with pytest.raises(ArchiveRefused):
        manifest_of(path, links=links)
    return refused_unpacking(path, destination, links=links)


def refused_unpacking(path, destination, *, links: bool = False) -> str:
    with pytest.raises(ArchiveRefused) as caught:
        unpack(path, destination, links=links)
    assert list(destination.parent.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_taken(archive, destination):
    path = archive(
        entry("run.sh", b"#!", mode=0o4777), entry("deep/er/file", b"text"), entry("empty", kind=tarfile.DIRTYPE)
    )
    assert manifest_of(path, links=False).mode == "python-api"
    unpack(path, destination, links=False)
    assert (destination / "deep/er/file").read_bytes() == b"text"
    assert (destination / "empty").is_dir()
    assert (destination / "run.sh").stat().st_mode & 0o7777 == 0o755, "no set-user-id, not writable for all"
    assert (destination / "manifest.json").stat().st_uid == os.getuid()
    unpack(path, destination, links=False)  # a second time changes nothing
    assert [each.name for each in destination.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("root", ["", "app", "a/b/c"])
def test_the_manifest_is_found_in_lone_folders(archive, root):
    at = f"{root}/" if root else ""
    assert manifest_of(archive(entry(f"{at}app.py"), manifest=f"{at}manifest.json"), links=False).root == root


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "..", "a/..", "C:\\evil", "..\\evil", "a/../b", "./../evil"]
)
def test_names_that_lead_out_are_refused(archive, destination, tmp_path, name):
    refused(archive(entry(name, b"evil")), destination)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "manifest.json"),
        (tarfile.LNKTYPE, "manifest.json"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_uploads_hold_files_and_folders_alone(archive, destination, kind, link):
    assert "neither a file nor a folder" in refused(archive(entry("odd", kind=kind, link=link)), destination)


@pytest.mark.parametrize("link", ["/etc/passwd", "../outside", "deep/../../outside", ".."])
def test_links_of_a_repository_stay_inside(archive, destination, link):
    refused(archive(entry("link", kind=tarfile.SYMTYPE, link=link)), destination, links=True)


def test_links_of_a_repository_that_stay_inside_are_kept(archive, destination):
    path = archive(entry("deep/link", kind=tarfile.SYMTYPE, link="../manifest.json"))
    unpack(path, destination, links=True)
    assert (destination / "deep/link").read_bytes() == MANIFEST


def test_nothing_is_written_through_a_link(archive, destination, tmp_path):
    path = archive(
        entry("here", kind=tarfile.SYMTYPE, link="."),
        entry("here/up", kind=tarfile.SYMTYPE, link=".."),
        entry("up/evil", b"evil"),
    )
    refused_unpacking(path, destination, links=True)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "entries",
    [
        [entry("x", b"file"), entry("x/y", b"below a file")],
        [entry("x", kind=tarfile.DIRTYPE), entry("x", b"file")],
        [entry("n" * 300, b"long")],
        [entry("/".join(["d" * 200] * 30), b"deep")],
    ],
    ids=["file-as-folder", "folder-as-file", "long-name", "long-path"],
)
def test_what_no_file_system_can_hold_is_the_archives_fault(archive, destination, entries):
    refused_unpacking(archive(*entries), destination)


def test_a_claim_of_size_is_refused_before_it_is_read(tmp_path, destination):
    """A gzip bomb: a member that says it has a tebibyte, in an archive of a few bytes."""
    path = tmp_path / "bomb.tar.gz"
    member = tarfile.TarInfo("zeros")
    member.size = 2**40
    path.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)))
    refused(path, destination)


def test_many_small_ones_add_up(archive, destination, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 10_000)
    assert "too much" in refused(archive(*(entry(f"f{n}", b"x" * 100) for n in range(101))), destination)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 50)
    assert "too much" in refused(archive(*(entry(f"f{n}") for n in range(51))), destination)


def test_many_manifests_do_not_fill_the_memory(archive):
    """Each compresses to nothing."""
    path = archive(*(entry(f"d{n}/manifest.json", b" " * 20_000_000) for n in range(8)))
    tracemalloc.start()
    try:
        manifest_of(path, links=False)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"PK\3\4" + data,
        lambda _data: gzip.compress(b"no tar at all" * 100),
        lambda data: data[:20] + bytes([data[20] ^ 0xFF]) + data[21:],
        lambda data: data[:10] + zlib.compress(b"x")[2:],
        gzip.decompress,
    ],
    ids=["empty", "half", "zip", "other", "flipped", "cut", "not-gzip"],
)
def test_what_is_no_archive_is_said_to_be_none(archive, destination, damage):
    path = archive(entry("file", os.urandom(5000)))
    path.write_bytes(damage(path.read_bytes()))
    refused(path, destination)
