"""Bare repositories over smart HTTP: an ASGI app in front of git's own `http-backend`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connect_tasks.emulator.processes import finish, pipe

Pusher = Callable[[Mapping[str, str]], str | None]

# NAME.git/info/refs?service=... and the two services: the dumb protocol is not served.
ROUTE = re.compile(
    r"/(?P<name>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*\.git)/(?P<what>info/refs|git-upload-pack|git-receive-pack)"
)
SERVICES = ("git-upload-pack", "git-receive-pack")
SETTINGS = {
    "http.receivepack": "true",
    "safe.directory": "*",  # a repository of another owner would answer 500 otherwise
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.autogc": "false",
}
CHUNK = 65_536


def git_host(root: Path, *, pusher: Pusher) -> ASGIApp:
    """Serve the repositories below `root`; `pusher` names the user that may push, by the request's headers, else None.

    Anyone may read. A repository that does not exist is made by the first push to it.
    """
    root = root.resolve()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        route = ROUTE.fullmatch(path)
        service = _service(request, route)
        if route is None or service is None or ".." in path.split("/") or "." in path.split("/"):
            await PlainTextResponse("no such repository\n", 404)(scope, receive, send)
            return
        user = pusher(request.headers) if service == "git-receive-pack" else None
        if service == "git-receive-pack" and user is None:
            challenge = {"WWW-Authenticate": 'Basic realm="push with an API key as password"'}
            await PlainTextResponse("pushing needs an API key\n", 401, challenge)(scope, receive, send)
            return
        repository = root / route["name"]
        if not repository.is_dir():
            if service == "git-upload-pack":
                await PlainTextResponse("no such repository\n", 404)(scope, receive, send)
                return
            await asyncio.to_thread(_create, repository)
        await _backend(request, send, environment=_environment(request, root, path, user))

    return app


def _service(request: Request, route: re.Match[str] | None) -> str | None:
    """Which of git's two services the request is for, None if it is no request of the smart protocol."""
    if route is None:
        return None
    if route["what"] == "info/refs":
        asked = request.query_params.get("service")
        return asked if request.method in ("GET", "HEAD") and asked in SERVICES else None
    return route["what"] if request.method == "POST" else None


def _create(repository: Path) -> None:
    """Made beside and renamed: of many first pushes at the same moment none finds half a repository."""
    repository.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=repository.parent, prefix=".new-"))
    plain = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(scratch)]
    subprocess.run(command, check=True, env=plain, capture_output=True)
    scratch.chmod(0o755)
    try:
        scratch.rename(repository)
    except OSError:  # another push was first; its repository serves both
        shutil.rmtree(scratch)


@functools.cache
def _executable() -> str:
    answer = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(Path(answer, "git-http-backend"))


def _environment(request: Request, root: Path, path: str, user: str | None) -> dict[str, str]:
    """Built from nothing: what this server was started with is no business of a hook.

    CONTENT_LENGTH stays unset also where it is known: the end of input tells. With it, git 2.39 reads an input that
    ended early, as after kill -9 of this server, for ever and at full speed.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": request.url.query,
        "REQUEST_METHOD": request.method,
        "REMOTE_ADDR": request.client.host if request.client else "",
        "GIT_CONFIG_COUNT": str(len(SETTINGS)),
    }
    for number, (key, value) in enumerate(SETTINGS.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    if user is not None:
        environment["REMOTE_USER"] = user
    passed = {
        "content-type": "CONTENT_TYPE",
        "content-encoding": "HTTP_CONTENT_ENCODING",  # http-backend inflates by itself
        "git-protocol": "GIT_PROTOCOL",
    }
    return environment | {name: request.headers[header] for header, name in passed.items() if header in request.headers}


async def _backend(request: Request, send: Send, *, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        _executable(),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a group of its own, to be killed with all that it started
    )
    feeding = asyncio.create_task(_feed(request, process))
    try:
        await _answer(request, send, process)
        await process.wait()  # what it still does after its last word is not to be killed
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        _kill(process)
        await asyncio.shield(finish(process))


async def _feed(request: Request, process: asyncio.subprocess.Process) -> None:
    """The request's body, then an eye on the client: when it goes away, what works for it is killed."""
    stdin = pipe(process.stdin)
    try:
        async for chunk in request.stream():
            with contextlib.suppress(ConnectionError):  # it may answer before it has read everything
                stdin.write(chunk)
                await stdin.drain()
        stdin.close()
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        pass
    _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _answer(request: Request, send: Send, process: asyncio.subprocess.Process) -> None:
    stdout = pipe(process.stdout)
    status, headers = await _head(stdout)
    if not headers:  # it dies without a word when it refuses a path
        response = Response("git http-backend failed\n", 500, media_type="text/plain")
        await response(request.scope, request.receive, send)
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while chunk := await stdout.read(CHUNK):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _head(output: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    """A CGI head: the status and the other headers; no headers if there is none."""
    status, headers = 200, []
    while line := (await output.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.strip().lower(), value.strip()))
    return status, headers
