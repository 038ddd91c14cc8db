"""Content items over plain HTTP: what is answered, what is refused and with which code."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from .conftest import Api

NOBODY = str(uuid.uuid4())


def test_the_server_says_what_it_is_to_anyone(api: Api) -> None:
    for key in (None, "x" * 32, api.key):
        settings = Api(api.url, key).made("GET", "server_settings")
        assert settings["version"] == "2026.04.0"
    installations = api.made("GET", "v1/server_settings/python")["installations"]
    assert all(set(item) == {"version", "cluster_name", "image_name", "publishable"} for item in installations)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 24),
        ({"Authorization": "Key nonsense"}, 30),
        ({"Authorization": "Bearer token"}, 30),
        ({"Authorization": "Basic !"}, 30),
        ({"X-RSC-Authorization": "Key nonsense"}, 30),
    ],
)
def test_credentials_are_needed_and_checked(api: Api, headers: dict[str, str], code: int) -> None:
    assert Api(api.url, None).refused("GET", "v1/user", headers=headers) == (401, code)


def test_a_key_is_taken_from_either_header(api: Api) -> None:
    for value in (f"Key {api.key}", str(api.key)):
        assert Api(api.url, None).made("GET", "v1/user", headers={"X-RSC-Authorization": value})["username"] == "admin"


def test_every_unknown_route_and_method_answers_in_json(api: Api) -> None:
    for method, path in (("GET", "v1/nosuch"), ("DELETE", "v1/user"), ("GET", ""), ("PATCH", "v1/content")):
        assert api.refused(method, path) == (404, 2)
    # No redirect for a slash either: a client that tidies ".." away would delete what it never named.
    made = api.made("POST", "v1/content", {})
    assert api.refused("DELETE", f"v1/content/{made['guid']}/bundles/..") == (404, 2)
    assert api("DELETE", f"v1/content/{made['guid']}").status_code == 204


def test_a_created_item_reads_the_same_everywhere(api: Api, content: dict[str, Any]) -> None:
    assert api.made("GET", f"v1/content/{content['guid']}") == content
    assert api.made("GET", "v1/content", params={"name": content["name"]}) == [content]
    assert api.made("GET", "v1/content", params={"name": content["name"], "owner_guid": NOBODY}) == []
    assert api.made("GET", f"applications/{content['id']}")["guid"] == content["guid"]
    assert (content["bundle_id"], content["app_mode"], content["access_type"]) == (None, "unknown", "acl")
    assert content["content_url"] == f"{api.url}/content/{content['guid']}/"
    assert content["dashboard_url"] == f"{api.url}/connect/#/apps/{content['guid']}"
    full = api.made("GET", f"v1/content/{content['guid']}", params={"include": "owner,tags,vanity_url"})
    assert full["owner"]["username"] == "admin"
    assert {"tags", "vanity_url"}.isdisjoint(full)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"name": "ab"}, (400, 5)),
        ({"name": "no spaces"}, (400, 5)),
        ({"name": "../../etc"}, (400, 5)),
        ({"name": 3}, (400, 5)),
        ({"title": "ab"}, (400, 122)),
        ({"title": "x" * 1025}, (400, 122)),
        ({"description": "x" * 4097}, (400, 123)),
        ({"access_type": "everyone"}, (400, 117)),
        ({"owner_guid": NOBODY}, (403, 156)),
        ({"read_timeout": -1}, (400, 151)),
        ({"idle_timeout": 2_592_001}, (400, 151)),
        ({"read_timeout": True}, (400, 151)),
        ({"load_factor": 2}, (400, 150)),
        ({"run_as_current_user": "yes"}, (400, 25)),
        ([], (400, 121)),
    ],
)
def test_bad_fields_are_refused_with_their_code(api: Api, content: dict[str, Any], body: Any, answer: Any) -> None:
    assert api.refused("POST", "v1/content", body) == answer
    assert api.refused("PATCH", f"v1/content/{content['guid']}", body) == answer
    assert api.made("GET", f"v1/content/{content['guid']}") == content


def test_bodies_that_are_no_json_are_refused(api: Api) -> None:
    bodies = (b"{", b"\xff", b'{"name": "\\ud800"}', b'{"a": NaN}', b'{"a": 1e999}', b"[" * 100_000, b"9" * 5000)
    for raw in bodies:
        assert api.refused("POST", "v1/content", data=raw) == (400, 121), raw[:20]
    assert api.refused("POST", "v1/content", data=b" " * 2_000_000) == (400, 87)


def test_changes_are_partial_and_null_resets(api: Api, content: dict[str, Any]) -> None:
    path = f"v1/content/{content['guid']}"
    changed = api.made("PATCH", path, {"title": "A title", "read_timeout": 60, "load_factor": 0.5, "unknown": 1})
    assert changed == {**content, "title": "A title", "read_timeout": 60, "load_factor": 0.5}
    assert api.made("PATCH", path, {}) == changed == api.made("GET", path)
    assert api.made("PATCH", path, {"title": None, "read_timeout": None, "load_factor": None}) == content
    assert api.refused("PATCH", path, {"bundle_id": "1"}) == (400, 53)


def test_names_are_unique_per_owner(api: Api, content: dict[str, Any]) -> None:
    assert api.refused("POST", "v1/content", {"name": content["name"]}) == (409, 26)
    other = api.made("POST", "v1/content", {})
    assert api.refused("PATCH", f"v1/content/{other['guid']}", {"name": content["name"]}) == (409, 26)


def test_what_is_not_there_is_told_from_what_cannot_be(api: Api, content: dict[str, Any]) -> None:
    assert api.refused("GET", "v1/content/nonsense") == (400, 3)
    assert api.refused("GET", f"v1/content/{NOBODY}") == (404, 4)
    assert api.refused("GET", f"v1/content/{content['guid']}", params={"include": "everything"}) == (400, 161)
    assert api.refused("GET", f"v1/content/{content['guid']}/bundles/1") == (404, 4)
    assert api.refused("POST", f"v1/content/{content['guid']}/deploy", {}) == (404, 28)
    assert api.refused("POST", f"v1/content/{content['guid']}/deploy", {"bundle_id": "1"}) == (404, 4)
    assert api.refused("POST", f"v1/content/{content['guid']}/build", {}) == (404, 28)
    assert api.refused("GET", "v1/tasks/nosuch") == (404, 141)


def test_deleted_content_is_gone_with_all_that_belonged_to_it(api: Api) -> None:
    made = api.made("POST", "v1/content", {"name": "short-lived"})
    path = f"v1/content/{made['guid']}"
    api.made("PUT", f"{path}/vanity", {"path": "short-lived"})
    assert api("DELETE", path).status_code == 204
    assert api.refused("DELETE", path) == (404, 4)
    assert "/short-lived/" not in [vanity["path"] for vanity in api.made("GET", "v1/vanities")]
    api("DELETE", f"v1/content/{api.made('POST', 'v1/content', {'name': 'short-lived'})['guid']}")


def test_environment_variables_are_set_deleted_and_replaced(api: Api, content: dict[str, Any]) -> None:
    path = f"v1/content/{content['guid']}/environment"
    assert api.made("GET", path) == []
    assert api.made("PATCH", path, [{"name": "B", "value": ""}, {"name": "A", "value": "1"}]) == ["A", "B"]
    assert api.made("PATCH", path, [{"name": "A", "value": None}, {"name": "Z", "value": None}]) == ["B"]
    assert api.made("PUT", path, [{"name": "C", "value": "3"}]) == ["C"]
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert api.refused("PATCH", path, twice) == (409, 149)
    assert api.refused("PATCH", path, [{"name": "CONNECT_SERVER", "value": "x"}]) == (409, 108)
    for bad in ({}, [1], [{"name": 1}], [{"name": "A=B", "value": "x"}], [{"name": "A", "value": 1}], [{"value": "x"}]):
        assert api.refused("PATCH", path, bad) == (400, 121)
    assert api.made("GET", path) == ["C"]
    assert api.made("PUT", path, []) == []


def test_pages_of_users(api: Api) -> None:
    for number in range(3):
        api.made("POST", "v1/users", {"username": f"paged-{number}", "email": f"p{number}@example.org"})
    page = api.made("GET", "v1/users", params={"prefix": "paged-", "page_size": 2, "page_number": 2})
    assert (page["current_page"], page["total"], [user["username"] for user in page["results"]]) == (2, 3, ["paged-2"])
    assert api.refused("GET", "v1/users", params={"page_size": 501}) == (400, 13)
    assert api.refused("GET", "v1/users", params={"page_size": "many"}) == (400, 25)
    assert api.refused("POST", "v1/users", {"username": "PAGED-1"}) == (409, 26)
    assert api.refused("POST", "v1/users", {}) == (400, 12)
    assert api.refused("GET", f"v1/users/{NOBODY}") == (404, 4)
