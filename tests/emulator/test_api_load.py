"""Many at once: deploys, visitors during activations, deaths of the server."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import pytest

from connect_tasks.emulator import running

from .conftest import Api, Source, app_files, descendants, ended, make_source

VISITORS = 200
DEATHS = int(os.environ.get("CONNECT_TASKS_DEATHS", "3"))


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments outlive the servers of this file: they are built once."""
    return tmp_path_factory.mktemp("environments")


def prepared(data: Path, environments: Path) -> Path:
    data.mkdir()
    (data / "environments").symlink_to(environments)
    return data


def linked(api: Api, source: Source) -> str:
    guid = str(api.made("POST", "v1/content", {})["guid"])
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": source.url})
    return guid


def test_fifty_deploys_at_once_all_finish_right(tmp_path: Path, environments: Path) -> None:
    with running(prepared(tmp_path / "data", environments)) as server:
        api = Api(server.url, server.api_key)
        sources = [make_source(api, tmp_path / f"source-{number}", f"many-{number}") for number in range(5)]
        commits = [source.commit(app_files(f"app-{number}")) for number, source in enumerate(sources)]
        guids = [linked(api, sources[number % 5]) for number in range(50)]
        with ThreadPoolExecutor(25) as pool:
            list(pool.map(api.deployed, guids))
        for number, guid in enumerate(guids):
            (bundle,) = api.made("GET", f"v1/content/{guid}/bundles")
            assert (bundle["active"], bundle["metadata"]["source_commit"]) == (True, commits[number % 5])
        for number in (0, 1, 2, 3, 4):
            assert api.visit(f"/content/{guids[number]}/").text.startswith(f"app-{number} ")


def test_visitors_get_no_error_during_activations(tmp_path: Path, environments: Path) -> None:
    with running(prepared(tmp_path / "data", environments)) as server:
        api = Api(server.url, server.api_key)
        source = make_source(api, tmp_path / "source", "visited")
        guid = linked(api, source)
        bundles = []
        for version in ("one", "two"):
            source.commit(app_files(version))
            api.deployed(guid)
            bundles.append(api.made("GET", f"v1/content/{guid}")["bundle_id"])
        done = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            visits = pool.submit(asyncio.run, crowd(f"{api.url}/content/{guid}/", server.api_key, done))
            try:
                for number in range(10):
                    api.deployed(guid, {"bundle_id": bundles[number % 2]})
            finally:
                done.set()
            seen, wrong = visits.result()
        assert wrong == []
        assert seen == {"one", "two"}


async def crowd(url: str, key: str, done: threading.Event) -> tuple[set[str], list[str]]:
    """Two hundred visitors on kept-alive connections until `done`; the words that they saw, and what went wrong."""
    seen: set[str] = set()
    wrong: list[str] = []

    async def visit(session: aiohttp.ClientSession) -> None:
        while not done.is_set():
            async with session.get(url, headers={"Authorization": f"Key {key}"}) as answer:
                text = await answer.text()
                seen.add(text.split()[0])
                if answer.status != 200:
                    wrong.append(text)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=VISITORS)) as session:
        await asyncio.gather(*(visit(session) for _ in range(VISITORS)))
    return seen, wrong


def test_a_server_that_dies_at_any_moment_of_a_deploy_starts_again(tmp_path: Path, environments: Path) -> None:
    data = prepared(tmp_path / "data", environments)
    moments = random.Random(os.environ.get("CONNECT_TASKS_SEED", "7"))  # to be repeated, not kept secret
    acknowledged: dict[str, str] = {}
    source = guid = None
    for number in range(DEATHS):
        with running(data) as server:
            api = Api(server.url, server.api_key)
            for known, title in acknowledged.items():
                assert api.made("GET", f"v1/content/{known}")["title"] == title
            if source is None or guid is None:
                source = make_source(api, tmp_path / "source", "mortal")
                source.commit(app_files("number-0"))
                guid = linked(api, source)
                api.deployed(guid)
            else:
                move(source, api)
                state = api.made("GET", f"v1/content/{guid}")
                active = [bundle["id"] for bundle in api.made("GET", f"v1/content/{guid}/bundles") if bundle["active"]]
                assert active == [state["bundle_id"]]
                assert api.visit(f"/content/{guid}/").text.startswith("number-")
            source.commit(app_files(f"number-{number + 1}"))
            api.made("PUT", f"v1/content/{guid}/repository", {"repository": source.url})
            task = api.made("POST", f"v1/content/{guid}/deploy", {})["task_id"]
            made = api.made("POST", "v1/content", {"title": f"Title {number}"})
            acknowledged[made["guid"]] = f"Title {number}"
            time.sleep(moments.random() * 0.6)
            started = descendants(server.pid)
            os.kill(server.pid, signal.SIGKILL)
            assert ended(started)
        with running(data) as server:
            cut = Api(server.url, server.api_key).finished(task)
            assert (cut["code"], bool(cut["error"])) in ((0, False), (1, True))


def move(source: Source, api: Api) -> None:
    """The next server has another port."""
    from .conftest import git

    url = f"{api.url}/git/{source.url.rpartition('/')[2]}"
    git("remote", "set-url", "origin", url, cwd=source.folder)
    git("config", f"http.{api.url}/.extraHeader", f"Authorization: Key {api.key}", cwd=source.folder)
    source.url = url
