"""Rows 8 to 13 of the faults: killed at any point of a deploy, the same command goes on, and does nothing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import Running

from .conftest import Workshop, make_workshop
from .hands import call, items
from .test_connect_faults import server_of

__all__ = ["server_of"]

TABLE = '[tool.connect-tasks]\nmode = "html"\nentrypoint = "index.html"\nverify = { contains = "version" }\n'
MAKING = "POST .*/repository/bundle$|POST .*/deploy$"
#: Way -> which of the POSTs above makes the bundle (those before it are refused), and which one activates it.
NTH = {"commit": (0, 2), "draft": (1, 2), "branch": (2, 2)}


@pytest.fixture
def shop_on(
    server_of: Callable[[str], Running], tmp_path: Path, private_home: Path
) -> Iterator[Callable[[str], Workshop]]:
    """A page that is live, and its next version committed but not pushed."""
    made: list[Workshop] = []

    def shop(way: str) -> Workshop:
        found = make_workshop(server_of(way), tmp_path, f"killed-{way}")
        made.append(found)
        for name in ("app.py", "test_app.py", "requirements.in", ".python-version"):
            (found.root / name).unlink()
        found.commit(**{"pyproject.toml": TABLE, "index.html": "version 1"})
        assert found.run("release", "--no-test", "not the subject").status == 0
        found.commit(**{"index.html": "version 2"})
        call(found, "DELETE", "__emulator__/requests")
        return found

    yield shop
    for one in made:
        call(one, "DELETE", "__emulator__/fault")


def killed_release(shop: Workshop, **fault: Any) -> str:
    """What a release said, in a process of its own, before it got a KILL as the server was asked for something."""
    release = [sys.executable, "-m", "connect_tasks", "release", "--no-test", "not the subject"]
    with subprocess.Popen(
        ["sh", "-c", 'read go && exec "$@"', "sh", *release],
        cwd=shop.root, env=shop.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as child:  # fmt: skip
        call(shop, "POST", "__emulator__/fault", {"kill": child.pid, **fault})
        said, _ = child.communicate(b"go\n", timeout=120)
    assert child.returncode == -signal.SIGKILL, said.decode()
    call(shop, "DELETE", "__emulator__/fault")
    return said.decode()


def posts(shop: Workshop) -> list[str]:
    """The POSTs to the content that the server has acted on."""
    log = call(shop, "GET", "__emulator__/requests")["requests"]
    return [
        entry["path"].rsplit("/", 1)[-1]
        for entry in log
        if entry["method"] == "POST" and "/v1/content/" in entry["path"] and entry["status"] == 202
    ]


def goes_on(shop: Workshop, *, without: str = "\0") -> list[str]:
    """The same command again -> the POSTs that it made. There is one commit, one bundle of it, and that is live.

    `without`: what it does not say, since the run before has said it.
    """
    before = posts(shop)
    commits = shop.git("rev-list", "--count", "HEAD")
    ran = shop.run("release", "--no-test", "not the subject")
    assert ran.status == 0, ran.said
    assert without not in ran.said
    assert shop.git("rev-list", "--count", "HEAD") == commits
    assert shop.remote() == shop.head == ran.report["live_commit"]
    assert shop.page(ran.report["url"]) == "version 2"
    guid = ran.report["url"].rstrip("/").rsplit("/", 1)[-1]
    bundles = shop.api(f"__api__/v1/content/{guid}/bundles")
    assert sum(bundle["metadata"]["source_commit"] == shop.head for bundle in bundles) == 1
    assert len(bundles) == 2
    return posts(shop)[len(before) :]


@pytest.fixture(params=NTH)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_before_anything_is_asked_for(shop_on: Callable[[str], Workshop]) -> None:
    shop = shop_on("commit")
    killed_release(shop, pattern="GET .*/v1/content/[^/]+$")
    assert shop.remote() == shop.head
    assert posts(shop) == []
    assert goes_on(shop) == ["bundle", "deploy", "deploy"]


def test_when_the_bundle_is_asked_for(shop_on: Callable[[str], Workshop], way: str) -> None:
    """The request has arrived, its answer has not; the bundle may not be there yet when we come again."""
    shop = shop_on(way)
    killed_release(shop, pattern=MAKING, offset=NTH[way][0], after_handler=True)
    assert "bundle" not in goes_on(shop)


def test_while_the_task_runs(shop_on: Callable[[str], Workshop], way: str) -> None:
    """The server's fetch takes a while: the task is still running when we come again, and is adopted."""
    shop = shop_on(way)
    fetch = f"GET /git/{shop.name}.*git-upload-pack"  # the server's: we have what we would fetch
    call(shop, "POST", "__emulator__/fault", {"pattern": fetch, "delay": 3.0, "times": None})
    said = killed_release(shop, pattern="GET .*/v1/tasks/", offset=1)
    assert "Fetching git repo" in said
    made = posts(shop).count("bundle" if way == "commit" else "deploy")
    assert made == 1
    again = goes_on(shop, without="Fetching git repo")
    assert again == {"commit": ["deploy", "deploy"], "draft": ["deploy"], "branch": []}[way]


