"""What passes between a visitor and an app: headers, bodies as they come, WebSockets, files."""

from __future__ import annotations

import asyncio
import json
import re

import aiohttp
import pytest
from yarl import URL

from connect_tasks.emulator.proxy import Proxy, Unreachable

pytestmark = pytest.mark.anyio

#: Speaks ASGI by hand, so that nothing of a framework stands between the proxy and what is looked at.
APP = """
    import asyncio, hashlib, json, pathlib

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            return await socket(scope, receive, send)
        if scope["type"] == "http":
            name = scope["path"][len(scope["root_path"]):].split("/")[1]
            await globals().get(name, echo)(scope, receive, send)

    async def answer(send, body, status=200, headers=()):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    async def echo(scope, receive, send):
        size, digest, chunks, more = 0, hashlib.sha256(), 0, True
        while more:
            message = await receive()
            size, chunks = size + len(message.get("body", b"")), chunks + 1
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        seen = {
            "method": scope["method"], "root_path": scope["root_path"], "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [[k.decode(), v.decode("latin-1")] for k, v in scope["headers"]],
            "size": size, "sha256": digest.hexdigest(), "scheme": scope["scheme"], "client": scope["client"][0],
        }
        await answer(send, json.dumps(seen).encode())

    async def many_headers(scope, receive, send):
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"server", b"mine"), (b"date", b"then"),
                   (b"connection", b"close, x-hop"), (b"x-hop", b"1"), (b"x-end", b"\\xe9"),
                   (b"content-encoding", b"gzip")]
        await answer(send, b"not really packed", 418, headers)

    async def events(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
            while not pathlib.Path("next%d" % number).exists():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.body"})

    async def ever(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await receive()
        pathlib.Path("left").touch()

    async def early(scope, receive, send):
        await answer(send, b"I need no more", 413, [(b"connection", b"close")])

    async def progress(scope, receive, send):
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            if message.get("body"):
                pathlib.Path("got").write_bytes(message["body"])
        await answer(send, b"done")

    async def cut(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise SystemExit

    async def dies(scope, receive, send):
        import os
        os._exit(9)

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body"})

    async def nothing(scope, receive, send):
        await answer(send, b"", 204)

    async def moved(scope, receive, send):
        await answer(send, b"", 302, [(b"location", scope["root_path"].encode() + b"/echo")])

    async def socket(scope, receive, send):
        await receive()
        if scope["path"].endswith("/refused"):
            return await send({"type": "websocket.close"})
        chosen = scope["subprotocols"][-1] if scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        await send({"type": "websocket.send", "text": json.dumps({"headers": headers, "path": scope["path"],
                                                                  "query": scope["query_string"].decode()})})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return pathlib.Path("closed").write_text(str(message["code"]))
            if message.get("text") == "close":
                return await send({"type": "websocket.close", "code": 3001, "reason": "as you wish"})
            if message.get("text") == "die":
                import os
                os._exit(9)
            if message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"].upper()})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"] * 2})
"""


@pytest.fixture
async def launch(front, build, bundle, anyio_backend):
    return front.mount(bundle({"app.py": APP}), await build(), mode="python-fastapi", guid="g")


async def echoed(front, launch, path="/echo", method="GET", **options) -> dict:
    async with front.visitor.request(method, URL(front.at(launch, path), encoded=True), **options) as answer:
        assert answer.status == 200, await answer.text()
        return json.loads(await answer.read())


def headers(seen) -> dict[str, str]:
    return dict(seen["headers"])


async def test_host_and_origin_are_kept_and_connects_headers_added(front, launch):
    front.credentials = '{"user": "ada", "groups": []}'
    sent = {"Host": "connect.example.com", "Origin": "https://elsewhere.example", "Cookie": "a=1; b=2", "Accept": "x/y"}
    seen = headers(await echoed(front, launch, "/echo/a?b=c", headers=sent))
    base = f"{front.url}/content/g"
    for name, value in {
        "host": "connect.example.com",
        "origin": "https://elsewhere.example",
        "cookie": "a=1; b=2",
        "accept": "x/y",
        "rstudio-connect-app-base-url": base,
        "x-rsc-request": f"{base}/echo/a?b=c",
        "rstudio-connect-credentials": '{"user": "ada", "groups": []}',
    }.items():
        assert seen[name] == value


