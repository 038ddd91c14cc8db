"""HTML from values. Text is escaped unless it is HTML already, so that no page can forget it."""

from __future__ import annotations

import html
from typing import Final

EMPTY: Final = frozenset({"input", "link", "meta", "br"})


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Child = str | None


def element(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """`element("a", "text", href="/x")`. A trailing underscore and underscores inside become nothing and dashes.

    An attribute of False or None is left out; of True it stands alone.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in EMPTY:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    return str(child) if isinstance(child, Html) else html.escape(child)


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
