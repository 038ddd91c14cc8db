"""Nobody learns the key, or a value of `env`: not from what is printed, written or committed, not from the process
list."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connect_tasks import scratch
from connect_tasks.emulator import Running, running

from .conftest import Workshop, make_workshop
from .site import hurry

#: With characters that each encoding spells in its own way.
KEY = "+k/=cAnArYkEy9f2c41d0"
VALUE = 'postgres/?ada=cAnArYvAlUe7-p%40ss "w\\rd" <&ü\'@db.example.org/sales?x=1'
UNDECLARED = "cAnArYuNdEcLaReD of a variable that nobody declared"
CANARIES = {"key": KEY, "value": VALUE, "undeclared": UNDECLARED}
APP = """import hashlib
import json
import os

if os.environ.get("DUMP"):  # under test, on this machine
    with open(os.environ["DUMP"], "a") as file:
        file.write(json.dumps(dict(os.environ)) + "\\n")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    value = os.environ.get("DATABASE_URL", "")
    return [b"version " + hashlib.sha256(value.encode()).hexdigest().encode()]
"""
TEST = """import base64
import os
import urllib.parse

import app


def test_talks():
    value = os.environ["DATABASE_URL"]
    print(dict(os.environ), value)
    print(urllib.parse.quote(value), base64.b64encode(b"x" + value.encode()), value.encode().hex())
    assert "FAIL" not in os.environ, value
"""
TABLE = """[tool.connect-tasks]
mode = "flask"
entrypoint = "app:app"
env = ["DATABASE_URL"]
test = { env = ["DUMP", "FAIL"], command = ["python", "-m", "pytest", "-s", "-p", "no:cacheprovider"] }
verify = { contains = "version" }
"""


def spellings(secret: str) -> set[bytes]:
    """How a secret may be spelt: as it is, for URLs, JSON, Python; in hex, and in base64 wherever it starts."""
    raw = secret.encode()
    quoted = {urllib.parse.quote(secret, safe=safe) for safe in ("", "/")} | {urllib.parse.quote_plus(secret)}
    core = re.findall("cAnArY[A-Za-z0-9]+", secret)[0].encode()  # is there, however the rest is escaped
    found = {core, raw, raw.hex().encode(), raw.hex().upper().encode(), json.dumps(secret)[1:-1].encode()}
    found |= {repr(secret)[1:-1].encode(), repr(raw)[2:-1].encode()}
    found |= {text.encode() for text in quoted} | {text.lower().encode() for text in quoted}
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw)
        found.add(whole[(0, 2, 3)[offset] : 8 * (offset + len(raw)) // 6])
    return found


SPELLINGS = {name: spellings(secret) for name, secret in CANARIES.items()}


def told(content: bytes, *names: str) -> set[str]:
    """Which canaries a text holds, in any spelling."""
    return {name for name in names or SPELLINGS for spelling in SPELLINGS[name] if spelling in content}


def test_the_search_finds_what_it_shall() -> None:
    for name, secret in CANARIES.items():
        for text in (secret, f'"{json.dumps(secret)}"', urllib.parse.quote_plus(secret), secret.encode().hex()):
            assert told(f"before {text} after".encode()) == {name}
        assert told(base64.b64encode(b"user:" + secret.encode() + b"!")) == {name}
    assert told(b"postgres/?ada=") == set()


@dataclass
class Children:
    """Every process that a run starts, directly (an audit hook sees it) or not (/proc is looked at all the time)."""

    started: list[tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=list)
    seen: dict[int, bytes] = field(default_factory=dict)
    watching: bool = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event == "subprocess.Popen":
            _, argv, _, environ = arguments
            self.started.append((tuple(map(os.fsdecode, argv)), {**(environ or os.environ)}))

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(over,))
        self.started.clear()
        self.seen.clear()
        self.watching = True
        thread.start()
        try:
            yield
        finally:
            self.watching = False
            over.set()
            thread.join()

    def _look(self, over: threading.Event) -> None:
        while not over.wait(0.005):
            for entry in os.scandir("/proc"):
                if entry.name.isdecimal():
                    try:
                        line = Path(entry.path, "cmdline").read_bytes()
                    except OSError:
                        continue
                    if line:
                        self.seen[int(entry.name)] = self.seen.get(int(entry.name), b"") + line


CHILDREN = Children()
sys.addaudithook(CHILDREN.audit)  # for good: a hook can't be removed


@pytest.fixture(scope="module")
def secret_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("connect"), options=["--faults"], api_key=KEY) as server:
        assert server.api_key == KEY
        yield server


@pytest.fixture
def shop(secret_server: Running, tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose pushes go by another key than its deploys: git keeps its own where the user put it."""
    hurry(monkeypatch)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda *_, **__: None)  # so that we can look into what it wrote
    made = make_workshop(secret_server, tmp_path, "secrets", push_key=another_key(secret_server))
    made.environ |= {"DATABASE_URL": VALUE, "UNDECLARED": UNDECLARED, "TMPDIR": str(temporary)}
    made.environ["DUMP"] = str(tmp_path / "dump")
    made.commit(**{"pyproject.toml": TABLE, "app_py": APP, "test_app_py": TEST})
    return made


