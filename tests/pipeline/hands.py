"""What people do besides a release: on the server by hand, as somebody else, from another clone."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .conftest import BARE_APP, BARE_TEST, Ran, Workshop


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user of the server with a key."""

    name: str
    guid: str
    key: str


def call(shop: Workshop, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
    """An API call with the administrator's key, or another one; the answer's JSON."""
    data = None if body is None else json.dumps(body).encode()
    path = path if path.startswith("__") else f"__api__/{path}"
    request = urllib.request.Request(f"{shop.server.url}/{path}", data=data, method=method)
    request.add_header("Authorization", f"Key {key or shop.server.api_key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def person(shop: Workshop, role: str = "publisher") -> Person:
    """A new user."""
    name = f"{role}-{os.urandom(4).hex()}"
    user = call(shop, "POST", "v1/users", {"username": name, "email": "x@example.org", "user_role": role})
    key = call(shop, "POST", "__emulator__/key", {"user_guid": user["guid"]})["api_key"]
    return Person(name=name, guid=user["guid"], key=key)


def used_by(shop: Workshop, who: Person, place: Path | None = None) -> Workshop:
    """The workshop with that person's key; in a clone of their own, where a `place` is given."""
    environ = {**shop.environ, "CONNECT_API_KEY": who.key}
    theirs = replace(shop, environ=environ)
    if place is not None:
        place.mkdir()
        theirs.root = place / "clone"
        url = shop.server.git_url(shop.name)
        subprocess.run(["git", "clone", "--quiet", url, str(theirs.root)], env=environ, check=True)
        theirs.git("config", f"http.{shop.server.url}/.extraHeader", f"Authorization: Key {who.key}")
    return theirs


def share(shop: Workshop, guid: str, who: Person, role: str = "owner") -> None:
    """Connect's word for a collaborator is the role `owner` on the permission list."""
    body = {"principal_guid": who.guid, "principal_type": "user", "role": role}
    call(shop, "POST", f"v1/content/{guid}/permissions", body)


def guid_of(ran: Ran) -> str:
    return str(ran.report["url"]).rstrip("/").rsplit("/", 1)[-1]


def items(shop: Workshop) -> list[dict[str, Any]]:
    """The content items that are linked to the workshop's repository, or bear its name, whoever owns them."""
    url = shop.server.git_url(shop.name)
    return [
        item
        for item in call(shop, "GET", "v1/content")
        if item["name"] == shop.name or link_of(shop, item["guid"]).get("repository") == url
    ]


def link_of(shop: Workshop, guid: str) -> dict[str, Any]:
    """What an item is linked to, empty for one that is not git-backed."""
    try:
        return dict(call(shop, "GET", f"v1/content/{guid}/repository"))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return {}


def live_bundle(shop: Workshop, guid: str) -> str:
    return str(call(shop, "GET", f"v1/content/{guid}")["bundle_id"])


def activate(shop: Workshop, guid: str, bundle: str) -> None:
    """Activate a bundle as the dashboard does."""
    task = call(shop, "POST", f"v1/content/{guid}/deploy", {"bundle_id": bundle})["task_id"]
    while not (state := call(shop, "GET", f"v1/tasks/{task}?wait=1"))["finished"]:
        pass
    assert state["code"] == 0, state


def next_second() -> None:
    """The server tells times in whole seconds: two things that shall have different ones need this between them."""
    now = datetime.now(timezone.utc)
    time.sleep(1.01 - now.microsecond / 1e6)


def version(shop: Workshop, number: int) -> str:
    """Commit another version of the bare app, or of the page, and return the commit."""
    if (shop.root / "index.html").exists():
        return shop.commit(f"version {number}", **{"index.html": f"version {number}"})
    return shop.commit(
        f"version {number}",
        app_py=BARE_APP.replace("version 1", f"version {number}"),
        test_app_py=BARE_TEST.replace("version 1", f"version {number}"),
    )


def released(shop: Workshop, number: int | None = None) -> Ran:
    """Release, of a new version where a number is given."""
    if number is not None:
        version(shop, number)
    ran = shop.run("release")
    assert ran.status == 0, ran.said
    return ran