async def test_a_visitor_cannot_speak_as_the_server_nor_lose_a_key_to_the_app(front, launch):
    sent = {
        "Authorization": "Key the-visitors-key",
        "RStudio-Connect-Credentials": '{"user": "root"}',
        "RStudio-Connect-App-Base-URL": "http://evil/",
        "X-RSC-Request": "http://evil/",
        "X-RSC-Authorization": "Key again",
        "Posit-Connect-User-Session-Token": "stolen",
    }
    seen = await echoed(front, launch, headers=sent)
    assert not {"authorization", "rstudio-connect-credentials", "x-rsc-authorization"} & set(headers(seen))
    assert "posit-connect-user-session-token" not in headers(seen)
    assert "evil" not in json.dumps(seen)
    seen = await echoed(front, launch, headers={"Authorization": "Bearer for-the-app"})
    assert headers(seen)["authorization"] == "Bearer for-the-app"


SPELLINGS = ("X-Connect-Tasks-Mount", "x_connect_tasks_mount", "X-CONNECT_TASKS-Mount", "x-connect-tasks_mount")
WSGI = """
    import json

    def app(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps({name: str(value) for name, value in environ.items()}).encode()]
    """


async def test_the_mount_is_the_proxys_to_say_and_its_header_is_never_seen(front, launch, build, bundle):
    """In no spelling that an app's server might take for ours: CGI's names know no difference between - and _."""
    evil = dict.fromkeys(SPELLINGS, "/evil") | {"RStudio_Connect_Credentials": '{"user": "evil"}'}
    wsgi = front.mount(bundle({"app.py": WSGI}, "wsgi"), await build(), guid="w")
    environ = await echoed(front, wsgi, "/a//b%20c", headers=evil)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/content/w", "/a//b c")
    seen = await echoed(front, launch, headers=evil)
    async with front.visitor.ws_connect(front.at(launch, "/ws"), headers=evil) as socket:
        opened = json.loads(await socket.receive_str())
    assert (seen["root_path"], opened["path"]) == ("/content/g", "/content/g/ws")
    for told in (environ, seen, opened):
        assert not re.search("evil|tasks[-_]mount", json.dumps(told), re.IGNORECASE)


