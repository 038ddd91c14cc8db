"""`[tool.connect-tasks]` of pyproject.toml as frozen values: one file read, everything that is wrong said at once.

Precedence, weakest first: defaults, what other tools say, the table itself, its `targets.T`, the app's table, the
app's `targets.T`.
"""

from .merging import explain
from .reader import TABLE_OF_AN_APP, app_names, for_path, load
from .selection import TARGET, resolve, resolve_all, resolve_every
from .values import App, Config, Layer, TestSettings, VerifySettings

__all__ = [
    "TABLE_OF_AN_APP",
    "TARGET",
    "App",
    "Config",
    "Layer",
    "TestSettings",
    "VerifySettings",
    "app_names",
    "explain",
    "for_path",
    "load",
    "resolve",
    "resolve_all",
    "resolve_every",
]
