"""A real package index on a port of loopback, with wheels that we build, so that the tests decide what is new."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def wheel(
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    extras: Sequence[str] = (),
    python: str = ">=3.8",
    tag: str = "py3-none-any",
    script: str | None = None,
) -> tuple[str, bytes]:
    """(file name, bytes) of a wheel that holds one module, which knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n"]
    metadata += [f"Provides-Extra: {extra}\n" for extra in extras]
    metadata += [f"Requires-Dist: {line}\n" for line in requires]
    content = {
        f"{module}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": "".join(metadata),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    if script:
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {module}:main\n"
        content[f"{module}.py"] += "import sys\ndef main(): print(sys.prefix)\n"
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in content.items())
    content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{module}-{version}-{tag}.whl", buffer.getvalue()


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Index:
    """Publishes wheels under /simple/. With a `password` it asks for user "reader". `asked`: the requests' paths."""

    url: str = ""
    password: str | None = None
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    yanked: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def publish(self, name: str, version: str, *requires: str, **more: object) -> None:
        file, content = wheel(name, version, requires, **more)  # type: ignore[arg-type]
        self.files.setdefault(name.lower().replace("_", "-"), {})[file] = content

    def yank(self, name: str, version: str) -> None:
        self.yanked.add(f"{name.replace('-', '_')}-{version}-py3-none-any.whl")

    def authenticated(self, user: str = "reader") -> str:
        return self.url.replace("http://", f"http://{user}:{self.password}@")

    def save_to(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        for files in self.files.values():
            for name, content in files.items():
                (directory / name).write_bytes(content)

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        expected = "Basic " + base64.b64encode(f"reader:{self.password}".encode()).decode()
        if self.password and authorization != expected:
            return 401, b"who are you?"
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in self.files:
            links = (self._link(name, content) for name, content in self.files[parts[1]].items())
            return 200, f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        if parts[0] == "files" and len(parts) == 2:
            found = [files[parts[1]] for files in self.files.values() if parts[1] in files]
            return (200, found[0]) if found else (404, b"")
        return 404, b""

    def _link(self, name: str, content: bytes) -> str:
        yanked = ' data-yanked="broken"' if name in self.yanked else ""
        href = f"/files/{name}#sha256={hashlib.sha256(content).hexdigest()}"
        return f'<a href="{html.escape(href)}"{yanked}>{name}</a>'


@contextmanager
def serve(index: Index) -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            status, body = index.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", "text/html" if body.startswith(b"<!") else "application/octet-stream")
            self.send_header("Cache-Control", "no-cache")  # what was just published is there
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  # http.server's own name

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
