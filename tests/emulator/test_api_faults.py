"""Faults on demand, and the request log."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connect_tasks.emulator import Running, running

from .conftest import Api


@pytest.fixture(scope="module")
def faulty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("faulty"), options=["--faults"]) as server:
        yield server


@pytest.fixture
def faulty(faulty_server: Running) -> Iterator[Api]:
    api = Api(faulty_server.url, faulty_server.api_key)
    yield api
    api("DELETE", "../__emulator__/fault")
    api("DELETE", "../__emulator__/requests")


def fault(api: Api, **wanted: Any) -> None:
    api.made("POST", "../__emulator__/fault", wanted)


def log(api: Api) -> dict[str, Any]:
    return dict(api.made("GET", "../__emulator__/requests"))


def test_nothing_of_it_is_there_unless_asked_for(api: Api) -> None:
    assert api("POST", "../__emulator__/fault", {"pattern": "."}).status_code == 404
    assert api.get("../__emulator__/requests").status_code == 404


def test_a_status_hits_what_it_names_as_often_as_it_says(faulty: Api) -> None:
    fault(faulty, pattern="GET .*/v1/user$", status=503, offset=1, times=2, headers={"Retry-After": "7"})
    statuses = [faulty.get("v1/user").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert faulty.get("v1/content").status_code == 200
    fault(faulty, pattern="/v1/user$", status=429, times=None, headers={"Retry-After": "7"})
    answers = [faulty.get("v1/user") for _ in range(3)]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(429, "7")}


def test_after_the_handler_acted_its_answer_is_lost(faulty: Api) -> None:
    fault(faulty, pattern="POST .*/v1/content$", status=502, after_handler=True)
    assert faulty("POST", "v1/content", {"name": "made-anyway"}).status_code == 502
    assert len(faulty.made("GET", "v1/content", params={"name": "made-anyway"})) == 1
    fault(faulty, pattern="POST .*/v1/content$", status=502)
    assert faulty("POST", "v1/content", {"name": "never-made"}).status_code == 502
    assert faulty.made("GET", "v1/content", params={"name": "never-made"}) == []


def test_answers_can_be_of_the_wrong_kind_cut_short_or_absent(faulty: Api) -> None:
    fault(faulty, pattern="v1/user$", body="<html>a proxy's page</html>", content_type="text/html", status=200)
    answer = faulty.get("v1/user")
    assert (answer.status_code, answer.headers["content-type"], answer.text[:6]) == (200, "text/html", "<html>")
    for way in ({"truncate": 5}, {"reset": True}):
        fault(faulty, pattern="v1/user$", **way)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            faulty.get("v1/user")
    assert faulty.get("v1/user").status_code == 200
    fault(faulty, pattern="v1/user$", delay=0.3)
    begin = time.monotonic()
    assert faulty.get("v1/user").json()["username"] == "admin"
    assert time.monotonic() - begin >= 0.3


def test_the_caller_can_be_killed(faulty: Api) -> None:
    code = "import sys, time, requests; print('up', flush=True); sys.stdin.readline(); requests.get(sys.argv[1])"
    caller = subprocess.Popen(
        [sys.executable, "-c", code, f"{faulty.url}/__ping__"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert caller.stdin is not None
    fault(faulty, pattern="/__ping__", kill=caller.pid)
    caller.communicate(b"go\n", timeout=20)
    assert caller.returncode == -9


def test_requests_are_logged_and_writing_ones_counted(faulty: Api, tmp_path: Path) -> None:
    made = faulty.made("POST", "v1/content", {"name": "counted"})
    faulty.made("GET", f"v1/content/{made['guid']}?include=owner")
    faulty.visit(f"/content/{made['guid']}/")
    told = log(faulty)
    assert (told["total"], told["writing"]) == (3, 1)
    assert [entry["status"] for entry in told["requests"]] == [200, 200, 404]
    assert told["requests"][1]["target"] == f"GET /__api__/v1/content/{made['guid']}?include=owner"
    assert str(faulty.key) not in str(told)


@pytest.mark.parametrize("wanted", [{}, {"pattern": "("}, {"pattern": "x", "wings": 1}])
def test_what_is_no_fault_is_refused(faulty: Api, wanted: dict[str, Any]) -> None:
    assert faulty.refused("POST", "../__emulator__/fault", wanted) == (400, 25)
