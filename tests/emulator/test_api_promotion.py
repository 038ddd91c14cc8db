"""A draft that goes live: its process goes on where its mode allows that, and every other process ends in time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connect_tasks.emulator import running

from .conftest import Api, Source, app_files, ended, make_source

APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    word = os.environ.get("WORD", "none")
    text = f"{VERSION} pid={os.getpid()} mount={environ['SCRIPT_NAME']} path={environ['PATH_INFO']} word={word}"
    return [text.encode()]

VERSION = "one"
"""


def files(version: str) -> dict[str, str]:
    return {**app_files(), "app.py": APP.replace('"one"', repr(version))}


class Item:
    """Content of one repository, and what its paths say."""

    def __init__(self, api: Api, source: Source) -> None:
        self.api, self.source = api, source
        self.guid = str(api.made("POST", "v1/content", {})["guid"])
        api.made("PUT", f"v1/content/{self.guid}/repository", {"repository": source.url})

    def draft(self, version: str) -> str:
        self.source.commit(files(version))
        self.api.deployed(self.guid, {"bundle_id": None, "activate": False})
        return str(self.api.made("GET", f"v1/content/{self.guid}/bundles")[0]["id"])

    def activate(self, bundle: str) -> None:
        self.api.deployed(self.guid, {"bundle_id": bundle})

    def path(self, bundle: str = "") -> str:
        return f"/content/{self.guid}" + (f"/_bundle{bundle}" if bundle else "")

    def seen(self, bundle: str = "", path: str = "") -> tuple[str, int]:
        """The version and the process that answer there, having said the right mount."""
        mount = path or self.path(bundle)
        answer = self.api.visit(f"{mount}/some/page")
        assert answer.status_code == 200, answer.text
        version, pid, *place = answer.text.split()
        assert place[:2] == [f"mount={mount}", "path=/some/page"]
        return version, int(pid.removeprefix("pid="))

    def jobs(self) -> list[tuple[str, int]]:
        """Bundle and process of the jobs that run, newest first."""
        listed: list[dict[str, Any]] = self.api.made("GET", f"v1/content/{self.guid}/jobs")
        return [(job["bundle_id"], int(job["pid"])) for job in listed if job["end_time"] is None]

    def left(self, *wanted: tuple[str, int]) -> bool:
        """Whether the listing comes to be these jobs: the end of one is in it a little later than its process ends."""
        deadline = time.monotonic() + 20
        while sorted(self.jobs()) != sorted(wanted) and time.monotonic() < deadline:
            time.sleep(0.02)
        return sorted(self.jobs()) == sorted(wanted)


@pytest.fixture
def item(api: Api, source: Callable[..., Source]) -> Item:
    return Item(api, source())


def test_a_draft_that_goes_live_keeps_its_process(item: Item) -> None:
    first = item.draft("one")
    version, old = item.seen(first)
    item.activate(first)
    assert item.seen() == (version, old) == item.seen(first)
    assert item.jobs() == [(first, old)]

    second = item.draft("two")
    third = item.draft("three")
    new, waiting = item.seen(second)[1], item.seen(third)[1]
    item.activate(second)
    assert item.seen() == ("two", new) == item.seen(second)
    assert ended([old])
    assert item.left((second, new), (third, waiting)), "a draft that was never live stays"

    item.activate(first)  # back to the older one, whose process is gone
    assert item.seen()[0] == "one"
    assert ended([new])
    assert item.seen(third) == ("three", waiting)
    assert item.seen(second)[0] == "two", "and a draft's path works as ever"


def test_a_vanity_path_is_one_more_path_of_the_same_process(item: Item) -> None:
    bundle = item.draft("one")
    item.seen(bundle)
    item.activate(bundle)
    vanity = f"/promoted-{os.getpid()}"
    item.api.made("PUT", f"v1/content/{item.guid}/vanity", {"path": vanity})
    pid = item.seen()[1]
    assert item.seen(path=vanity) == ("one", pid) == item.seen(bundle)
    assert item.left((bundle, pid))


def test_a_process_of_other_variables_or_that_died_does_not_go_live(item: Item) -> None:
    bundle = item.draft("one")
    before = item.seen(bundle)[1]
    item.api.made("PATCH", f"v1/content/{item.guid}/environment", [{"name": "WORD", "value": "green"}])
    item.activate(bundle)
    assert item.api.visit(f"{item.path()}/").text.endswith("word=green")
    assert ended([before])

    second = item.draft("two")
    died = item.seen(second)[1]
    os.kill(died, signal.SIGKILL)
    item.activate(second)
    version, pid = item.seen()
    assert (version, pid == died) == ("two", False)
    assert item.seen(second) == ("two", pid)


def test_a_server_may_start_anew_as_a_real_one_does(tmp_path: Path) -> None:
    with running(tmp_path / "data", restart_on_activation=True) as server:
        api = Api(server.url, server.api_key)
        item = Item(api, make_source(api, tmp_path / "source", "restarted"))
        bundle = item.draft("one")
        draft = item.seen(bundle)[1]
        item.activate(bundle)
        live = item.seen()[1]
        assert live != draft
        assert item.left((bundle, live), (bundle, draft))


@pytest.mark.slow
def test_a_process_on_two_paths_is_idle_when_nobody_visits_either(tmp_path: Path) -> None:
    with running(tmp_path / "data", options=["--idle-timeout", "3"]) as server:
        api = Api(server.url, server.api_key)
        item = Item(api, make_source(api, tmp_path / "source", "idle"))
        bundle = item.draft("one")
        pid = item.seen(bundle)[1]
        item.activate(bundle)
        for _ in range(5):
            time.sleep(0.8)
            assert item.seen()[1] == pid, "in use under the one path it is in use"
        assert ended([pid])
        assert item.seen()[1] == item.seen(bundle)[1] != pid


def test_visitors_meet_no_refusal_and_nothing_older_while_drafts_go_live(item: Item) -> None:
    api, drafts = item.api, [item.draft(str(number)) for number in range(4)]
    item.seen(drafts[0])
    item.activate(drafts[0])
    stop = time.monotonic() + 60  # should the switches below fail
    done: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        url = f"{api.url}{item.path()}/"
        visits = pool.submit(asyncio.run, crowd(url, str(api.key), lambda: bool(done) or time.monotonic() > stop))
        try:
            promoted = []
            for bundle in drafts[1:]:
                promoted.append(item.seen(bundle)[1])
                item.activate(bundle)
        finally:
            done.append(time.monotonic())
        seen = visits.result()
    assert {version for version, _ in seen} >= {0, 1, 2}
    assert {pid for version, pid in seen if version} <= set(promoted), "those of the drafts, no others"
    assert ended(promoted[:-1])
    assert item.left((drafts[-1], promoted[-1]))


async def crowd(url: str, key: str, over: Callable[[], bool]) -> set[tuple[int, int]]:
    """Twenty visitors, none of whom may be refused or shown an older version after a newer: the versions and pids."""
    seen: set[tuple[int, int]] = set()

    async def visit(session: aiohttp.ClientSession) -> None:
        newest = 0
        while not over():
            async with session.get(url, headers={"Authorization": f"Key {key}"}) as answer:
                text = await answer.text()
                assert answer.status == 200, text
            version, pid, *_ = text.split()
            assert int(version) >= newest
            newest = int(version)
            seen.add((newest, int(pid.removeprefix("pid="))))

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(visit(session) for _ in range(20)))
    return seen