async def test_what_is_between_neighbours_is_not_passed_on(front, launch):
    sent = {
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Keep-Alive": "5",
        "Expect": "100-continue",
    }
    seen = headers(await echoed(front, launch, headers=sent))
    assert not {"x-hop", "te", "keep-alive", "expect"} & set(seen)
    assert "user-agent" in seen
    seen = headers(await echoed(front, launch, skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding")))
    assert not {"user-agent", "accept", "accept-encoding"} & set(seen), "nothing is said that the visitor did not say"


PATHS = ("/a%2Fb", "/a%20b", "/%C3%A9", "//two//slashes", "/a/../b", "/semi;colon=1", "/+&amp", "/%", "/'\"|{}^`", "/")
QUERIES = ("", "?a=%41&b=+&c", "?a=http://x/?y=1", "?")


async def by_hand(front, target: str) -> tuple[int, bytes]:
    """A GET with exactly this target: clients tidy paths up. HTTP/1.0 spares us the chunks."""
    reader, writer = await asyncio.open_connection(URL(front.url).host, URL(front.url).port)
    try:
        writer.write(f"GET {target} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body
    finally:
        writer.close()
        await writer.wait_closed()


async def test_paths_and_queries_arrive_as_they_were_written(front, launch):
    for path in PATHS:
        for query in QUERIES:
            status, body = await by_hand(front, f"/content/g{path}{query}")
            assert status == 200
            seen = json.loads(body)
            assert (seen["raw_path"], seen["query"]) == (f"/content/g{path}", query[1:])


async def test_a_mount_written_with_escapes_is_the_same_mount(front, launch):
    assert (await echoed(front, launch)).get("method") == "GET"
    async with front.visitor.get(URL(f"{front.url}/%63ontent/%67/echo/x", encoded=True)) as answer:
        assert answer.status == 200
        assert json.loads(await answer.read())["raw_path"].endswith("/echo/x")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_methods(front, launch, method):
    async with front.visitor.request(method, front.at(launch, "/echo")) as answer:
        assert answer.status == 200
        text = await answer.text()
        assert (json.loads(text)["method"] == method) if method != "HEAD" else (text == "")


async def test_bodies_by_length_and_in_chunks(front, launch):
    body = bytes(range(256)) * 4000

    async def chunks():
        for at in range(0, len(body), 100_000):
            yield body[at : at + 100_000]

    for data in (body, chunks()):
        seen = await echoed(front, launch, method="POST", data=data)
        assert seen["size"] == len(body)
        assert ("content-length" in headers(seen)) == (data is body)
    seen = await echoed(front, launch, method="POST", data=b"")
    assert (seen["size"], headers(seen)["content-length"]) == (0, "0")


async def test_answers_keep_status_headers_and_coding(front, launch):
    async with front.visitor.get(front.at(launch, "/many_headers"), auto_decompress=False) as answer:
        assert answer.status == 418
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.read() == b"not really packed"
        raw = dict(answer.raw_headers)
        assert raw[b"x-end"] == b"\xe9"
        assert b"x-hop" not in raw
        assert len(answer.headers.getall("Date")) == 1
        assert "Server" not in answer.headers


async def test_redirects_are_the_visitors_to_follow(front, launch):
    async with front.visitor.get(front.at(launch, "/moved"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/content/g/echo")
    assert (await front.get(launch, "/nothing"))[0] == 204


async def test_events_arrive_one_by_one(front, launch):
    async with front.visitor.get(front.at(launch, "/events")) as answer:
        for number in range(3):
            assert await answer.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
            (launch.directory / f"next{number}").touch()
        assert await answer.read() == b""


async def test_uploads_arrive_while_they_are_sent(front, launch, until):
    got = launch.directory / "got"

    async def chunks():
        yield b"first"
        await until(lambda: got.exists() and got.read_bytes() == b"first")
        yield b"second"

    async with front.visitor.post(front.at(launch, "/progress"), data=chunks()) as answer:
        assert await answer.text() == "done"
    assert got.read_bytes() == b"second"


async def test_a_visitor_who_leaves_is_noticed_by_the_app(front, launch, until):
    answer = await front.visitor.get(front.at(launch, "/ever"))
    assert await answer.content.read(5) == b"first"
    answer.close()
    await until((launch.directory / "left").exists)
    (instance,) = front.instances.jobs()
    await until(lambda: instance.in_flight == 0)


async def test_an_app_that_answers_early_is_heard(front, launch):
    async def endless():
        for _ in range(1000):
            yield b"x" * 10_000

    try:
        async with front.visitor.post(front.at(launch, "/early"), data=endless()) as answer:
            assert answer.status in (413, 502)  # a connection closed under an upload may take the answer with it
    except aiohttp.ClientError:  # as it may between us and the proxy
        pass
    assert (await front.get(launch, "/nothing"))[0] == 204, "and the next request is none the worse for it"


async def test_an_answer_cut_short_is_seen_to_be(front, launch):
    with pytest.raises(aiohttp.ClientPayloadError):
        await front.get(launch, "/cut")


async def test_an_app_that_dies_is_a_502_and_the_next_visit_is_served(front, launch):
    assert (await front.get(launch, "/dies"))[0] == 502
    assert (await front.get(launch, "/nothing"))[0] == 204


async def test_a_process_that_is_gone_is_unreachable_before_anything_is_sent(front, launch):
    instance = await front.instances.get(launch)
    await front.instances.terminate(instance.job_key)
    sent = []
    scope = {"type": "http", "method": "GET", "path": "/content/g/", "query_string": b"", "headers": []}

    async def receive():
        raise AssertionError("nothing may be read either")

    async def send(message):
        sent.append(message)

    proxy = Proxy()
    with pytest.raises(Unreachable):
        await proxy.http(scope, receive, send, instance, server_url="http://x", mount="/content/g", credentials=None)
    with pytest.raises(Unreachable):
        await proxy.websocket(
            {**scope, "type": "websocket", "subprotocols": []}, receive, send, instance, mount="/content/g"
        )
    await proxy.close()
    assert sent == []
    assert instance.in_flight == 0


async def test_a_slow_reader_does_not_make_the_server_hoard(front, launch):
    async with front.visitor.get(front.at(launch, "/large")) as answer:
        await asyncio.sleep(0.2)
        size = 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
    assert size == 20_000_000


async def test_websockets_carry_text_and_bytes_with_the_headers_of_the_visitor(front, launch):
    sent = {
        "Host": "connect.example.com",
        "Origin": "https://elsewhere.example",
        "Cookie": "a=1",
        "Authorization": "Key k",
    }
    url = front.at(launch, "/socket?a=%41")
    async with front.visitor.ws_connect(
        URL(url, encoded=True), protocols=("one", "two"), headers=sent, max_msg_size=0
    ) as socket:
        assert socket.protocol == "two"
        seen = json.loads(await socket.receive_str())
        assert seen["query"] == "a=%41"
        assert seen["path"] == "/content/g/socket"
        assert seen["headers"]["host"] == "connect.example.com"
        assert seen["headers"]["origin"] == "https://elsewhere.example"
        assert seen["headers"]["cookie"] == "a=1"
        assert "authorization" not in seen["headers"]
        await socket.send_str("hello")
        assert await socket.receive_str() == "HELLO"
        await socket.send_bytes(b"\0" * 5_000_000)
        assert len(await socket.receive_bytes()) == 10_000_000
        await socket.send_str("close")
        end = await socket.receive()
        assert (end.type, end.data, end.extra) == (aiohttp.WSMsgType.CLOSE, 3001, "as you wish")


async def test_a_websocket_closed_by_the_visitor_is_closed_for_the_app(front, launch, until):
    socket = await front.visitor.ws_connect(front.at(launch, "/socket"))
    assert socket.protocol is None
    await socket.receive_str()
    assert front.instances.jobs()[0].in_flight == 1
    await socket.close(code=4000)
    await until((launch.directory / "closed").exists)
    assert (launch.directory / "closed").read_text() == "4000"
    await until(lambda: front.instances.jobs()[0].in_flight == 0)


async def test_a_refused_websocket_is_refused(front, launch):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await front.visitor.ws_connect(front.at(launch, "/refused"))
    assert caught.value.status == 403


async def test_a_websocket_to_an_app_that_dies_ends(front, launch):
    async with front.visitor.ws_connect(front.at(launch, "/socket")) as socket:
        await socket.receive_str()
        await socket.send_str("die")
        end = await socket.receive()
        assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1011)


SITE = {
    "index.html": "<h1>home</h1>",
    "report.html": "the report",
    "deep/index.html": "deep home",
    "deep/style.css": "body {}",
}


async def test_static_content_needs_no_process(front, bundle):
    launch = front.mount(bundle(SITE), None, mode="static", guid="g")
    assert await front.get(launch) == (200, "<h1>home</h1>")
    assert await front.get(launch, "/deep/") == (200, "deep home")
    async with front.visitor.get(front.at(launch, "/deep/style.css")) as answer:
        assert answer.headers["Content-Type"].startswith("text/css")
        etag = answer.headers["ETag"]
    status, _ = await front.get(launch, "/deep/style.css", headers={"If-None-Match": etag})
    assert status == 304
    assert (await front.get(launch, "/missing"))[0] == 404
    async with front.visitor.post(front.at(launch)) as answer:
        assert answer.status == 405
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await front.visitor.ws_connect(front.at(launch, "/x"))
    assert front.instances.jobs() == ()


async def test_the_primary_file_is_the_home_page(front, bundle):
    launch = front.mount(bundle(SITE), None, mode="static", guid="g", primary="report.html")
    assert await front.get(launch) == (200, "the report")
    launch = front.mount(bundle(SITE), None, mode="static", guid="h", primary="deep/index.html")
    async with front.visitor.get(front.at(launch)) as answer:
        assert str(answer.url) == front.at(launch, "/deep/index.html"), "what it refers to lies beside it"
        assert await answer.text() == "deep home"


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "/deep/../../secret", "/..%2fsecret", "/link", "/a%00b"]
)
async def test_static_files_are_those_of_the_bundle_alone(front, bundle, tmp_path, path):
    (tmp_path / "secret").write_text("secret")
    directory = bundle(SITE)
    (directory / "link").symlink_to(tmp_path / "secret")
    launch = front.mount(directory, None, mode="static", guid="g")
    assert (await by_hand(front, f"/content/g{path}"))[0] == 404
    assert (await front.get(launch))[0] == 200
