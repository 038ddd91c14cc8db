"""The dashboard, as a browser without scripts sees it. (In a real one: test_dashboard_browser.)"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from connect_tasks.emulator.dashboard.markup import Html, element, joined

from .conftest import Api, Source, app_files

NASTY = "<script>alert('x')</script> & \"more\""


def test_text_is_escaped_and_markup_is_not() -> None:
    made = element("a", NASTY, Html("<b>"), None, href='"><x', disabled=True, hidden=False, aria_label=None)
    assert made == (
        '<a href="&quot;&gt;&lt;x" disabled>'
        "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;more&quot;<b></a>"
    )
    assert joined("<", element("br")) == "&lt;<br>"


class Browser(requests.Session):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.base = url

    def page(self, path: str, status: int = 200) -> str:
        answer = self.get(self.base + path)
        assert answer.status_code == status, answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"""(src|href)=["'](https?:)?//""", answer.text), "a page loads nothing from elsewhere"
        return answer.text


@pytest.fixture
def browser(api: Api) -> Browser:
    browser = Browser(api.url)
    answer = browser.post(f"{api.url}/connect/login", data={"key": api.key})
    assert (answer.status_code, answer.url) == (200, f"{api.url}/connect/")
    return browser


def test_it_asks_for_a_key_first(api: Api) -> None:
    stranger = Browser(api.url)
    for path in ("/", "/connect", "/connect/", "/connect/apps/x"):
        assert "API key" in stranger.page(path, status=401)
    refused = stranger.post(f"{api.url}/connect/login", data={"key": "wrong"})
    assert (refused.status_code, "not known" in refused.text) == (401, True)
    assert not stranger.cookies


def test_content_is_listed_shown_visited_and_switched(
    api: Api, content: dict[str, Any], source: Callable[..., Source], browser: Browser
) -> None:
    guid, repository = content["guid"], source()
    first = repository.commit(app_files("one"))
    api.made("PATCH", f"v1/content/{guid}", {"title": NASTY})
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": repository.url})
    api.deployed(guid)
    old = api.made("GET", f"v1/content/{guid}")["bundle_id"]
    second = repository.commit(app_files("two"))

    index = browser.page("/connect/")
    assert NASTY not in index
    assert "&lt;script&gt;alert" in index
    assert first[:10] in index

    deploying = browser.post(f"{api.url}/connect/apps/{guid}/deploy", headers={"Origin": api.url})
    assert "Deploy of the branch" in deploying.text
    task = deploying.url.rpartition("/")[2]
    api.finished(task)
    assert "Completed Python build" in browser.page(f"/connect/apps/{guid}/tasks/{task}")
    item = browser.page(f"/connect/apps/{guid}")
    assert second in item
    # The cookie opens private content, and the app does not get to see it.
    assert browser.get(f"{api.url}/content/{guid}/").text.startswith("two ")

    switching = browser.post(f"{api.url}/connect/apps/{guid}/activate", data={"bundle_id": old})
    api.finished(switching.url.rpartition("/")[2])
    assert browser.get(f"{api.url}/content/{guid}/").text.startswith("one ")
    item = browser.page(f"/connect/apps/{guid}")
    job = re.search(rf"/connect/apps/{guid}/jobs/(\w+)", item)
    assert job
    assert "run_python_api" in browser.page(job[0])


def test_what_goes_wrong_is_said_in_a_page(api: Api, content: dict[str, Any], browser: Browser) -> None:
    assert "There is no such content" in browser.page(f"/connect/apps/{uuid.uuid4()}", status=404)
    assert "not a valid object id" in browser.page("/connect/apps/nonsense", status=400)
    assert "no such endpoint" in browser.page("/connect/nosuch", status=404)
    answer = browser.post(f"{api.url}/connect/apps/{content['guid']}/deploy")
    assert (answer.status_code, "no bundle to deploy" in answer.text) == (404, True)


def test_forms_of_other_sites_are_refused(api: Api, content: dict[str, Any], browser: Browser) -> None:
    path = f"{api.url}/connect/apps/{content['guid']}/deploy"
    assert browser.post(path, headers={"Origin": "https://evil.invalid"}).status_code == 403
    assert browser.post(path, headers={"Origin": "null"}).status_code == 403


def test_logging_out_ends_the_session(api: Api, browser: Browser) -> None:
    session = dict(browser.cookies)
    browser.post(f"{api.url}/connect/logout")
    assert requests.get(f"{api.url}/connect/", cookies=session, timeout=20).status_code == 401
    # A session is no key, and a key is no session.
    assert Api(api.url, next(iter(session.values()))).refused("GET", "v1/user") == (401, 30)


def test_the_app_does_not_see_the_dashboards_cookie(
    api: Api, content: dict[str, Any], source: Callable[..., Source], browser: Browser
) -> None:
    repository = source()
    told = app_files()["app.py"].replace("path={environ['PATH_INFO']}", "cookie={environ.get('HTTP_COOKIE')}")
    repository.commit({**app_files(), "app.py": told})
    api.made("PUT", f"v1/content/{content['guid']}/repository", {"repository": repository.url})
    api.deployed(content["guid"])
    browser.cookies.set("own", "1")
    text = browser.get(f"{api.url}/content/{content['guid']}/").text
    assert "cookie=own=1 " in text
