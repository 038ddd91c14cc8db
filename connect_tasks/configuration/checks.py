"""What single values can't show: an app that contradicts itself, apps that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from connect_tasks.errors import Problem

from .kinds import Place
from .toml_text import Document
from .values import App


def check_app(app: App, document: Document, place: Place) -> list[Problem]:
    """What one app on one target says against itself."""
    on = f" (target {app.target})" if app.target else ""
    problems: list[Problem] = []
    if app.deploy_branch is not None and app.deploy_branch == app.branch:
        message = f"is the branch of people too{on}: a deploy branch holds generated commits only"
        hint = f'write for instance: deploy_branch = "deploy/{app.target or app.name}"'
        problems.append(document.problem((*place, "deploy_branch"), message, hint))
    process = dict(app.process)
    if process.get("min_processes", 0) > process.get("max_processes", float("inf")):
        problems.append(document.problem((*place, "process", "min_processes"), f"is more than max_processes{on}"))
    return problems


def check_apps(apps: Iterable[App], places: Mapping[str, tuple[Document, Place]]) -> list[Problem]:
    """What apps say against each other: each has a directory of its own, and a content item of its own on a server."""
    by_path: dict[str, str] = {}
    by_guid: dict[tuple[str | None, str], str] = {}
    found: dict[tuple[str, str, str], str] = {}
    for app in apps:
        if app.target is None:
            other = by_path.setdefault(app.path, app.name)
            if other != app.name:
                found[app.name, "path", other] = f"is the directory of app {other} too: each app needs its own"
        if app.guid is not None:
            other = by_guid.setdefault((app.target, app.guid), app.name)
            if other != app.name:
                found[app.name, "guid", other] = f"is the content of app {other} too: each app needs its own"
    for path, name in by_path.items():
        for parent in () if path == "." else PurePosixPath(path).parents:
            other = by_path.get(str(parent), name)
            if other != name:
                found[name, "path", other] = f"lies inside {parent}, the directory of app {other}"
    return [_problem(*places[name], key, message) for (name, key, _), message in found.items()]


def _problem(document: Document, place: Place, key: str, message: str) -> Problem:
    example = "a directory that no other app is in, contains or shares" if key == "path" else "another GUID, or none"
    return document.problem((*place, key), message, f"give it {example}")
