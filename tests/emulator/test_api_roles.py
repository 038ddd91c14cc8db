"""Who may do what: roles, ownership, collaborators, groups, anonymous visitors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Api, Source, app_files

Person = tuple[Api, str]


@pytest.fixture
def person(api: Api) -> Callable[[str], Person]:
    def make(role: str) -> Person:
        name = f"{role}-{time.time_ns()}"
        guid = api.made("POST", "v1/users", {"username": name, "email": "x@example.org", "user_role": role})["guid"]
        key = requests_key(api, guid)
        return Api(api.url, key), guid

    return make


def requests_key(api: Api, guid: str) -> str:
    answer = api("POST", "../__emulator__/key", {"user_guid": guid})
    return str(answer.json()["api_key"])


def test_a_viewer_creates_nothing_and_sees_what_is_shared(
    api: Api, content: dict[str, Any], person: Callable[[str], Person]
) -> None:
    viewer, guid = person("viewer")
    path = f"v1/content/{content['guid']}"
    assert viewer.refused("POST", "v1/content", {"name": "mine"}) == (403, 22)
    assert viewer.refused("GET", "v1/server_settings/python") == (403, 22)
    assert viewer.refused("GET", path) == (403, 19)
    assert viewer.made("GET", "v1/content") == []
    api.made("PATCH", path, {"access_type": "logged_in"})
    assert viewer.made("GET", path)["app_role"] == "viewer"
    assert viewer.refused("PATCH", path, {"title": "taken over"}) == (403, 21)
    assert viewer.refused("DELETE", path) == (403, 21)
    # A collaborator's permission does not make a publisher of a viewer.
    api.made("POST", f"{path}/permissions", {"principal_guid": guid, "principal_type": "user", "role": "owner"})
    assert viewer.refused("POST", f"{path}/deploy", {}) == (403, 21)


def test_a_publisher_has_his_own_and_what_he_collaborates_on(
    api: Api, content: dict[str, Any], person: Callable[[str], Person]
) -> None:
    publisher, guid = person("publisher")
    path = f"v1/content/{content['guid']}"
    own = publisher.made("POST", "v1/content", {"name": content["name"]})  # unique per owner only
    assert own["app_role"] == "owner"
    assert publisher.made("GET", "v1/content") == [own]
    assert publisher.refused("GET", path) == (403, 19)
    group = api.made("POST", "v1/groups", {"name": f"team-{time.time_ns()}"})["guid"]
    api.made("POST", f"v1/groups/{group}/members", {"user_guid": guid})
    api.made("POST", f"{path}/permissions", {"principal_guid": group, "principal_type": "group", "role": "owner"})
    assert publisher.made("GET", path)["app_role"] == "editor"
    assert publisher.made("PATCH", path, {"title": "By a collaborator"})["title"] == "By a collaborator"
    assert publisher.refused("POST", "v1/users", {"username": "other"}) == (403, 22)
    assert publisher.refused("POST", "v1/content", {"name": "abc", "owner_guid": content["owner_guid"]}) == (403, 22)
    assert api.made("PATCH", f"v1/content/{own['guid']}", {"title": "An admin may"})["app_role"] == "none"


def test_permission_lists_refuse_what_does_not_fit(
    api: Api, content: dict[str, Any], person: Callable[[str], Person]
) -> None:
    _, guid = person("viewer")
    path = f"v1/content/{content['guid']}/permissions"

    def grant(principal: str, kind: str = "user", role: str = "viewer") -> dict[str, str]:
        return {"principal_guid": principal, "principal_type": kind, "role": role}

    assert api.refused("POST", path, grant(content["owner_guid"])) == (400, 34)
    assert api.refused("POST", path, grant(guid, "group")) == (400, 152)
    assert api.refused("POST", path, grant(content["guid"], "group")) == (404, 153)
    assert api.refused("POST", path, grant(guid, role="king")) == (400, 25)
    made = api.made("POST", path, grant(guid))
    assert api.refused("POST", path, grant(guid)) == (409, 154)
    assert api.made("GET", path) == [made]
    assert api("DELETE", f"{path}/{made['id']}").status_code == 204
    assert api.refused("GET", f"{path}/{made['id']}") == (404, 4)


def test_a_locked_account_is_refused(api: Api, person: Callable[[str], Person]) -> None:
    publisher, guid = person("publisher")
    assert publisher.made("GET", "v1/user")["guid"] == guid
    api.made("POST", f"v1/users/{guid}/lock", {"locked": True})
    assert publisher.refused("GET", "v1/user") == (401, 30)
    locked = api.made("GET", "v1/users", params={"account_status": "locked", "page_size": 500})["results"]
    assert guid in [user["guid"] for user in locked]


def test_tasks_are_for_who_started_them(
    api: Api, content: dict[str, Any], source: Callable[..., Source], person: Callable[[str], Person]
) -> None:
    repository = source()
    repository.commit(app_files())
    api.made("PUT", f"v1/content/{content['guid']}/repository", {"repository": repository.url})
    task = api.made("POST", f"v1/content/{content['guid']}/deploy", {})["task_id"]
    other, _ = person("publisher")
    assert other.refused("GET", f"v1/tasks/{task}") == (404, 141)
    finished = api.finished(task)
    assert api.made("GET", f"v1/tasks/{task}?first=2")["output"] == finished["output"][2:]
    assert api.refused("GET", f"v1/tasks/{task}?first={finished['last'] + 1}") == (400, 13)
    assert api.refused("GET", f"v1/tasks/{task}?wait=21") == (400, 13)
    assert api.refused("GET", f"v1/tasks/{task}?wait=soon") == (400, 25)


def test_pages_are_private_until_they_are_shared(
    api: Api, content: dict[str, Any], source: Callable[..., Source], person: Callable[[str], Person]
) -> None:
    guid, repository = content["guid"], source()
    repository.commit(app_files())
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": repository.url})
    api.deployed(guid)
    bundle = api.made("GET", f"v1/content/{guid}")["bundle_id"]
    anonymous, (viewer, _) = Api(api.url, None), person("viewer")

    assert anonymous.visit(f"/content/{guid}/").status_code == 401
    assert viewer.visit(f"/content/{guid}/").status_code == 403
    assert Api(api.url, "wrong").visit(f"/content/{guid}/").status_code == 401
    api.made("PATCH", f"v1/content/{guid}", {"access_type": "logged_in"})
    assert (anonymous.visit(f"/content/{guid}/").status_code, viewer.visit(f"/content/{guid}/").status_code) == (
        401,
        200,
    )
    api.made("PATCH", f"v1/content/{guid}", {"access_type": "all"})
    assert anonymous.visit(f"/content/{guid}/").status_code == 200
    assert anonymous.visit(f"/content/{guid}/_bundle{bundle}/").status_code == 401
    assert viewer.visit(f"/content/{guid}/_bundle{bundle}/").status_code == 403
    assert api.visit(f"/content/{guid}/_bundle{bundle}/").status_code == 200
    assert anonymous.visit("/content/nonsense/").status_code == 404


def test_the_app_learns_who_visits_and_never_sees_the_visitors_key(
    api: Api, content: dict[str, Any], source: Callable[..., Source]
) -> None:
    guid, repository = content["guid"], source()
    echo = """