def test_when_the_draft_was_visited(shop_on: Callable[[str], Workshop]) -> None:
    shop = shop_on("commit")
    killed_release(shop, pattern=MAKING, offset=NTH["commit"][1], reset=True)
    assert goes_on(shop) == ["deploy"]  # what was built as a draft is visited again, and activated


def test_a_task_says_nothing_about_another_bundle(shop_on: Callable[[str], Workshop]) -> None:
    """The draft whose task the journal knows is gone, and somebody has made another bundle of the same commit."""
    shop = shop_on("commit")
    killed_release(shop, pattern=MAKING, offset=NTH["commit"][1], reset=True)
    (item,) = items(shop)
    place = f"__api__/v1/content/{item['guid']}"
    (draft,) = (bundle["id"] for bundle in shop.api(f"{place}/bundles") if not bundle["active"])
    call(shop, "DELETE", f"{place}/bundles/{draft}")
    task = call(shop, "POST", f"{place}/repository/bundle", {"ref": shop.head})["task_id"]
    assert shop.api(f"__api__/v1/tasks/{task}?wait=20")["finished"]
    assert goes_on(shop) == ["deploy", "deploy"]  # a draft of it, and its activation


@pytest.mark.parametrize("way_to_live", ["commit", "draft"])
def test_when_the_activation_is_asked_for(shop_on: Callable[[str], Workshop], way_to_live: str) -> None:
    shop = shop_on(way_to_live)
    killed_release(shop, pattern=MAKING, offset=NTH[way_to_live][1], after_handler=True)
    assert set(goes_on(shop)) <= {"deploy"}


def test_after_the_activation_only_the_page_is_verified(shop_on: Callable[[str], Workshop], way: str) -> None:
    shop = shop_on(way)
    killed_release(shop, pattern="GET /content/[^/]+/$")
    call(shop, "DELETE", "__emulator__/requests")
    assert goes_on(shop) == []
    pages = [entry for entry in call(shop, "GET", "__emulator__/requests")["requests"] if "/content/" in entry["path"]]
    assert any(entry["agent"].startswith("python-requests") for entry in pages)  # ours, besides the test's


def test_a_sick_page_is_taken_back_by_the_run_after(shop_on: Callable[[str], Workshop]) -> None:
    """Killed when it was about to see that the live page is sick: what was live before is known from the journal."""
    shop = shop_on("commit")
    killed_release(shop, pattern="GET /content/[^/]+/$")
    call(shop, "POST", "__emulator__/fault", {"pattern": "GET /content/[^/]+/$", "status": 500, "times": 3})
    ran = shop.run("release", "--no-test", "not the subject")
    assert (ran.status, ran.code) == (1, "CT801"), ran.said
    assert "is live again instead of" in ran.report["error"]["message"]
    assert shop.page(ran.report["url"]) == "version 1"
    call(shop, "DELETE", "__emulator__/fault")
    assert set(goes_on(shop)) <= {"deploy"}
