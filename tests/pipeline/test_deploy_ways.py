"""The exact commit, three ways; a version that is sick never replaces one that is well."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typing_extensions import Self

from connect_tasks.emulator import Running, running

from ..packages.index import wheel
from .conftest import BARE_APP, BARE_TEST, TABLE, Workshop, make_workshop
from .hands import guid_of, live_bundle

#: Way -> the abilities that a server lacks which makes us take it.
WAYS = {"commit": (), "draft": ("bundle-from-ref",), "branch": ("bundle-from-ref", "drafts")}
ON_CONNECT = 'import os, time\nif os.environ.get("POSIT_PRODUCT") == "CONNECT":\n    '
CRASHING = ON_CONNECT + 'raise RuntimeError("no database here")\n' + BARE_APP
ANSWERING_500 = """import os


def app(environ, start_response):
    sick = os.environ.get("POSIT_PRODUCT") == "CONNECT"
    start_response("500 Oh no" if sick else "200 OK", [("Content-Type", "text/plain")])
    return [b"version 1"]
"""


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """A server for each way, made when it is first asked for."""
    made: dict[str, Running] = {}
    stack = []
    for way, without in WAYS.items():
        context = running(
            tmp_path_factory.mktemp(way), without=without, options=["--faults", "--startup-timeout", "120"]
        )
        made[way] = context.__enter__()
        stack.append(context)
    yield made
    for context in stack:
        context.__exit__(None, None, None)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(servers: dict[str, Running], way: str, tmp_path: Path, private_home: Path) -> Workshop:
    return make_workshop(servers[way], tmp_path, way)


@dataclass
class Visitors:
    """Somebody who asks for the page all the time, and writes down what came."""

    url: str
    key: str
    seen: list[tuple[int, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        request = urllib.request.Request(self.url, headers={"Authorization": f"Key {self.key}"})
        while not self._over.wait(0.02):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.seen.append((answer.status, answer.read().decode()))
            except urllib.error.HTTPError as error:
                self.seen.append((error.code, ""))


def test_the_way_is_found_and_told(shop: Workshop, way: str) -> None:
    ran = shop.run("release")
    assert ran.status == 0, ran.said
    told = {"commit": "built from the commit", "draft": "drafted from the branch", "branch": "deployed from the branch"}
    deploy = next(stage for stage in ran.report["stages"] if stage["name"] == "deploy")
    assert told[way] in deploy["detail"]
    assert any("no drafts" in note for note in ran.report["notes"]) == (way == "branch")
    assert ran.report["live_commit"] == shop.head
    guid = ran.report["url"].rstrip("/").rsplit("/", 1)[-1]
    assert len(shop.api(f"__api__/v1/content/{guid}/bundles")) == 1


@pytest.mark.parametrize("sick", [CRASHING, ANSWERING_500], ids=["crash", "500"])
def test_a_sick_version_never_replaces_a_well_one(shop: Workshop, way: str, sick: str) -> None:
    first = shop.run("release")
    assert first.status == 0, first.said
    shop.commit(app_py=sick, **{"pyproject.toml": table_with("timeout = 5")})  # a crashed app is waited for, too
    with Visitors(first.report["url"], shop.server.api_key) as visitors:
        time.sleep(0.2)
        ran = shop.run("release")
        time.sleep(0.2)
    assert (ran.status, ran.code) == (1, "CT801"), ran.said
    guid = first.report["url"].rstrip("/").rsplit("/", 1)[-1]
    assert shop.api(f"__api__/v1/content/{guid}")["bundle_id"] == first.report["bundle"]
    assert shop.page(first.report["url"]) == "version 1"
    if way == "branch":  # nobody can visit it before it is live: we return, and say how long that took
        assert f"bundle {first.report['bundle']} is live again" in ran.report["error"]["message"]
        assert "after" in ran.report["error"]["message"]
    else:
        assert set(visitors.seen) == {(200, "version 1")}
        assert f"bundle {first.report['bundle']} stays live" in ran.report["error"]["message"]


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_a_slow_version_becomes_live(shop: Workshop, seconds: int) -> None:
    first = shop.run("release")
    slow = ON_CONNECT + f"time.sleep({seconds})\n" + BARE_APP.replace("version 1", "version 2")
    test = BARE_TEST.replace("version 1", "version 2")
    shop.commit(app_py=slow, test_app_py=test, **{"pyproject.toml": table_with("timeout = 120")})
    with Visitors(first.report["url"], shop.server.api_key) as visitors:
        ran = shop.run("release")
    assert ran.status == 0, ran.said
    assert shop.page(first.report["url"]) == "version 2"
    assert {status for status, _ in visitors.seen} == {200}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages that only this computer has."""
    place = tmp_path_factory.mktemp("wheels")
    name, content = wheel("onlyhere", "1.0")
    (place / name).write_bytes(content)
    return place


def test_a_failing_task_leaves_the_old_bundle(shop: Workshop, wheels: Path) -> None:
    """What installs here does not install there."""
    first = shop.run("release")
    shop.environ["UV_FIND_LINKS"] = str(wheels)
    second = {"app_py": BARE_APP.replace("version 1", "version 2"), "test_app_py": ""}
    shop.commit(**second, **{"requirements.in": "onlyhere\n"})
    with Visitors(first.report["url"], shop.server.api_key) as visitors:
        ran = shop.run("release")
        time.sleep(0.2)
    assert (ran.status, ran.code) == (1, "CT800"), ran.said
    assert "onlyhere" in ran.said
    assert set(visitors.seen) == {(200, "version 1")}
    assert live_bundle(shop, guid_of(first)) == first.report["bundle"]
    shop.commit(**{"requirements.in": ""})
    again = shop.run("release")
    assert again.status == 0, again.said
    assert shop.page(first.report["url"]) == "version 2"


def test_polling_found_on_is_switched_off_before_the_push(shop: Workshop) -> None:
    first = shop.run("release")
    guid = first.report["url"].rstrip("/").rsplit("/", 1)[-1]
    patch(shop, f"__api__/v1/content/{guid}/repository", b'{"polling": true}')
    shop.commit(app_py=BARE_APP + "# more\n")
    ran = shop.run("release")
    assert ran.status == 0, ran.said
    stages = [stage["name"] for stage in ran.report["stages"]]
    assert stages.index("polling") < stages.index("commit") < stages.index("push")
    assert any("polling was on" in note for note in ran.report["notes"])
    assert shop.api(f"__api__/v1/content/{guid}/repository")["polling"] is False


def test_polling_on_purpose_says_what_is_not_promised(shop: Workshop) -> None:
    shop.commit(**{"pyproject.toml": TABLE + "polling = true\n"})
    ran = shop.run("release")
    assert ran.status == 0, ran.said
    assert any("polling is on" in note for note in ran.report["notes"])
    guid = ran.report["url"].rstrip("/").rsplit("/", 1)[-1]
    assert shop.api(f"__api__/v1/content/{guid}/repository")["polling"] is True


def table_with(setting: str) -> str:
    """The app's configuration with one more setting of `verify`."""
    return TABLE.replace("verify = {", f"verify = {{ {setting},")


def patch(shop: Workshop, path: str, body: bytes) -> None:
    request = urllib.request.Request(f"{shop.server.url}/{path}", data=body, method="PATCH")
    request.add_header("Authorization", f"Key {shop.server.api_key}")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request).close()
