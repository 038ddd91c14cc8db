"""Between us and the server: each thing that goes wrong there is one line with cause and cure; the key stays home."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connect_tasks.emulator import Running
from connect_tasks.errors import Problem, ServerRefused, ServerUnreachable
from connect_tasks.secret import Secret
from connect_tasks.server import connect_transport
from connect_tasks.server.connect import Connect
from connect_tasks.server.server_address import ServerAddress

from .conftest import Workshop
from .fronts import Certificates, Handler, Seen, forward, front, make_certificates, say, tunnel
from .site import hurry

KEY = "canary-key-of-the-network-tests"
SURROUNDINGS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = tuple(
    name for plain in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (plain, plain.upper())
)
USER = '{"guid": "g", "username": "ada", "user_role": "publisher"}'


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SURROUNDINGS, *PROXIES):
        monkeypatch.delenv(name, raising=False)
    hurry(monkeypatch)


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[str, Seen]]]:
    """Opens fronts, which close with the test."""
    with ExitStack() as stack:
        yield lambda *args, **settings: stack.enter_context(front(*args, **settings))


def to(url: str, **address: Any) -> Connect:
    return Connect(ServerAddress(url=url, key=Secret(KEY), source="the test", **address))


def user(handler: Handler) -> None:
    say(handler, 200, USER)


def problem_of(ask: Callable[[], object], code: str, says: str, cure: str) -> Problem:
    """The problem, checked to be one line that names cause and cure, and never the key."""
    with pytest.raises(Problem) as caught:
        ask()
    problem = caught.value
    told = f"{problem.message} ({problem.where}) {problem.hint}"
    assert problem.code == code, told
    assert says in problem.message
    assert cure in (problem.hint or "")
    assert problem.where
    assert "\n" not in told
    assert KEY not in told
    assert "HTTPConnection" not in told  # nothing of the libraries' own wording
    assert "Caused by" not in told
    return problem


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# finding it -----------------------------------------------------------------------------------------------------------


def test_a_name_that_dns_does_not_know() -> None:
    problem_of(to("http://connect.invalid").user, "CT702", "unknown to DNS", "`server`")


def test_nobody_listens() -> None:
    problem_of(to(f"http://127.0.0.1:{free_port()}").user, "CT702", "connection refused", "`server`")


def test_a_server_that_comes_back_is_waited_for() -> None:
    """As after a restart: nobody listens at first."""
    import threading

    port, opened = free_port(), ExitStack()

    def open_late() -> None:
        from http.server import BaseHTTPRequestHandler, HTTPServer

        class Late(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                say(self, 200, USER)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", port), Late)
        opened.callback(server.server_close)
        server.handle_request()

    from connect_tasks.server import doubt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(doubt, "PAUSE", 0.5)
        patched.setattr(doubt, "LONGEST_PAUSE", 5.0)
        later = threading.Timer(0.3, open_late)
        later.start()
        with opened:
            assert to(f"http://127.0.0.1:{port}").user().name == "ada"
            later.join()


# TLS ------------------------------------------------------------------------------------------------------------------


def test_a_private_ca_is_told_and_cured(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = opened(user, tls=certificates.signed("good"))
    problem_of(to(url).user, "CT702", "certificate is not trusted: ", "CONNECT_CA_CERTIFICATE=")
    assert seen.connections == 1  # that does not pass by itself: it is not tried again
    assert seen.requests == []
    assert to(url, ca=certificates.ca).user().name == "ada"
    assert to(url, ca_text=certificates.ca.read_text()).user().name == "ada"
    assert to(url, insecure=True).user().name == "ada"
    for name in SURROUNDINGS[:3]:
        with monkeypatch.context() as patched:
            patched.setenv(name, str(certificates.ca))
            assert to(url).user().name == "ada", name


def test_what_was_said_of_this_server_outdoes_the_surroundings(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In requests, REQUESTS_CA_BUNDLE outdoes the `verify` of a session."""
    import certifi

    url, _ = opened(user, tls=certificates.signed("good"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert to(url, ca=certificates.ca).user().name == "ada"
    assert to(url, insecure=True).user().name == "ada"
    with pytest.raises(ServerUnreachable):
        to(url).user()


def test_a_certificate_that_is_not_verified_is_marked_loudly(
    workshop: Workshop, opened: Callable[..., tuple[str, Seen]], certificates: Certificates, connect_server: Running
) -> None:
    """Only what `rsconnect add --insecure` saved does without, and each report says so."""
    from rsconnect.metadata import ServerStore, config_dirname

    url, _ = opened(forward(connect_server.url), tls=certificates.signed("good"))
    store = ServerStore(config_dirname(sys.platform, workshop.environ))
    store.set("loose", url, api_key=connect_server.api_key, insecure=True)
    workshop.environ["CONNECT_SERVER"] = "loose"
    ran = workshop.run("release", "--no-test", "not the subject")
    assert ran.status == 0, ran.said
    assert any(note.startswith("ATTENTION: the server's certificate is not verified") for note in ran.report["notes"])
    assert "ATTENTION" in ran.said


@pytest.mark.parametrize(
    ("certificate", "says", "cure"),
    [("old", "expired", "clock"), ("other", "mismatch", "the name in the certificate")],
)
def test_a_certificate_that_is_not_for_us(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates, certificate: str, says: str, cure: str
) -> None:
    url, _ = opened(user, tls=certificates.signed(certificate))
    problem_of(to(url, ca=certificates.ca).user, "CT702", says, cure)


def test_a_file_of_certificates_that_is_not_there(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = opened(user, tls=certificates.signed("good"))
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    problem_of(to(url).user, "CT702", "/no/such/file.pem", "SSL_CERT_FILE")


def test_http_and_https_taken_for_each_other(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates
) -> None:
    plain, _ = opened(user)
    problem_of(to(plain.replace("http:", "https:")).user, "CT702", "speaks plain http", "write http://")
    secure, _ = opened(user, tls=certificates.signed("good"))
    problem_of(to(secure.replace("https:", "http:")).user, "CT702", "", "")  # a server that says nothing at all
    nginx, _ = opened(lambda handler: say(handler, 400, "<h1>The plain HTTP request was sent to HTTPS port</h1>"))
    problem_of(to(nginx).user, "CT702", "speaks https on this port", "write https://")
    alert, _ = opened(lambda handler: handler.connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46\r\n"))
    problem_of(to(alert).user, "CT702", "speaks https on this port", "write https://")


# somebody else answers ------------------------------------------------------------------------------------------------


def test_a_captive_portal(opened: Callable[..., tuple[str, Seen]]) -> None:
    url, _ = opened(lambda handler: say(handler, 200, "<html>\x1b[2J<title>Hotel\r\n WiFi</title>" + 2000 * "x"))
    problem = problem_of(to(url).user, "CT704", "not JSON", "the address of Connect itself")
    assert "<html><title>Hotel WiFi</title>xxx" in problem.message
    assert len(problem.message) < 300


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # the same host by another port, and another host
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_never_follows_a_redirect(opened: Callable[..., tuple[str, Seen]], status: int, host: str) -> None:
    """Neither of a page nor of the API, GET or POST; posit-sdk would send POST and key along."""
    elsewhere, their = opened(user)
    target = elsewhere.replace("127.0.0.1", host)
    url, seen = opened(lambda handler: say(handler, status, "", Location=f"{target}/login?state=secret"))
    connect = to(url)
    for ask in (
        connect.user,
        lambda: connect.deploy("g", None),
        lambda: connect.bundle_from_commit("g", "c"),
        lambda: connect.create_content("name", {}),
        lambda: connect.set_environment("g", {"NAME": "value"}),
    ):
        problem = problem_of(ask, "CT704", f"sends us to another address, {target}/login", "`server`")
        assert "state=secret" not in problem.message
    page = connect.visit(f"{url}/content/g/", timeout=5)
    assert (page.status, page.redirected_to) == (0, f"{target}/login?state=secret")
    assert len(seen.keys) == 6
    assert (their.connections, their.requests) == (0, [])


def test_a_redirect_to_https_is_told_as_such(opened: Callable[..., tuple[str, Seen]]) -> None:
    url, _ = opened(lambda handler: say(handler, 301, "", Location=f"https://{handler.headers['Host']}{handler.path}"))
    problem = problem_of(to(url).user, "CT704", "another address, https://127.0.0.1:", "`server`")
    assert "our key does not go there" in problem.message


def test_pages_may_redirect_on_their_own_server(opened: Callable[..., tuple[str, Seen]]) -> None:
    def answer(handler: Handler) -> None:
        if handler.path.endswith("/home"):
            say(handler, 200, "wëlcome", Content_Type="text/html")  # no charset: requests would read it as Latin-1
        else:
            say(handler, 302, "", Location="home")

    url, seen = opened(answer)
    page = to(url).visit(f"{url}/content/g/", timeout=5)
    assert (page.status, page.text, page.redirected_to) == (200, "wëlcome", None)
    assert seen.keys == [f"Key {KEY}"] * 2


@pytest.mark.parametrize("content_type", ["text/html; charset=no-such-charset", 'text/html; charset="UTF-8"', "x"])
def test_any_charset_is_read(opened: Callable[..., tuple[str, Seen]], content_type: str) -> None:
    url, _ = opened(lambda handler: say(handler, 200, "ü", Content_Type=content_type))
    assert to(url).visit(url, timeout=5).text == "ü"


# too much, too slow ---------------------------------------------------------------------------------------------------


def chunked(handler: Handler, pieces: Iterator[bytes], pause: float = 0) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        for piece in pieces:
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(pause)
        handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize("length", ["told", "chunked"])
def test_fifty_megabytes_are_no_answer(opened: Callable[..., tuple[str, Seen]], length: str) -> None:
    megabyte = b"x" * (1 << 20)

    def answer(handler: Handler) -> None:
        if length == "told":
            say(handler, 200, "x" * (50 << 20))
        else:
            chunked(handler, iter([megabyte] * 50))

    url, _ = opened(answer)
    problem_of(to(url).user, "CT702", "more than 33,554,432 bytes", "the address of Connect itself")
    assert len(to(url).visit(url, timeout=20).text) == 1 << 20  # of a page, the beginning is enough


def test_an_answer_that_stops_in_the_middle(
    opened: Callable[..., tuple[str, Seen]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_transport, "READ_TIMEOUT", 0.3)
    url, _ = opened(lambda handler: chunked(handler, iter([b'{"guid"', b""]), pause=2))
    problem_of(to(url).user, "CT702", "did not answer in time", "CONNECT_REQUEST_TIMEOUT=")


def test_a_slow_server_may_be_given_longer(
    opened: Callable[..., tuple[str, Seen]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(handler: Handler) -> None:
        time.sleep(1.0)
        user(handler)

    url, _ = opened(slowly)
    monkeypatch.setenv("CONNECT_REQUEST_TIMEOUT", "0.2")
    problem_of(to(url).user, "CT702", "did not answer in time", "CONNECT_REQUEST_TIMEOUT=")
    for generous in ("30", "no number", "-1", "nan"):
        monkeypatch.setenv("CONNECT_REQUEST_TIMEOUT", generous)
        assert to(url).user().name == "ada"


def test_a_connection_that_never_comes_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog drops what comes, as a firewall does."""
    monkeypatch.setattr(connect_transport, "CONNECT_TIMEOUT", 0.3)
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        problem_of(to(url).user, "CT702", "no connection came about in time", "the proxy")


def test_an_answer_that_never_ends(opened: Callable[..., tuple[str, Seen]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then: no read limit ever fires."""
    monkeypatch.setattr(connect_transport, "ANSWER_TIMEOUT", 0.5)
    url, _ = opened(lambda handler: chunked(handler, iter([b" "] * 500), pause=0.02))
    problem_of(to(url).user, "CT702", "did not come to its end within 0.5 s", "")
    assert to(url).visit(url, timeout=0.5).text.strip() == ""  # a page that streams is a page


def test_an_answer_that_is_cut_is_asked_for_again(opened: Callable[..., tuple[str, Seen]]) -> None:
    def answer(handler: Handler) -> None:
        if len(seen.requests) > 1:
            say(handler, 200, USER)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"guid": ')
        handler.close_connection = True

    url, seen = opened(answer)
    assert to(url).user().name == "ada"
    assert len(seen.requests) == 2


# connections ----------------------------------------------------------------------------------------------------------


def test_one_connection_serves_many_calls(opened: Callable[..., tuple[str, Seen]]) -> None:
    url, seen = opened(user)
    connect = to(url)
    for _ in range(5):
        connect.user()
    assert (len(seen.requests), seen.connections) == (5, 1)


def test_a_connection_that_the_server_closed_between_polls(opened: Callable[..., tuple[str, Seen]]) -> None:
    url, seen = opened(user, idle=0.1)
    connect = to(url)
    connect.user()
    time.sleep(0.5)
    connect.user()
    with pytest.raises(ServerRefused):  # a POST, too, goes through at once: the answer here is no task
        connect.deploy("g", None)
    assert (len(seen.requests), seen.connections) == (3, 2)


# proxies and prefixes -------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used_and_spared(
    opened: Callable[..., tuple[str, Seen]], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure, there = opened(user, tls=certificates.signed("good"))
    proxy, seen = opened(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert to(secure, ca=certificates.ca).user().name == "ada"
    assert [(method, path) for method, path, _ in seen.requests] == [("CONNECT", secure.removeprefix("https://"))]
    assert seen.keys == []  # the proxy does not see it
    assert there.keys == [f"Key {KEY}"]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert to(secure, ca=certificates.ca).user().name == "ada"
    assert len(seen.requests) == 1


def test_a_proxy_that_wants_a_password(
    opened: Callable[..., tuple[str, Seen]], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, _ = opened(lambda handler: say(handler, 407, "Who are you?"))
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//ada:password-of-the-proxy@"))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    for scheme in ("http", "https"):
        problem = problem_of(to(f"{scheme}://connect.invalid").user, "CT702", "a user and a password", "HTTPS_PROXY=")
        assert "password-of-the-proxy" not in str(problem)


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    problem_of(to("https://connect.invalid").user, "CT702", "the proxy does not let us through", "HTTPS_PROXY")


def test_a_release_behind_a_private_ca_and_a_path_prefix(
    workshop: Workshop, opened: Callable[..., tuple[str, Seen]], certificates: Certificates, connect_server: Running
) -> None:
    """The whole way, as its own process: the server is only to be had at https://.../rsc."""
    url, seen = opened(forward(connect_server.url, prefix="/rsc"), tls=certificates.signed("good"))
    workshop.environ = {name: value for name, value in workshop.environ.items() if name not in SURROUNDINGS}
    workshop.environ["CONNECT_SERVER"] = f"{url}/rsc/"
    refused = workshop.process("release")
    assert refused.returncode == 1
    assert "certificate is not trusted" in refused.stdout
    assert "next: export CONNECT_CA_CERTIFICATE=" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    for name in ("SSL_CERT_FILE", "CONNECT_CA_CERTIFICATE"):
        workshop.environ[name] = str(certificates.ca)
        done = workshop.process("release")
        assert done.returncode == 0, done.stdout
        del workshop.environ[name]
    assert f"{url}/rsc/content/" in done.stdout
    assert {path.split("/")[1] for _, path, _ in seen.requests} == {"rsc"}
    assert any("/rsc/content/" in path for _, path, _ in seen.requests)  # pages too
    assert os.environ.get("CONNECT_API_KEY") is None  # it is the child's alone
