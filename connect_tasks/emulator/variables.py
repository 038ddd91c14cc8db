"""Environment variables of content. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connect_tasks.emulator.problems import Problem

# What the server itself sets. posit-sdk's restart() sets _CONNECT_RESTART_TMP_<time>, which is not among them.
RESERVED: Final = frozenset({"POSIT_PRODUCT", "RSTUDIO_PRODUCT"})


def changed_variables(before: Mapping[str, str], body: Any) -> dict[str, str]:
    """`before` with the pairs of a PATCH; null deletes. Raises Problem 121, 108, 149."""
    if not isinstance(body, list):
        raise Problem(121, "The body is not a list of {name, value}.")
    after, seen = dict(before), set()
    for item in body:
        name, value = _pair(item)
        if name in seen:
            raise Problem(149, f"{name} is named twice.")
        seen.add(name)
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def _pair(item: Any) -> tuple[str, str | None]:
    name = item.get("name") if isinstance(item, dict) else None
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name or "=" in name or not name.isprintable() or name != name.strip():
        raise Problem(121, "A variable has a name without '=', spaces around it or control characters.")
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise Problem(121, f"The value of {name} is not a string.")
    if name in RESERVED or name.startswith("CONNECT_"):
        raise Problem(108, f"{name} is reserved for the server.")
    return name, value
