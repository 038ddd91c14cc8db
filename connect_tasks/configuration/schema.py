"""The JSON Schema of `[tool.connect-tasks]` for editors, in SchemaStore's form of a partial schema of pyproject.toml.

`python -m connect_tasks.configuration.schema` prints it; connect_tasks/schema.json is that output, held equal by test.
It knows kinds, bounds and words. Rules beyond those (paths, refs, URLs) are the reader's: whatever the reader accepts,
the schema accepts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .keys import APP_KEYS, TARGET_KEYS, TEST_KEYS, VERIFY_KEYS
from .kinds import Key
from .values import App, TestSettings, VerifySettings

_NAMES = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


def render_schema() -> dict[str, Any]:
    """The schema as plain data."""
    definitions = {name: _property(name, key) for name, key in APP_KEYS.items()}
    definitions |= {
        "target": _table({name: _reference(name) for name in TARGET_KEYS}),
        "targets": _named("target", "What differs from target to target; chosen by --target NAME."),
        "app": _table({name: _reference(name) for name in (*APP_KEYS, "targets")}),
        "apps": _named("app", "Several apps; the keys beside this table are defaults of all of them."),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://json.schemastore.org/partial-connect-tasks.json",
        "title": "connect_tasks",
        "description": "The release of Python apps to Posit Connect: [tool.connect-tasks] of pyproject.toml.",
        "definitions": dict(sorted(definitions.items())),
        **_table({name: _reference(name) for name in (*APP_KEYS, "targets", "apps")}),
    }


def _property(name: str, key: Key) -> dict[str, Any]:
    """A key of an app, with its default and those of a table's keys."""
    rendered = {"description": key.about, **_copy(key.kind.schema), **_default(_defaults(App), name)}
    inner = {"test": (TEST_KEYS, TestSettings), "verify": (VERIFY_KEYS, VerifySettings)}.get(name)
    if inner:
        keys, settings = inner
        for inner_name in keys:
            rendered["properties"][inner_name].update(_default(_defaults(settings), inner_name))
    return rendered


def _defaults(settings: type) -> Mapping[str, object]:
    return {field.name: field.default for field in fields(settings)}


def _default(defaults: Mapping[str, object], name: str) -> dict[str, object]:
    """A default that says something: absence and emptiness are told by the description."""
    default = defaults.get(name)
    return {"default": default} if isinstance(default, str | int | float) else {}


def _table(properties: Mapping[str, object]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _named(definition: str, about: str) -> dict[str, Any]:
    """A table of tables with names of the user's own."""
    return {
        "description": about,
        "type": "object",
        "propertyNames": {"pattern": _NAMES},
        "additionalProperties": _reference(definition),
    }


def _reference(definition: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{definition}"}


def _copy(schema: object) -> Any:
    if isinstance(schema, Mapping):
        return {key: _copy(value) for key, value in schema.items()}
    return [_copy(value) for value in schema] if isinstance(schema, list | tuple) else schema


if __name__ == "__main__":
    import json
    import sys

    json.dump(render_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
