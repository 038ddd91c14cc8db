"""Git's own client against the git host: reading, pushing, making repositories, and the traps of http-backend."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import socket
import stat
import sys
from pathlib import Path

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from yarl import URL

from connect_tasks.emulator.git_host import git_host

pytestmark = pytest.mark.anyio

KEY = "the-key"


def pusher(headers):
    """Key or Basic, as the server has it."""
    basic = base64.b64encode(f"ada:{KEY}".encode()).decode()
    return "ada" if headers.get("authorization") in (f"Key {KEY}", f"Basic {basic}") else None


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "git-root"


@pytest.fixture
async def url(root, serve, anyio_backend):
    async with serve(Starlette(routes=[Mount("/git", git_host(root, pusher=pusher))])) as server:
        yield f"{server}/git/app.git"


async def git(cwd: Path, *arguments: str, key: str | None = None, code: int = 0, **variables: str) -> str:
    setting = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Key {key}",
    }
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **(setting if key else {}), **variables}
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode().strip()
    assert process.returncode == code, said
    return said


async def request(method: str, url: URL | str, **options) -> tuple[aiohttp.ClientResponse, bytes]:
    async with aiohttp.ClientSession() as client, client.request(method, url, **options) as answer:
        return answer, await answer.read()


@pytest.fixture
async def work(tmp_path, anyio_backend) -> Path:
    work = tmp_path / "work"
    await git(tmp_path, "init", "--quiet", str(work))
    (work / "file").write_text("one\n")
    await git(work, "add", ".")
    await git(work, "commit", "--quiet", "-m", "one")
    return work


@pytest.fixture
async def pushed(work, url) -> Path:
    await git(work, "push", "--quiet", url, "HEAD:main", key=KEY)
    return work


@pytest.mark.parametrize("protocol", ["0", "1", "2"])
async def test_what_was_pushed_can_be_cloned_without_a_key(work, url, tmp_path, protocol):
    await git(work, "-c", f"protocol.version={protocol}", "push", url, "HEAD:main", key=KEY)
    await git(tmp_path, "-c", f"protocol.version={protocol}", "clone", "--quiet", url, "clone")
    assert (tmp_path / "clone/file").read_text() == "one\n"
    assert await git(tmp_path / "clone", "rev-parse", "HEAD") == await git(work, "rev-parse", "HEAD")


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_without_the_key_nothing_is_pushed_nor_made(work, url, root, key):
    said = await git(work, "push", url, "HEAD:main", key=key, code=128)
    assert "Authentication failed" in said or "could not read Username" in said
    assert not root.exists()


async def test_the_key_is_also_taken_as_a_password(work, url):
    await git(work, "push", "--quiet", url.replace("://", f"://ada:{KEY}@"), "HEAD:main")
    assert "refs/heads/main" in await git(work, "ls-remote", url)


async def test_the_push_asks_for_credentials_as_git_expects_it(url, pushed):
    answer, _ = await request("GET", f"{url}/info/refs?service=git-receive-pack")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    answer, _ = await request("POST", f"{url}/git-receive-pack", data=b"0000")
    assert answer.status == 401


async def test_many_first_pushes_at_once_all_land(work, url):
    pushes = (git(work, "push", "--quiet", url, f"HEAD:refs/heads/b{n}", key=KEY) for n in range(12))
    await asyncio.gather(*pushes)
    assert len((await git(work, "ls-remote", "--heads", url)).splitlines()) == 12


async def test_bodies_come_chunked_and_packed(pushed, url, tmp_path):
    """git chunks what exceeds its buffer, and packs the wants of a fetch that has many."""
    (pushed / "large").write_bytes(os.urandom(3_000_000))
    await git(pushed, "add", ".")
    await git(pushed, "commit", "--quiet", "-m", "large")
    await git(pushed, "-c", "http.postBuffer=65536", "push", "--quiet", url, "HEAD:main", key=KEY)
    commit = await git(pushed, "rev-parse", "HEAD")
    for n in range(60):
        await git(
            pushed, "update-ref", f"refs/heads/b{n}", await git(pushed, "commit-tree", "-m", str(n), "HEAD^{tree}")
        )
    await git(pushed, "push", "--quiet", url, "refs/heads/*:refs/heads/*", key=KEY)
    said = await git(tmp_path, "-c", "protocol.version=0", "clone", "--mirror", url, "mirror", GIT_CURL_VERBOSE="1")
    assert "content-encoding: gzip" in said.lower(), "else this shows nothing"
    assert commit in await git(tmp_path / "mirror", "rev-parse", "main")


async def test_chunked_and_packed_at_once(pushed, url):
    commit = (await git(pushed, "rev-parse", "HEAD")).encode()
    asked = (
        b"".join(b"%04x%s" % (len(line) + 4, line) for line in (b"want %s ofs-delta\n" % commit,)) + b"00000009done\n"
    )

    async def chunks():
        packed = gzip.compress(asked)
        yield packed[:7]
        yield packed[7:]

    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-git-upload-pack-request"}
    answer, body = await request("POST", f"{url}/git-upload-pack", data=chunks(), headers=headers)
    assert answer.status == 200
    assert b"PACK" in body


async def test_shallow_partial_and_single_commits_are_served(pushed, url, tmp_path):
    (pushed / "file").write_text("two\n")
    await git(pushed, "commit", "--quiet", "-am", "two")
    await git(pushed, "push", "--quiet", url, "HEAD:main", key=KEY)
    await git(tmp_path, "clone", "--quiet", "--depth=1", url, "shallow")
    assert await git(tmp_path / "shallow", "rev-list", "--count", "HEAD") == "1"
    assert "warning" not in await git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--bare", url, "partial")
    hidden = await git(pushed, "commit-tree", "-m", "on no branch", "HEAD^{tree}")
    await git(pushed, "push", "--quiet", url, f"{hidden}:refs/keep/it", key=KEY)
    await git(tmp_path / "shallow", "fetch", "--quiet", url, hidden)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
async def test_a_repository_of_another_owner_is_served(pushed, url, root):
    for path in [root / "app.git", *(root / "app.git").rglob("*")]:
        os.chown(path, 12345, 12345)
    assert "refs/heads/main" in await git(pushed, "ls-remote", url)
    await git(pushed, "push", "--quiet", url, "HEAD:another", key=KEY)


async def test_a_hook_of_the_host_refuses_in_its_own_words(pushed, url, root):
    hook = root / "app.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "not on a Friday, $REMOTE_USER"\nenv >&2\nexit 1\n')
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    os.environ["CONNECT_API_KEY"] = "nobodys-business"
    try:
        said = await git(pushed, "push", url, "HEAD:other", key=KEY, code=1)
    finally:
        del os.environ["CONNECT_API_KEY"]
    assert "remote: not on a Friday, ada" in said
    assert "pre-receive hook declined" in said
    assert "nobodys-business" not in said
    assert KEY not in said


async def test_the_loser_of_a_race_is_told(pushed, url, tmp_path):
    await git(tmp_path, "clone", "--quiet", url, "other")
    for place in (pushed, tmp_path / "other"):
        (place / "file").write_text(place.name)
        await git(place, "commit", "--quiet", "-am", place.name)
    await git(pushed, "push", "--quiet", url, "HEAD:main", key=KEY)
    said = await git(tmp_path / "other", "push", url, "HEAD:main", key=KEY, code=1)
    assert "(fetch first)" in said


@pytest.mark.parametrize(
    "path",
    [
        "app.git/HEAD",
        "app.git/info/refs",  # the dumb protocol
        "app.git/info/refs?service=git-upload-archive",
        "app.git/objects/info/packs",
        "app.git/config",
        "%2e%2e/app.git/info/refs?service=git-upload-pack",
        "/etc/app.git/info/refs?service=git-upload-pack",
        "x/%2e%2e/app.git/info/refs?service=git-upload-pack",
        "app.git%00/info/refs?service=git-upload-pack",
        "app/info/refs?service=git-upload-pack",
        "other.git/info/refs?service=git-upload-pack",
        "",
    ],
)
async def test_nothing_else_is_served(pushed, url, path):
    answer, body = await request("GET", URL(url.removesuffix("app.git") + path, encoded=True))
    assert answer.status == 404, body
    answer, _ = await request("GET", f"{url}/info/refs?service=git-upload-pack")
    assert answer.status == 200


async def test_a_folder_that_is_no_repository_is_an_error_not_a_hang(pushed, url, root):
    (root / "odd.git").mkdir()
    answer, _ = await request("GET", f"{url.replace('app.git', 'odd.git')}/info/refs?service=git-upload-pack")
    assert answer.status in (404, 500)


async def test_a_client_who_leaves_takes_the_servers_children_along(pushed, url, root, until):
    """A fetch that never ends its request: what serves it waits, until the client is gone."""
    _, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
    writer.write(
        f"POST {URL(url).path}/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        "Content-Type: application/x-git-upload-pack-request\r\n\r\n0032".encode()
    )
    await until(lambda: backends(root))
    writer.close()
    await until(lambda: not backends(root))


async def test_kill_9_of_the_server_ends_a_push_that_waits(pushed, url, root, tmp_path, until):
    serving = f"""
import pathlib, socket, sys, uvicorn
from connect_tasks.emulator.git_host import git_host
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
app = git_host(pathlib.Path({str(root)!r}), pusher=lambda _headers: "ada")
uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listener])
"""
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", serving, stdout=asyncio.subprocess.PIPE)
    port = int(await server.stdout.readline())
    head = "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 9999\r\n"
    await until(lambda: listening(port))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /app.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{head}\r\n0094".encode())
    await until(lambda: backends(root))
    server.kill()
    await server.wait()
    await until(lambda: not backends(root))
    writer.close()
    await git(pushed, "push", "--quiet", url, "HEAD:another", key=KEY)  # which our own server still serves


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def backends(root: Path) -> list[str]:
    mark = f"GIT_PROJECT_ROOT={root.resolve()}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


async def test_pushes_through_a_mount_below_another_path(work, root, serve):
    app = Starlette(routes=[Mount("/a", Mount("/git", git_host(root, pusher=pusher)))])
    async with serve(app) as server:
        await git(work, "push", "--quiet", f"{server}/a/git/team/app.git", "HEAD:main", key=KEY)
    assert (root / "team/app.git/HEAD").is_file()
