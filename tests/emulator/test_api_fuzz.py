"""Whatever is sent, the server answers in Connect's shape: never a 500, never a traceback, never a hang."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connect_tasks.emulator import application
from connect_tasks.emulator.problems import MEANINGS

from .conftest import Api

ROUTES = sorted(
    {
        (method, route.path)
        for resource in application.RESOURCES
        for route in resource.routes
        for method in route.methods or ()
        if method != "HEAD"
    }
)
WORDS = ["name", "title", "bundle_id", "activate", "repository", "branch", "directory", "polling", "path", "force"]
WORDS += ["owner_guid", "principal_guid", "principal_type", "role", "username", "user_guid", "locked", "tag_id", "ref"]
WORDS += ["parent_id", "version", "language", "image_name", "value", "email", "max_processes", "idle_timeout"]

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
bodies = (
    st.dictionaries(st.sampled_from(WORDS), anything, max_size=5)
    | st.lists(st.dictionaries(st.sampled_from(["name", "value"]), anything), max_size=3)
    | anything
)
segments = st.text(min_size=1, max_size=20) | st.sampled_from(["..", ".", "%2e%2e", "%00", "0", "-1", "9" * 30, "a/b"])
queries = st.dictionaries(
    st.sampled_from(["first", "wait", "include", "name", "page_size", "page_number", "prefix", "max_log_lines"]),
    st.text(max_size=12) | st.integers().map(str),
    max_size=2,
)


@pytest.fixture(scope="module")
def session() -> requests.Session:
    return requests.Session()


@pytest.fixture(scope="module")
def target(server: Any) -> dict[str, str]:
    """Ids that exist, so that requests get beyond the first check."""
    api = Api(server.url, server.api_key)
    guid = api.made("POST", "v1/content", {})["guid"]
    user = api.made("GET", "v1/user")["guid"]
    tag = api.made("POST", "v1/tags", {"name": "fuzzed"})["id"]
    return {"guid": guid, "user": user, "tag": tag}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), bodies, segments, queries, st.integers(0, 3))
def test_no_request_breaks_the_api(
    api: Api,
    session: requests.Session,
    target: dict[str, str],
    route: tuple[str, str],
    body: Any,
    segment: str,
    query: dict[str, str],
    real: int,
) -> None:
    method, path = route
    for name in ("guid", "bundle", "task", "permission", "job", "tag", "member", "number"):
        value = target.get("user" if "/users/" in path else name) if real else None
        quoted = requests.utils.quote(value or segment, safe="%") if f"{{{name}}}" in path else ""
        path = path.replace(f"{{{name}}}", quoted)
    if method == "DELETE" and target["guid"] in path.rpartition("/")[2]:
        return  # the item is needed for the next example
    answer = session.request(
        method,
        f"{api.url}/__api__{path}",
        params={**query, **({"wait": "0"} if "wait" in query else {})},
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Key {api.key}"},
        timeout=30,
    )
    assert answer.status_code < 500, (method, path, body, answer.text)
    assert "Traceback" not in answer.text
    if not answer.ok:
        problem = answer.json()
        assert problem["code"] in MEANINGS
        assert problem["error"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(["application/json", "multipart/form-data; boundary=x", ""]))
def test_no_bytes_break_an_upload(
    api: Api, session: requests.Session, target: dict[str, str], data: bytes, kind: str
) -> None:
    url = f"{api.url}/__api__/v1/content/{target['guid']}/bundles"
    headers = {"Authorization": f"Key {api.key}", **({"Content-Type": kind} if kind else {})}
    if kind.startswith("multipart"):
        data = b'--x\r\nContent-Disposition: form-data; name="archive"; filename="b"\r\n\r\n' + data + b"\r\n--x--"
    answer = session.post(url, data=data, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) in [(400, 125), (400, 135), (400, 87), (409, 144)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, max_size=4).map("/".join), st.booleans())
def test_no_path_breaks_the_front(api: Api, session: requests.Session, path: str, content: bool) -> None:
    quoted = requests.utils.quote(path, safe="%/")
    url = f"{api.url}/{'content/' if content else ''}{quoted}"
    answer = session.get(url, timeout=30, headers={"Authorization": f"Key {api.key}"})
    assert answer.status_code < 500
    assert "root:" not in answer.text
