"""The configuration as frozen values. Nothing here reads a file or knows TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """How the app's own tests are run. `command` None: pytest where tests are found. `timeout` in seconds.

    `paths` are relative to the repository's root, so that tests beside the app can be named.
    """

    __test__ = False  # the name is the field's; pytest must not collect it

    command: tuple[str, ...] | None = None
    group: str | None = None
    paths: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: float = 1800.0


@dataclass(frozen=True, kw_only=True)
class VerifySettings:
    """What a healthy page is. `status` empty: any below 500. Times in seconds."""

    path: str = "/"
    status: tuple[int, ...] = ()
    contains: str | None = None
    matches: str | None = None
    json: tuple[tuple[str, object], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 60.0
    attempts: int | None = None
    streak: int = 1


@dataclass(frozen=True, kw_only=True)
class App:
    """One app on one target: every default merged, nothing left to look up.

    Paths are POSIX. `path`, `shared` and `test.paths` are relative to the repository's root, and `path` is "." for the
    root itself; `dependencies`, `include`, `exclude` and `allow` are relative to the app's directory.
    """

    name: str
    path: str = "."
    mode: str | None = None
    entrypoint: str | None = None
    python: str | None = None
    dependencies: str | None = None
    freeze: str = "resolve"
    platform: str = "linux"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    test: TestSettings = field(default_factory=TestSettings)
    verify: VerifySettings = field(default_factory=VerifySettings)
    env: tuple[str, ...] = ()
    # the content item
    guid: str | None = None
    content_name: str | None = None
    title: str | None = None
    description: str | None = None
    access_type: str | None = None
    vanity: str | None = None
    process: tuple[tuple[str, int | float], ...] = ()
    # where it goes
    target: str | None = None
    server: str | None = None
    repository: str | None = None
    remote: str = "origin"
    branch: str | None = None
    deploy_branch: str | None = None
    polling: bool = False
    # commands around stages: "before_deploy" and the like, each with its argument lists
    hooks: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()
    # git
    shared: tuple[str, ...] = ()
    commits: str = "together"
    message: str | None = None
    skip_ci: bool = False
    tag: str | None = None
    # limits, in seconds or bytes
    push_timeout: float = 60.0
    deploy_timeout: float = 1800.0
    run_timeout: float = 7200.0
    max_file_size: int = 100 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one table says, read and checked, before it is merged. `source` names the table for people.

    `values` maps the table's keys to values; `test`, `verify` and `process` are mappings of their own. `lines` maps
    dotted keys to their lines in the file, as far as they are known.
    """

    source: str
    values: Mapping[str, object]
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def origin(self, key: str) -> str:
        """Where a key is said, for people: `pyproject.toml:7 [tool.connect-tasks]`."""
        line = self.lines.get(key) or self.lines.get(key.partition(".")[0])
        file, bracket, table = self.source.partition(" [")
        return f"{file}:{line}{bracket}{table}" if line else self.source


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a repository declares: every combination of app and target, merged and checked.

    `apps` are the apps without a target, in the order of the file; `on_targets` are the same apps on each target that
    they know, `App.target` set. `layers` keeps for `explain` where values came from, weakest first, keyed by (app's
    name, target); it takes no part in comparison.
    """

    root: Path
    apps: tuple[App, ...]
    targets: tuple[str, ...] = ()
    on_targets: tuple[App, ...] = ()
    layers: Mapping[tuple[str, str | None], tuple[Layer, ...]] = field(default_factory=dict, repr=False, compare=False)
