"""Layers laid over each other, and where each value came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from .values import App, Config, Layer, TestSettings, VerifySettings

#: Tables that are merged key by key; every other value replaces the one below it.
TABLES = ("test", "verify", "process", "hooks")


def merge(layers: Iterable[Layer]) -> dict[str, Any]:
    """The values of all layers, the later ones stronger."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.values.items():
            merged[key] = {**merged.get(key, {}), **value} if key in TABLES and isinstance(value, Mapping) else value
    return merged


def build_app(values: Mapping[str, Any], *, name: str, target: str | None) -> App:
    """An `App` from merged values; what is absent keeps its default."""
    tables = {
        "test": TestSettings(**values.get("test", {})),
        "verify": VerifySettings(**values.get("verify", {})),
        "process": tuple(sorted(values.get("process", {}).items())),
        "hooks": tuple(sorted(values.get("hooks", {}).items())),
    }
    return App(name=name, target=target, **{**values, **tables})


def explain(config: Config, app: App) -> list[tuple[str, object, str]]:
    """Each effective value of an app of `config`: its dotted key, the value, the table that says so or `default`."""
    sources: dict[str, str] = {}
    for layer in config.layers.get((app.name, app.target), ()):
        for key, value in layer.values.items():
            below = [f"{key}.{inner}" for inner in value] if key in TABLES and isinstance(value, Mapping) else [key]
            sources.update({each: layer.origin(each) for each in below})
    return [(key, value, sources.get(key, "default")) for key, value in _flat(app) if key not in {"name", "target"}]


def _flat(app: App) -> Iterator[tuple[str, object]]:
    for field in fields(app):
        value = getattr(app, field.name)
        if isinstance(value, TestSettings | VerifySettings):
            yield from ((f"{field.name}.{inner.name}", getattr(value, inner.name)) for inner in fields(value))
        elif field.name in ("process", "hooks"):
            yield from ((f"{field.name}.{key}", inner) for key, inner in value)
        else:
            yield field.name, value