def another_key(server: Running) -> str:
    body = {"username": f"pusher{os.urandom(4).hex()}", "user_role": "publisher"}
    guid = call(server, "POST", "__api__/v1/users", body)["guid"]
    return str(call(server, "POST", "__emulator__/key", {"user_guid": guid})["api_key"])


def call(server: Running, method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/{path}", data=data, method=method)
    request.add_header("Authorization", f"Key {server.api_key}")
    with urllib.request.urlopen(request) as answer:
        content = answer.read()
        return json.loads(content) if content else None


def _around(said: bytes) -> list[bytes]:
    return [said[max(0, found.start() - 60) : found.end() + 60] for found in re.finditer(b"cAnArY", said)]


def nothing_told(shop: Workshop, said: bytes) -> None:
    """Look everywhere: what was said, every file below the test's directory, every git object, every process."""
    assert told(said) == set(), _around(said)
    place = shop.root.parent
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "dump":
            content = path.read_bytes()
            assert told(content) == set(), path
            assert told(str(path).encode()) == set(), path
            if content[:1] == b"\x1f" or content[:1] == b"\x78":  # compressed: a loose object, for one
                with suppress(zlib.error):
                    content = zlib.decompressobj(wbits=47).decompress(content)
                assert told(content) == set(), path
    for repository in (shop.root, shop.bare):
        objects = subprocess.run(
            ["git", "-C", repository, "cat-file", "--batch-all-objects", "--batch"], capture_output=True, check=True
        ).stdout
        assert len(objects) > 100
        assert told(objects) == set(), repository
    for argv, environ in CHILDREN.started:
        assert told("\0".join(argv).encode()) == set(), argv[:2]
        if Path(argv[0]).name != "git":  # git's helpers, hooks and filters are the user's own
            assert told(json.dumps(environ).encode(), "key") == set(), argv[:3]
    for line in CHILDREN.seen.values():
        assert told(line) == set(), line[:100]


def run(shop: Workshop, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], bytes]:
    """A release in this process, watched -> status, report, and all that was said."""
    capfd.readouterr()
    with CHILDREN.watched():
        ran = shop.run("release", *arguments)
    out, err = capfd.readouterr()
    assert len(CHILDREN.started) > 3
    said = "\n".join([ran.said, out, err, json.dumps(ran.report)])
    return ran.status, ran.report, said.encode()


def fault(shop: Workshop, **what: Any) -> None:
    call(shop.server, "POST", "__emulator__/fault", what)


@pytest.fixture(autouse=True)
def _no_fault_stays(secret_server: Running) -> Iterator[None]:
    yield
    call(secret_server, "DELETE", "__emulator__/fault")