import json, os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    return [json.dumps({"headers": headers, "variables": dict(os.environ)}).encode()]
"""
    repository.commit({**app_files(), "app.py": echo})
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": repository.url})
    api.made("PATCH", f"v1/content/{guid}/environment", [{"name": "GREETING", "value": "hello"}])
    api.deployed(guid)

    told = api.visit(f"/content/{guid}/", headers={"RStudio-Connect-Credentials": "forged"}).json()

    assert told["headers"]["HTTP_RSTUDIO_CONNECT_CREDENTIALS"] == '{"user": "admin", "groups": []}'
    assert told["headers"]["HTTP_RSTUDIO_CONNECT_APP_BASE_URL"] == f"{api.url}/content/{guid}"
    assert str(api.key) not in str(told)
    variables = told["variables"]
    assert (variables["GREETING"], variables["CONNECT_CONTENT_GUID"]) == ("hello", guid)
    assert (variables["POSIT_PRODUCT"], variables["CONNECT_SERVER"]) == ("CONNECT", f"{api.url}/")
    assert Api(api.url, variables["CONNECT_API_KEY"]).made("GET", "v1/user")["username"] == "admin"
    assert "CONNECT_TASKS_EMULATOR_KEY" not in variables

    api.made("PATCH", f"v1/content/{guid}/environment", [{"name": "GREETING", "value": "goodbye"}])
    assert api.visit(f"/content/{guid}/").json()["variables"]["GREETING"] == "goodbye"
