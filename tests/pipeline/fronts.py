"""What stands before a Connect server in a company: TLS with a private CA, proxies, path prefixes, captive portals."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

#: Hop-by-hop headers, which a proxy does not hand on.
HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection"}
Handler = BaseHTTPRequestHandler


@dataclass
class Seen:
    """What a front has seen: requests with their headers, and how many connections they came by."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0

    @property
    def keys(self) -> list[str]:
        return [headers["authorization"] for _, _, headers in self.requests if "authorization" in headers]


@contextmanager
def front(
    answer: Callable[[Handler], None], *, tls: tuple[Path, Path] | None = None, idle: float = 30.0
) -> Iterator[tuple[str, Seen]]:
    """A server that answers by a function -> its origin, and what it has seen.

    `tls`: certificate and key; `idle`: seconds until it closes a connection that nobody uses.
    """
    seen = Seen()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = idle

        def setup(self) -> None:
            seen.connections += 1
            super().setup()

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.requests.append((self.command, self.path, headers))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "CONNECT"):
        setattr(Answering, f"do_{method}", Answering.handle_any)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that goes away, or speaks no TLS, is what some tests are about

    server = Server(("127.0.0.1", 0), Answering)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forward(upstream: str, *, prefix: str = "") -> Callable[[Handler], None]:
    """Hands requests on to a server, without the path prefix, under which alone it is to be had here."""

    def answer(handler: Handler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)  # a forward proxy gets the whole URL
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if not path.startswith(prefix):
            say(handler, 404, "there is nothing here")
            return
        kept = {name: value for name, value in handler.headers.items() if name.lower() not in HOPS}
        with closing(http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)) as there:
            there.request(handler.command, path.removeprefix(prefix), body or None, kept)
            found = there.getresponse()
            content = found.read()
        handler.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in HOPS:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def say(handler: Handler, status: int, text: str, **headers: str) -> None:
    """One answer; `headers`: more of them, with - for _."""
    handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(text.encode())))
    handler.end_headers()
    handler.wfile.write(text.encode())


def tunnel(handler: Handler) -> None:
    """What a proxy does for CONNECT: bytes, both ways."""
    host, _, port = handler.path.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as there:
        handler.send_response(200)
        handler.end_headers()
        pair = (handler.connection, there)
        while True:
            ready, _, _ = select.select(pair, (), (), 30)
            for side in ready:
                with suppress(OSError):
                    if chunk := side.recv(1 << 16):
                        (there if side is handler.connection else handler.connection).sendall(chunk)
                        continue
                handler.close_connection = True
                return
            if not ready:
                return


@dataclass(frozen=True)
class Certificates:
    """A private CA, and what it has signed: for 127.0.0.1, for another host, for a time that is over."""

    place: Path

    @property
    def ca(self) -> Path:
        return self.place / "ca.pem"

    def signed(self, name: str) -> tuple[Path, Path]:
        return self.place / f"{name}.pem", self.place / f"{name}.key"


def make_certificates(place: Path) -> Certificates:
    """By the openssl on PATH."""
    made = Certificates(place)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    ca = ["-x509", "-days", "30", "-subj", "/CN=A private CA", "-addext", "basicConstraints=critical,CA:TRUE"]
    openssl("req", *key, *ca, "-addext", "keyUsage=critical,keyCertSign", "-keyout", place / "ca.key", "-out", made.ca)
    for name, host, days in (
        ("good", "IP:127.0.0.1", "30"),
        ("other", "DNS:other.example", "30"),
        ("old", "IP:127.0.0.1", "-1"),
    ):
        certificate, private = made.signed(name)
        request = place / f"{name}.csr"
        (place / f"{name}.ext").write_text(f"subjectAltName={host}\nbasicConstraints=CA:FALSE\n")
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", private, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", place / "ca.key", "-CAcreateserial",
                "-days", days, "-extfile", place / f"{name}.ext", "-out", certificate)  # fmt: skip
    return made


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
