"""The schema for editors says what the reader does, and covers every field."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import tomli

from connect_tasks.configuration import App, TestSettings, VerifySettings
from connect_tasks.configuration.keys import APP_KEYS, PROCESS_KEYS, TEST_KEYS, VERIFY_KEYS
from connect_tasks.configuration.schema import render_schema


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads((files("connect_tasks") / "schema.json").read_text(encoding="utf-8"))


def accepts(schema: Any, table: str) -> bool:
    return bool(jsonschema.Draft7Validator(schema).is_valid(tomli.loads(table)))


def test_the_file_is_what_the_code_says(schema: Any) -> None:
    hint = "run: python -m connect_tasks.configuration.schema > connect_tasks/schema.json"
    assert schema == render_schema(), hint


def test_it_is_a_schema(schema: Any) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("keys", "settings", "apart"),
    [
        (APP_KEYS, App, {"name", "target"}),
        (TEST_KEYS, TestSettings, set()),
        (VERIFY_KEYS, VerifySettings, set()),
    ],
)
def test_keys_are_the_fields(keys: dict[str, object], settings: type, apart: set[str]) -> None:
    assert set(keys) == {field.name for field in fields(settings)} - apart


def test_every_key_says_what_it_is(schema: Any) -> None:
    properties = dict(schema["definitions"])
    for table in ("test", "verify", "process", "hooks"):
        properties |= {f"{table}.{name}": inner for name, inner in schema["definitions"][table]["properties"].items()}
    for name, definition in properties.items():
        if name not in {"app", "target"}:
            assert definition["description"].endswith("."), name
    assert {f"process.{name}" for name in PROCESS_KEYS} <= set(properties)


@pytest.mark.parametrize(
    "table",
    [
        "",
        'path = "apps/sales"\ntest = { command = "pytest -q" }\nverify = { status = [200, 302] }\n',
        'verify = { status = 200, json = { a = 1, b = true }, headers = { X = "y" } }\n',
        'apps.a.targets.t.branch = "x"\ntargets.t.server = "https://example.com"\n',
        "process = { load_factor = 0.5, min_processes = 0 }\n",
    ],
)
def test_it_accepts(schema: Any, table: str) -> None:
    assert accepts(schema, table)


@pytest.mark.parametrize(
    "table",
    [
        "entrypiont = 'x'",
        "path = 3",
        "test = { command = [] }",
        "verify = { status = '200' }",
        "verify = { statu = 200 }",
        "targets.t.path = 'x'",
        "targets.t.targets.u.branch = 'x'",
        "apps.a.apps.b.path = 'x'",
        "apps.'a b'.path = 'x'",
        "freeze = 'pins'",
        "env = ['A=b']",
        "polling = 1",
        "push_timeout = 0",
        "process = { load_factor = 2 }",
    ],
)
def test_it_refuses(schema: Any, table: str) -> None:
    assert not accepts(schema, table)


def test_defaults_are_told(schema: Any) -> None:
    definitions = schema["definitions"]
    assert definitions["remote"]["default"] == "origin"
    assert definitions["max_file_size"]["default"] == App(name="x").max_file_size
    assert definitions["verify"]["properties"]["timeout"]["default"] == 60
    assert "default" not in definitions["branch"]
