"""The sample's own tests: `release` runs them on an export of the tree that ships."""

from __future__ import annotations

import pytest
from app import app
from flask.testing import FlaskClient


@pytest.fixture
def client() -> FlaskClient:
    return app.test_client()


def test_page_links_follow_the_mount(client: FlaskClient) -> None:
    page = client.get("/", environ_overrides={"SCRIPT_NAME": "/content/42"})
    assert page.status_code == 200
    assert 'href="/content/42/static/style.css"' in page.text
    assert 'href="/content/42/hello/Ada"' in page.text


def test_static_file_is_served(client: FlaskClient) -> None:
    assert client.get("/static/style.css").mimetype == "text/css"


def test_names_are_escaped(client: FlaskClient) -> None:
    assert "<script>" not in client.get("/hello/<script>").text


def test_api(client: FlaskClient) -> None:
    assert client.get("/api/greetings?name=Ada").json == {"greeting": "Hello, Ada!", "mounted_at": ""}
    assert client.post("/api/sum", json={"numbers": [1, 2, 3.5]}).json == {"sum": 6.5}
    assert client.post("/api/sum", json={"numbers": "no"}).status_code == 400


def test_health(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "ok"}
