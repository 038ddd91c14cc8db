"""When a page is healthy: the rules, and how long we wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connect_tasks.configuration import VerifySettings
from connect_tasks.secret import Secret
from connect_tasks.server import page_health
from connect_tasks.server.connect import Connect, Page
from connect_tasks.server.health import complaint
from connect_tasks.server.page_health import wait_until_healthy
from connect_tasks.server.server_address import ServerAddress

from ..pipeline.fronts import Handler, Seen, front, say


def page(status: int = 200, text: str = "", url: str = "http://h/content/g/", **more: Any) -> Page:
    return Page(url=url, status=status, text=text, headers=more.pop("headers", {}), **more)


@pytest.mark.parametrize(
    ("seen", "wanted", "wrong"),
    [
        (page(), {}, None),
        (page(404), {}, None),  # an API may well have nothing at its root
        (page(499), {}, None),
        (page(500), {}, "status 500"),
        (page(204), {"status": (200, 204)}, None),
        (page(404), {"status": (200,)}, "status 404 instead of 200"),
        (page(500), {"status": (500,)}, None),
        (page(text="all is ok"), {"contains": "ok"}, None),
        (page(text="An error has occurred"), {"contains": "ok"}, 'does not contain "ok"'),
        (page(text="version 12"), {"matches": r"version \d+$"}, None),
        (page(text="version x"), {"matches": r"version \d+$"}, r"does not match /version \d+$/"),
        (page(headers={"X-Version": "2"}), {"headers": (("x-version", "2"),)}, None),
        (
            page(headers={"X-Version": "1"}),
            {"headers": (("x-version", "2"),)},
            "header x-version is '1' instead of '2'",
        ),
        (page(text='{"db": {"up": true}}'), {"json": (("db.up", True),)}, None),
        (page(text='{"db": {}}'), {"json": (("db.up", True),)}, "JSON field db.up is absent"),
        (page(text='{"db": {"up": 1}}'), {"json": (("db.up", True),)}, "JSON field db.up is 1 instead of True"),
        (page(text='{"n": 1}'), {"json": (("n", 1.0),)}, None),
        (page(text="<html>"), {"json": (("db.up", True),)}, "the page is not JSON"),
        (page(text="[" * 100_000), {"json": (("db.up", True),)}, "the page is not JSON"),
        (page(redirected_to="https://sso.example.com/login?secret=1"), {}, "https://sso.example.com/login: a sign-on"),
        (page(url="http://h/__login__?url=x", text="ok"), {"contains": "ok"}, "a sign-on page stands before the app"),
    ],
)
def test_complaint(seen: Page, wanted: dict[str, Any], wrong: str | None) -> None:
    found = complaint(seen, VerifySettings(**wanted))
    assert found == wrong or (wrong is not None and found is not None and wrong in found)
    assert "secret" not in (found or "")


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_health, "PAUSE", 0.01)
    monkeypatch.setattr(page_health, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def answers() -> Iterator[Callable[..., tuple[Connect, str, Seen]]]:
    """A page that answers by a list of statuses, the last of them for good."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def opened(*statuses: int) -> tuple[Connect, str, Seen]:
            left = list(statuses)

            def answer(handler: Handler) -> None:
                say(handler, left.pop(0) if len(left) > 1 else left[0], "hello")

            url, seen = stack.enter_context(front(answer))
            return Connect(ServerAddress(url=url, key=Secret("a-key-of-a-test"), source="the test")), url, seen

        yield opened


@pytest.mark.parametrize(
    ("statuses", "wanted", "wrong", "visits"),
    [
        ((200,), {}, None, 1),
        ((200,), {"streak": 3}, None, 3),
        ((200, 500, 200), {"streak": 2}, None, 4),
        ((502, 503, 504, 502, 503, 200), {}, None, 6),  # an app that starts
        ((500, 200), {}, None, 2),  # one sick answer may pass
        ((500,), {}, "status 500", 3),
        ((500,), {"attempts": 1}, "status 500", 1),
        ((404,), {"status": (200,), "attempts": 2}, "status 404 instead of 200", 2),
    ],
)
def test_wait(
    answers: Callable[..., tuple[Connect, str, Seen]],
    statuses: tuple[int, ...],
    wanted: dict[str, Any],
    wrong: str | None,
    visits: int,
) -> None:
    connect, url, seen = answers(*statuses)
    assert wait_until_healthy(connect, url, VerifySettings(timeout=20, **wanted)) == wrong
    assert len(seen.requests) == visits


def test_an_app_that_never_starts_is_given_up(answers: Callable[..., tuple[Connect, str, Seen]]) -> None:
    connect, url, seen = answers(503)
    started = time.monotonic()
    assert wait_until_healthy(connect, url, VerifySettings(timeout=1)) == "status 503"
    assert time.monotonic() - started < 30
    assert len(seen.requests) > 3


def test_a_page_that_hangs_is_given_up() -> None:
    with front(lambda _: time.sleep(3)) as (url, _):
        connect = Connect(ServerAddress(url=url, key=Secret("a-key-of-a-test"), source="the test"))
        assert wait_until_healthy(connect, url, VerifySettings(timeout=1)) == "the server did not answer in time"