def nobody_elses(shop: Workshop) -> None:
    """What we keep and tell in files is its owner's alone."""
    kept = [path for path in (shop.root / ".git/connect-tasks").rglob("*.json") if path.is_file()]
    assert {path.parent.name for path in kept} >= {"journal", "evidence"}
    for path in (*kept, shop.root.parent / "report.json", shop.root.parent / "report.xml"):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_release_tells_nobody(shop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    status, report, said = run(shop, capfd, "--junit", str(shop.root.parent / "report.xml"))
    assert status == 0, said
    nothing_told(shop, said)
    nobody_elses(shop)
    page = shop.page(report["url"])
    assert page == f"version {hashlib.sha256(VALUE.encode()).hexdigest()}"  # it did reach the app
    seen = [json.loads(line) for line in Path(shop.environ["DUMP"]).read_text().splitlines()]
    assert len(seen) >= 2  # the import of the entrypoint, and the tests
    for environ in seen:
        assert environ["DATABASE_URL"] == VALUE
        assert environ["CONNECT_API_KEY"] == "dummy-key-of-a-test-run"
        assert told(json.dumps(environ).encode(), "key", "undeclared") == set()
    status, report, said = run(shop, capfd)
    assert (status, report["result"]) == (0, "noop")
    nothing_told(shop, said)


def failing_tests(shop: Workshop) -> None:
    shop.environ["FAIL"] = "yes"


def a_talkative_runner(shop: Workshop) -> None:
    """Its last line is the summary, which goes into the report and the evidence; then the server refuses."""
    table = TABLE.replace('"-m", "pytest", "-s", "-p", "no:cacheprovider"', '"-c", "import os; print(os.environ)"')
    shop.commit(**{"pyproject.toml": table})
    fault(shop, pattern="POST /__api__/v1/content$", status=403)


def an_echoing_server(shop: Workshop) -> None:
    echo = f"Authorization: Key {KEY} {base64.b64encode(VALUE.encode()).decode()} {urllib.parse.quote(KEY)}"
    fault(shop, pattern="PATCH .*/environment", status=400, body=json.dumps({"code": 25, "error": echo}))


def an_echoing_page(shop: Workshop) -> None:
    fault(shop, pattern="POST .*/deploy", body=f"<html>{KEY} {VALUE}", content_type="text/html", times=None)


def a_talkative_task(shop: Workshop) -> None:
    lines = [
        f"key is {KEY}",
        KEY.encode().hex(),
        base64.b64encode(b"a" + KEY.encode()).decode(),
        VALUE,
        KEY[:12],
        KEY[12:],
    ]
    state = {"id": "x", "output": lines, "last": 6, "finished": True, "code": 1, "error": f"no: {VALUE}"}
    fault(shop, pattern="GET /__api__/v1/tasks/", body=json.dumps(state), times=None)


def a_redirect_with_the_key(shop: Workshop) -> None:
    location = f"https://sso.example.com/{urllib.parse.quote(KEY)}?{urllib.parse.quote_plus(VALUE)}"
    fault(shop, pattern="GET .*/v1/user$", status=302, headers={"location": location})


def a_talkative_hook(shop: Workshop) -> None:
    hook = shop.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nenv | grep -E "KEY|URL"\necho "$CONNECT_API_KEY $DATABASE_URL" >&2\nexit 1\n')
    hook.chmod(0o755)


def a_fault_of_ours(shop: Workshop) -> None:
    shop.environ["CONNECT_TASKS_DEBUG"] = "1"


def a_key_that_is_refused(shop: Workshop) -> None:
    fault(shop, pattern="GET .*/v1/user$", status=401, body=json.dumps({"code": 30, "error": f"Who is {KEY}?"}))


FAILURES: list[tuple[Callable[[Workshop], None], str]] = [
    (failing_tests, "CT500"),
    (a_talkative_runner, "CT704"),
    (an_echoing_server, "CT704"),
    (an_echoing_page, "CT704"),
    (a_talkative_task, "CT800"),
    (a_redirect_with_the_key, "CT704"),
    (a_talkative_hook, "CT600"),
    (a_fault_of_ours, "CT999"),
    (a_key_that_is_refused, "CT703"),
]


@pytest.mark.parametrize(("spoil", "code"), FAILURES, ids=[case[0].__name__ for case in FAILURES])
def test_no_failure_tells_anybody(
    shop: Workshop,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Workshop], None],
    code: str,
) -> None:
    spoil(shop)
    if spoil is a_fault_of_ours:

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError(f"{KEY} and {VALUE}, {urllib.parse.quote(KEY)}")

        monkeypatch.setattr("connect_tasks.server.connect.Connect.bundles", broken)
        monkeypatch.setattr("connect_tasks.server.connect.Connect.create_content", broken)
    status, report, said = run(shop, capfd)
    assert status != 0
    assert report["error"]["code"] == code, said.decode()
    assert b"****" in said or spoil in {a_redirect_with_the_key, a_key_that_is_refused}
    nothing_told(shop, said)


def test_the_report_on_stdout_tells_nobody(shop: Workshop) -> None:
    """As a process of its own: also what Python or a library prints by itself."""
    failing_tests(shop)
    done = shop.process("release", "--json", "-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "CT500"
    assert "****" in done.stdout + done.stderr
    assert told((done.stdout + done.stderr).encode()) == set()


def test_the_key_is_no_argument_of_a_run_by_nox(shop: Workshop) -> None:
    """nox prints the commands that it runs, and the process list shows them."""
    shop.write("noxfile.py", "import connect_tasks\n\nconnect_tasks.register()\n")
    shop.commit("nox")
    with CHILDREN.watched():
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", "check", "release", "--", "--no-test", "not its subject"],
            cwd=shop.root, env=shop.environ, capture_output=True, check=False,
        )  # fmt: skip
        time.sleep(0.02)
    assert told(done.stdout + done.stderr) == set()
    for line in CHILDREN.seen.values():
        assert told(line) == set(), line[:100]
