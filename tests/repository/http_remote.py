"""A smart-HTTP remote: git's own `http-backend` behind the standard library's server, with faults on request."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BACKEND = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()

SETTINGS = ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant")


@dataclass
class HttpRemote:
    """Serves the repositories below `root`. `password` None: everybody may push.

    `faults` are used up one by one by pushes: "503" answers so before the backend runs, "lost" lets it run and drops
    the connection without an answer, "stall" answers nothing until the server ends. `seen` holds the requests' lines.
    """

    root: Path
    url: str = ""
    password: str | None = None
    readers_too: bool = False  # whether reading asks for the password as well
    faults: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    remote: HttpRemote

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name for it
        self.remote.seen.append(format % args)

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        remote, (path, _, query) = self.remote, self.path.partition("?")
        writes = "git-receive-pack" in self.path
        if remote.password is not None and (writes or remote.readers_too) and not self._authorized(remote.password):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        fault = remote.faults.pop(0) if remote.faults and writes and self.command == "POST" else None
        if fault == "503":
            self.send_error(503)
            return
        if fault == "stall":
            remote.ending.wait()
            return
        answer = subprocess.run(
            [f"{BACKEND}/git-http-backend"], input=body, capture_output=True, env=self._environment(path, query)
        ).stdout
        if fault == "lost":
            self.close_connection = True
            return
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _authorized(self, password: str) -> bool:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(value).decode().endswith(f":{password}")

    def _environment(self, path: str, query: str) -> dict[str, str]:
        passed = {
            "Content-Type": "CONTENT_TYPE",
            "Content-Encoding": "HTTP_CONTENT_ENCODING",
            "Git-Protocol": "GIT_PROTOCOL",
        }
        return {
            **{name: self.headers[header] for header, name in passed.items() if header in self.headers},
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_PARAMETERS": " ".join(f"'{name}=true'" for name in SETTINGS),  # git 2.30 knows it
            "GIT_PROJECT_ROOT": str(self.remote.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "somebody",
        }


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def http_remote(root: Path) -> Iterator[HttpRemote]:
    """Serve the bare repositories below `root` on a free port of loopback."""
    remote = HttpRemote(root=root)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"remote": remote}))
    remote.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield remote
    finally:
        remote.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
