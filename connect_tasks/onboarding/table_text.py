"""`[tool.connect-tasks]` for a pyproject.toml: what is there stays byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigurationInvalid
from .app_search import FoundApp

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Table

FILE = "pyproject.toml"
#: Pages that are healthy at any status below 500 need no `verify`.
_WHERE = (
    "# Which server: a URL here, or the environment variable CONNECT_SERVER; the key only from CONNECT_API_KEY.",
    '# server = "https://connect.example.com"',
)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What is the same for all apps; None: the default is right."""

    remote: str | None = None
    branch: str | None = None
    server: str | None = None


def with_table(text: str, apps: Sequence[FoundApp], shared: Shared, python: str | None = None) -> str:
    """pyproject.toml with the table at its end. `python`: the version, where no file can say it.

    Raises `ConfigurationInvalid` where `tool` is written in a way that nothing can be added to.
    """
    import tomli
    import tomlkit

    added = tomlkit.dumps(_tables(apps, shared, python))
    end = "\r\n" if "\r\n" in text else "\n"
    base = text if not text or text.endswith(("\n", "\r")) else text + end
    whole = base + (end if base.strip() else "") + added.replace("\n", end)
    try:
        tomli.loads(whole)
    except tomli.TOMLDecodeError as error:
        hint = f"add by hand: {' '.join(added.split())}"
        raise ConfigurationInvalid(f"no table can be added to {FILE}: {error}", where=FILE, hint=hint) from None
    return whole


def _tables(apps: Sequence[FoundApp], shared: Shared, python: str | None) -> TOMLDocument:
    import tomlkit

    document = tomlkit.document()
    tool, table = tomlkit.table(is_super_table=True), tomlkit.table()
    for line in _WHERE if shared.server is None else ():
        table.add(tomlkit.comment(line.removeprefix("# ")))
    for key in ("server", "remote", "branch"):
        if (value := getattr(shared, key)) is not None:
            table.add(key, value)
    if python is not None:
        table.add("python", python)
    if len(apps) == 1:
        _fill(table, apps[0])
    else:
        inner = tomlkit.table(is_super_table=True)
        for app in apps:
            one = tomlkit.table()
            _fill(one, app)
            inner.add(app.name, one)
        table.add("apps", inner)
    tool.add("connect-tasks", table)
    document.add("tool", tool)
    return document


def _fill(table: Table, app: FoundApp) -> None:
    """What was found is written down, so that a file that comes later does not change it."""
    import tomlkit

    if app.path != ".":
        table.add("path", app.path)
    if not app.inherited:
        table.add("mode", app.mode)
        if app.entrypoint:
            table.add("entrypoint", app.entrypoint)
    if app.unpinned:
        table.add("freeze", "pin")
    if app.health:
        verify = tomlkit.inline_table()
        verify.update({"path": app.health, "status": 200})
        table.add("verify", verify)
