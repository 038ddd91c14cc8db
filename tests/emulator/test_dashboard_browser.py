"""The dashboard in a real browser: Debian's Chromium, driven by Playwright's library.

With CONNECT_TASKS_SCREENSHOTS=DIR the pictures of the documentation are taken.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Api, Source, app_files

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = os.environ.get("CONNECT_TASKS_SCREENSHOTS")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as library:
        browser = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, api: Api) -> Iterator[Any]:
    """A page, logged in; every request that leaves our server, and every error in the console, fails the test."""
    context = chromium.new_context(base_url=api.url, color_scheme="light", viewport={"width": 1100, "height": 760})
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(api.url) else wrong.append(request.url))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto("/connect/")
    wrong.clear()  # the 401 of the login page is told in the console
    page.get_by_label("API key").fill(str(api.key))
    page.get_by_role("button", name="Log in").click()
    yield page
    assert wrong == []
    context.close()


def picture(page: Any, name: str, folder: Path) -> bytes:
    path = Path(SCREENSHOTS or folder) / f"{name}.png"
    return bytes(page.screenshot(path=path))


def test_an_older_bundle_is_activated_with_two_clicks(
    page: Any, api: Api, content: dict[str, Any], source: Callable[..., Source], tmp_path: Path
) -> None:
    expect = playwright.expect
    guid, repository = content["guid"], source("weather")
    repository.commit(app_files("one"))
    api.made("PATCH", f"v1/content/{guid}", {"title": "Weather report", "name": f"weather-{guid[:8]}"})
    api.made("PUT", f"v1/content/{guid}/repository", {"repository": repository.url})
    api.deployed(guid)
    first = api.made("GET", f"v1/content/{guid}")["bundle_id"]
    repository.commit(app_files("two"))

    page.goto("/connect/")
    picture(page, "dashboard", tmp_path)
    page.get_by_role("link", name="Weather report").first.click()
    page.get_by_role("button", name="Fetch and deploy").click()
    expect(page.get_by_text("finished")).to_be_visible()  # the page follows the task by itself
    picture(page, "dashboard-log", tmp_path)
    page.get_by_role("link", name="Weather report").click()
    page.get_by_role("row", name=re.compile(rf"^{first} ")).get_by_role("button", name="Activate").click()
    expect(page.get_by_text("finished")).to_be_visible()
    page.get_by_role("link", name="Weather report").click()
    expect(page.get_by_role("row", name=re.compile(rf"^{first} active"))).to_be_visible()
    picture(page, "dashboard-content", tmp_path)
    page.get_by_role("link", name="Visit").click()
    expect(page.get_by_text("one path=/")).to_be_visible()


def test_the_links_that_clients_print_lead_to_the_item(page: Any, content: dict[str, Any]) -> None:
    for tail in ("", "/logs", "/draft/7"):
        page.goto("about:blank")
        page.goto(f"/connect/#/apps/{content['guid']}{tail}")
        page.wait_for_url(f"**/connect/apps/{content['guid']}")
        playwright.expect(page.get_by_role("heading", level=1)).to_have_text(content["name"])


def test_it_is_readable_in_the_dark_and_on_a_narrow_screen(page: Any, content: dict[str, Any], tmp_path: Path) -> None:
    page.goto(f"/connect/apps/{content['guid']}")
    light = picture(page, "light", tmp_path)
    page.emulate_media(color_scheme="dark")
    assert picture(page, "dashboard-dark", tmp_path) != light
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert contrast(page, "body") > 7
        assert contrast(page, ".badge") > 4
    page.set_viewport_size({"width": 380, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def contrast(page: Any, selector: str) -> float:
    """WCAG's ratio of the element's text to its ground."""
    pairs = page.evaluate(
        "selector => { const style = getComputedStyle(document.querySelector(selector));"
        " return [style.color, style.backgroundColor] }",
        selector,
    )
    light, dark = sorted((luminance(text) for text in pairs), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
