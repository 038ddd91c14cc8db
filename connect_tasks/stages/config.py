"""`config`: the values that count, and where each of them comes from. Reads, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ..configuration import TABLE_OF_AN_APP, App, explain, for_path, load
from ..content.candidate import take_candidate
from ..errors import Problem
from ..outcome import Report, recorded
from ..pipeline.preparation import detect_entrypoint, find_source, python_requirement
from ..server.clone_address import clone_address
from ..server.server_address import KEY, find_server
from ..server.server_survey import content_name
from ..world import World


@dataclass(frozen=True, kw_only=True)
class Effective:
    """One value: its dotted key, what it is (None: nothing is set), who says so."""

    key: str
    value: object
    source: str

    def as_json(self) -> dict[str, object]:
        return {"key": self.key, "value": self.value, "source": self.source}

    def __str__(self) -> str:
        value = "-" if self.value is None else json.dumps(self.value, ensure_ascii=False, default=str)
        return f"{f'{self.key} = {value}':<58} # {self.source}"


def config(app: App, world: World, report: Report) -> None:
    """Print a line for each value; one that no file says is found where the verbs would find it."""
    git, options = world.git, world.options
    with recorded(report, "config"):
        known = (
            load(git.root, git.directories_with(*TABLE_OF_AN_APP))
            if options.path is None
            else for_path(git.root, app.path)
        )
        found = dict(_found(app, world))
        values = [
            found.get(key, Effective(key=key, value=value, source=source))
            if value is None
            else Effective(key=key, value=value, source=source)
            for key, value, source in explain(known, app)
        ]
        values.append(_key(app, world))
        report.state = {"values": [value.as_json() for value in values]}
    world.console.line(f"   {app.name} on {app.target}" if app.target else f"   {app.name}")
    for value in values:
        world.console.line(f"   {value}")


def _key(app: App, world: World) -> Effective:
    """Whether there is one; never which."""
    try:
        address = find_server(app, world.environ)
    except Problem as problem:
        return Effective(key="key", value=None, source=problem.message)
    named = KEY if world.environ.get(KEY, "").strip() == address.key.reveal() else address.source
    return Effective(key="key", value="is set", source=named)


def _found(app: App, world: World) -> Iterator[tuple[str, Effective]]:
    """What is found where the configuration says nothing. What can't be found says why."""
    git = world.git

    def repository() -> tuple[object, str]:
        url = git.remote_url(app.remote)
        if url is None:
            return None, f"there is no remote {app.remote}"
        return clone_address(url), f"made from the address of {app.remote}"

    def server() -> tuple[object, str]:
        address = find_server(app, world.environ)
        return address.url, address.source

    def name() -> tuple[object, str]:
        address, source = (app.repository, "") if app.repository else repository()
        return (content_name(app, str(address)), "made from repository and path") if address else (None, source)

    asked: dict[str, Callable[[], tuple[object, str]]] = {
        "branch": lambda: (git.head().branch, "HEAD"),
        "repository": repository,
        "server": server,
        "content_name": name,
        **_of_candidate(app, world),
    }
    for key, ask in asked.items():
        try:
            value, source = ask()
        except Problem as problem:
            value, source = None, problem.message
        yield key, Effective(key=key, value=value, source=source)


def _unknown(why: str) -> tuple[object, str]:
    return None, why


def _of_candidate(app: App, world: World) -> dict[str, Callable[[], tuple[object, str]]]:
    git = world.git
    try:
        candidate = take_candidate(git, app)
    except Problem as problem:
        return dict.fromkeys(("python", "dependencies"), partial(_unknown, problem.message))

    def python() -> tuple[object, str]:
        requirement = python_requirement(git, app, candidate)
        return requirement.requires, requirement.source

    return {
        "mode": lambda: (detect_entrypoint(git, app, candidate).mode.name, "found in the app's files"),
        "entrypoint": lambda: (detect_entrypoint(git, app, candidate).entrypoint, "found in the app's files"),
        "python": python,
        "dependencies": lambda: (find_source(git, app, candidate).spelling, "found in the app's directory"),
    }
