"""Mirrors of real repositories over HTTP, and what is taken out of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from connect_tasks.emulator.git_host import git_host
from connect_tasks.emulator.repositories import CloneFailed, Repositories

pytestmark = pytest.mark.anyio


@pytest.fixture
def repositories(tmp_path) -> Repositories:
    return Repositories(tmp_path / "mirrors")


@pytest.fixture
def log():
    return []


class Origin:
    """A work tree and the bare repository that the server offers."""

    def __init__(self, work: Path, bare: Path, url: str) -> None:
        self.work, self.bare, self.url = work, bare, url
        self.git("init", "--quiet", "--bare", str(bare))
        self.git("init", "--quiet", str(work))

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        where = cwd or (self.work if self.work.exists() else None)
        return subprocess.run(["git", *arguments], cwd=where, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        for name, text in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_bytes(text.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        self.git("push", "--quiet", "--force", str(self.bare), f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
async def origin(tmp_path, serve, anyio_backend):
    root = tmp_path / "git-root"
    async with serve(Starlette(routes=[Mount("/git", git_host(root, pusher=lambda _headers: None))])) as server:
        yield Origin(tmp_path / "work", root / "app.git", f"{server}/git/app.git")


def unpacked(archive: Path) -> dict[str, bytes | str | None]:
    with tarfile.open(archive) as tar:
        return {
            member.name: tar.extractfile(member).read() if member.isfile() else member.linkname or None
            for member in tar
        }


async def test_branches_tags_and_commits_are_found(origin, repositories, log):
    first = origin.commit({"app.py": "1"})
    second = origin.commit({"app.py": "2"})
    origin.git("tag", "-a", "v1", "-m", "v1", first)
    origin.git("push", "--quiet", str(origin.bare), "v1")
    for ref, commit in (("main", second), ("v1", first), (first, first), (first[:9], first), ("refs/heads/main", None)):
        if commit is None:
            with pytest.raises(CloneFailed, match="refs/heads/main"):
                await repositories.fetch(origin.url, ref, log.append)
        else:
            assert await repositories.fetch(origin.url, ref, log.append) == commit
    assert f"{second}\tmain" in log
    assert any("Fetching git repo" in line for line in log)


async def test_the_branch_is_followed_also_where_it_was_rewritten_or_its_name_became_a_folder(
    origin, repositories, log
):
    old = origin.commit({"app.py": "1"}, "topic")
    assert await repositories.fetch(origin.url, "topic", log.append) == old
    origin.git("commit", "--quiet", "--amend", "-m", "rewritten")
    new = origin.commit({"app.py": "2"}, "topic")
    assert await repositories.fetch(origin.url, "topic", log.append) == new
    origin.git("push", "--quiet", str(origin.bare), ":refs/heads/topic")
    deep = origin.commit({"app.py": "3"}, "topic/deep")
    assert await repositories.fetch(origin.url, "topic/deep", log.append) == deep
    with pytest.raises(CloneFailed, match="no branch, tag or commit 'topic'"):
        await repositories.fetch(origin.url, "topic", log.append)


async def test_a_branch_wins_over_a_tag_and_over_what_looks_like_a_commit(origin, repositories, log):
    first = origin.commit({"app.py": "1"})
    second = origin.commit({"app.py": "2"}, first[:12])
    origin.git("tag", first[:12], first)
    origin.git("push", "--quiet", str(origin.bare), f"refs/tags/{first[:12]}")
    assert await repositories.fetch(origin.url, first[:12], log.append) == second


async def test_a_commit_on_no_branch_is_asked_for(origin, repositories, log):
    origin.commit({"app.py": "1"})
    hidden = origin.git("commit-tree", "-m", "hidden", "HEAD^{tree}")
    origin.git("push", "--quiet", str(origin.bare), f"{hidden}:refs/hidden/it")
    assert await repositories.fetch(origin.url, hidden, log.append) == hidden


async def test_a_commit_that_is_here_is_not_fetched_again_and_a_branch_always_is(origin, repositories, log):
    first = origin.commit({"a": "1"})
    assert await repositories.fetch(origin.url, first, log.append) == first
    shutil.rmtree(origin.bare)
    log.clear()
    assert await repositories.fetch(origin.url, first, log.append) == first
    assert log == [f"{first}\t{first}"]
    with pytest.raises(CloneFailed, match="git fetch"):
        await repositories.fetch(origin.url, "main", log.append)
    with pytest.raises(CloneFailed, match="git fetch"):
        await repositories.fetch(origin.url, "0" * 40, log.append)


async def test_a_commit_that_a_killed_server_left_without_its_files_is_fetched_again(
    origin, repositories, log, tmp_path
):
    """git writes the objects of a fetch one by one, and the branch last."""
    commit = origin.commit({"a": "1"})
    await repositories.fetch(origin.url, commit, log.append)
    (mirror,) = (tmp_path / "mirrors").iterdir()
    tree = origin.git("rev-parse", f"{commit}^{{tree}}")
    (mirror / "objects" / tree[:2] / tree[2:]).unlink()
    origin.git("update-ref", "-d", "refs/heads/main", cwd=mirror)
    restarted = Repositories(tmp_path / "mirrors")
    assert await restarted.fetch(origin.url, commit, log.append) == commit
    await restarted.archive(origin.url, commit, ".", tmp_path / "bundle.tar.gz")
    assert unpacked(tmp_path / "bundle.tar.gz") == {"a": b"1"}


async def test_only_the_directory_is_taken_as_a_clone_would_have_it(origin, repositories, log, tmp_path):
    files = {
        ".gitattributes": "apps/one/skipped.txt export-ignore\n*.crlf text eol=crlf\n",
        "other.txt": "outside",
        "apps/one/manifest.json": "{}",
        "apps/one/skipped.txt": "not skipped: that is for git archive alone",
        "apps/one/deep/lines.crlf": "a\nb\n",
    }
    (origin.work / "apps/one").mkdir(parents=True)
    (origin.work / "apps/one/link").symlink_to("deep/lines.crlf")
    (origin.work / "apps/one/run.sh").touch(mode=0o755)
    commit = origin.commit(files)
    await repositories.fetch(origin.url, "main", log.append)
    archive = tmp_path / "bundles" / "1.tar.gz"
    await repositories.archive(origin.url, commit, "apps/one", archive)
    assert unpacked(archive) == {
        "deep": None,
        "deep/lines.crlf": b"a\r\nb\r\n",
        "link": "deep/lines.crlf",
        "manifest.json": b"{}",
        "run.sh": b"",
        "skipped.txt": files["apps/one/skipped.txt"].encode(),
    }
    with tarfile.open(archive) as tar:
        assert tar.getmember("run.sh").mode & 0o100
        assert not tar.getmember("manifest.json").mode & 0o100
    assert sorted(path.name for path in archive.parent.iterdir()) == ["1.tar.gz"]


async def test_the_same_tree_is_the_same_bytes(origin, repositories, log, tmp_path):
    commit = origin.commit({"app.py": "1", "b/c": "2", "b/a": "3"})
    await repositories.fetch(origin.url, "main", log.append)
    for name, directory in (("one", "."), ("two", "")):
        await repositories.archive(origin.url, commit, directory, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "directory", ["missing", "app.py", "link", "../app", "/etc", "apps/../..", "-x", ":(top)", "a\0b"]
)
async def test_a_directory_that_is_none_is_refused(origin, repositories, log, tmp_path, directory):
    (origin.work / "link").symlink_to("/etc")
    commit = origin.commit({"app.py": "1"})
    await repositories.fetch(origin.url, "main", log.append)
    with pytest.raises(CloneFailed):
        await repositories.archive(origin.url, commit, directory, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "/etc",
        "git@example.org:a/b.git",
        "ssh://example.org/a",
        "ext::sh -c id",
        "--upload-pack=id",
        "http://",
        "http://[::1",
        "",
        "http://a b/c",
    ],
)
async def test_connect_clones_by_http_alone(repositories, log, url):
    with pytest.raises(CloneFailed):
        await repositories.fetch(url, "main", log.append)
    assert log == []


async def test_a_password_in_the_url_is_refused_and_not_shown(repositories, log):
    with pytest.raises(CloneFailed) as caught:
        await repositories.fetch("https://ada:tiger@example.org/a.git", "main", log.append)
    assert "tiger" not in str(caught.value) + "".join(log)


@pytest.mark.parametrize("ref", ["", "-q", "--upload-pack=id", "a b", "main\n", "HEAD^", "main~1", "@{-1}", "nope"])
async def test_a_ref_is_a_name_not_an_expression(origin, repositories, log, ref):
    origin.commit({"a": "1"})
    origin.commit({"a": "2"})
    with pytest.raises(CloneFailed):
        await repositories.fetch(origin.url, ref, log.append)


async def test_a_missing_repository_and_a_missing_server_say_so(origin, repositories, log):
    with pytest.raises(CloneFailed, match="no such repository"):
        await repositories.fetch(origin.url.replace("app.git", "other.git"), "main", log.append)
    with pytest.raises(CloneFailed, match=r"git fetch of http://127\.0\.0\.1:1/a\.git failed"):
        await repositories.fetch("http://127.0.0.1:1/a.git", "main", log.append)


async def test_a_lock_left_by_a_killed_server_is_no_end(origin, repositories, log, tmp_path):
    origin.commit({"a": "1"})
    await repositories.fetch(origin.url, "main", log.append)
    mirror = next((tmp_path / "mirrors").glob("*.git"))
    (mirror / "refs/heads/main.lock").touch()
    commit = origin.commit({"a": "2"})
    assert await repositories.fetch(origin.url, "main", log.append) == commit


async def test_half_a_mirror_is_no_end(origin, tmp_path, repositories, log):
    commit = origin.commit({"a": "1"})
    await repositories.fetch(origin.url, "main", log.append)
    mirror = next((tmp_path / "mirrors").glob("*.git"))
    (mirror / "config").unlink()
    for name in ("objects", "refs"):
        shutil.rmtree(mirror / name)
    (tmp_path / "mirrors/.scratch-old").mkdir()
    again = Repositories(tmp_path / "mirrors")
    assert await again.fetch(origin.url, "main", log.append) == commit
    assert not (tmp_path / "mirrors/.scratch-old").exists()


async def test_many_tasks_of_one_repository_take_turns(origin, repositories, log, tmp_path):
    commit = origin.commit({f"d{n}/file": str(n) for n in range(6)})

    async def task(number: int) -> dict:
        assert await repositories.fetch(origin.url, "main", log.append) == commit
        await repositories.archive(origin.url, commit, f"d{number}", tmp_path / f"{number}.tar.gz")
        return unpacked(tmp_path / f"{number}.tar.gz")

    assert await asyncio.gather(*map(task, range(6))) == [{"file": str(n).encode()} for n in range(6)]


async def test_the_servers_own_git_settings_and_keys_do_not_count(origin, repositories, log, tmp_path, monkeypatch):
    commit = origin.commit({"app.py": "1"})
    home = Path(os.environ["HOME"])
    (home / ".gitconfig").write_text('[url "http://127.0.0.1:1/"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert await repositories.fetch(origin.url, "main", log.append) == commit
