"""What the local Connect server bears: API calls one after another, and pages through its proxy, many at once.

`python -m benchmarks.serving [SECONDS]`. The client is a process of its own, a bare asyncio protocol over kept-alive
connections, so that the server is measured and not a client library; it shares the machine's cores with the server and
the app all the same. Shown: requests a second, p50 and p99 in milliseconds, and the server's own processor time per
request, which other work on the machine does not change. A share of refused or failed answers ends with status 1.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import tarfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import requests
from _figure import Figure, keep

from connect_tasks.emulator import Running, running

SECONDS = 4.0
VISITORS = 32
APP = b"""
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one load came to; times in seconds."""

    answers: int
    wrong: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.answers / self.seconds


class _Visitor(asyncio.Protocol):
    """One kept-alive connection: asks, waits for the whole answer, asks again."""

    def __init__(self, request: bytes, until: float, times: list[float], wrong: list[bytes]) -> None:
        self.request, self.until, self.times, self.wrong = request, until, times, wrong
        self.done = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not _is_whole(self._buffer):
            return
        now = time.perf_counter()
        self.times.append(now - self._asked)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self.wrong.append(self._buffer[:200])
        self._buffer = b""
        if now < self.until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._buffer or exc:
            self.wrong.append(f"lost: {exc}".encode())
        if not self.done.done():
            self.done.set_result(None)


def _is_whole(answer: bytes) -> bool:
    head, split, body = answer.partition(b"\r\n\r\n")
    if not split:
        return False
    fields = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in fields if line.startswith(b"content-length:")), None)
    return len(body) >= length if length is not None else body.endswith(b"0\r\n\r\n")


async def _visit(port: int, request: bytes, visitors: int, seconds: float) -> Load:
    times: list[float] = []
    wrong: list[bytes] = []
    begun = time.perf_counter()
    loop = asyncio.get_running_loop()
    pairs = await asyncio.gather(
        *(
            loop.create_connection(lambda: _Visitor(request, begun + seconds, times, wrong), "127.0.0.1", port)
            for _ in range(visitors)
        )
    )
    await asyncio.gather(*(visitor.done for _, visitor in pairs))
    taken = time.perf_counter() - begun
    for one in wrong[:3]:
        print(one, file=sys.stderr)
    times.sort()
    return Load(
        answers=len(times),
        wrong=len(wrong),
        seconds=taken,
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
    )


def _load(port: int, request: bytes, visitors: int, seconds: float) -> Load:
    return asyncio.run(_visit(port, request, visitors, seconds))


def _deployed(server: Running) -> str:
    """The GUID of a deployed app that needs no package."""
    session = requests.Session()
    session.headers["Authorization"] = f"Key {server.api_key}"
    api = f"{server.url}/__api__/v1"
    python = ".".join(map(str, sys.version_info[:3]))
    manifest = {
        "version": 1,
        "metadata": {"appmode": "python-api", "entrypoint": "app:app"},
        "python": {"version": python, "package_manager": {"name": "pip", "package_file": "requirements.txt"}},
        "files": {},
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in {
            "app.py": APP,
            "requirements.txt": b"",
            "manifest.json": json.dumps(manifest).encode(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    guid = session.post(f"{api}/content", json={"name": "bench", "access_type": "all"}).json()["guid"]
    bundle = session.post(f"{api}/content/{guid}/bundles", data=archive.getvalue()).json()["id"]
    task = session.post(f"{api}/content/{guid}/deploy", json={"bundle_id": bundle}).json()["task_id"]
    while not (state := session.get(f"{api}/tasks/{task}", params={"wait": 5}).json())["finished"]:
        pass
    assert state["code"] == 0, state
    assert session.get(f"{server.url}/content/{guid}/").text == "hello"
    return str(guid)


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(seconds: float) -> int:
    """Print a table; 1 where an answer was wrong."""
    failed = False
    with running() as server, get_context("spawn").Pool(1) as client:
        guid = _deployed(server)
        port = int(server.url.rpartition(":")[2])
        print(f"{'':44}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'server ms':>11}")
        for name, path, visitors in (
            ("API, one after another: who am I", "/__api__/v1/user", 1),
            ("API, one after another: a content item", f"/__api__/v1/content/{guid}", 1),
            ("API, one after another: its bundles", f"/__api__/v1/content/{guid}/bundles", 1),
            ("a page through the proxy, one visitor", f"/content/{guid}/", 1),
            (f"a page through the proxy, {VISITORS} visitors", f"/content/{guid}/", VISITORS),
        ):
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Key {server.api_key}\r\n\r\n"
            client.apply(_load, (port, request.encode(), visitors, 0.5))  # warm
            before = _processor_time(server.pid)
            load = client.apply(_load, (port, request.encode(), visitors, seconds))
            each = (_processor_time(server.pid) - before) / load.answers
            print(f"{name:44}{load.rate:>11,.0f}{load.p50 * 1e3:>9.2f}{load.p99 * 1e3:>9.2f}{each * 1e3:>11.2f}")
            failed |= bool(load.wrong)
            keep(Figure(benchmark="serving", what=f"{name}: median", value=load.p50 * 1e3, unit="ms"))
            keep(Figure(benchmark="serving", what=f"{name}: rate", value=load.rate, unit="a second"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
