"""Which app and which target a verb works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from connect_tasks.errors import AppUnknown, TargetUnknown

from .kinds import shown
from .values import App, Config

FILE = "pyproject.toml"
#: Stand in for an absent `--app` and `--target`: nox hands its arguments to every session, a CI job its environment.
APP, TARGET = "CONNECT_TASKS_APP", "CONNECT_TASKS_TARGET"


def resolve(config: Config, app: str | None, target: str | None, environ: Mapping[str, str]) -> App:
    """The one app that a verb works on. `app` None: the only one there is; `target` None: the values of no target.

    Raises AppUnknown (also when there are several and none is named) and TargetUnknown.
    """
    name = app or environ.get(APP)
    if not name and len(config.apps) > 1:
        message = f"there are several apps: {_listed([each.name for each in config.apps])}"
        raise AppUnknown(message, where=FILE, hint=f"add --app {config.apps[0].name}")
    return _select(config, name or config.apps[0].name, target or environ.get(TARGET))


def resolve_all(config: Config, target: str | None, environ: Mapping[str, str]) -> tuple[App, ...]:
    """Every app on that target, in the order of the file.

    Raises TargetUnknown also when only some apps know it: none is shipped elsewhere in silence.
    """
    named = environ.get(APP)
    names = [named] if named else [app.name for app in config.apps]
    return tuple(_select(config, name, target or environ.get(TARGET)) for name in names)


def resolve_every(config: Config, app: str | None, environ: Mapping[str, str]) -> tuple[App, ...]:
    """Every app, or the named one, on each target that it knows, for verbs that only look; without targets as it is.

    Raises AppUnknown.
    """
    name = app or environ.get(APP)
    chosen = [_select(config, name, None)] if name else config.apps
    known = {each.name: [there for there in config.on_targets if there.name == each.name] for each in chosen}
    return tuple(place for each in chosen for place in known[each.name] or [each])


def _select(config: Config, name: str, target: str | None) -> App:
    plain = next((app for app in config.apps if app.name == name), None)
    if plain is None:
        names = [app.name for app in config.apps]
        message = f"there is no app {shown(name)}; the apps are: {_listed(names)}"
        raise AppUnknown(message, where=FILE, hint=f"--app {_nearest(name, names)}")
    if not target:
        return plain
    there = [app for app in config.on_targets if app.target == target]
    if found := next((app for app in there if app.name == name), None):
        return found
    if there:
        hint = f"add --app {there[0].name}, or the table [tool.connect-tasks.targets.{target}]"
        raise TargetUnknown(f"app {name} has no target {target}", where=FILE, hint=hint)
    if not config.targets:
        hint = "leave --target out, or add a table [tool.connect-tasks.targets.NAME]"
        raise TargetUnknown(f"there is no target {shown(target)}; none is declared", where=FILE, hint=hint)
    message = f"there is no target {shown(target)}; the targets are: {_listed(config.targets)}"
    raise TargetUnknown(message, where=FILE, hint=f"--target {_nearest(target, config.targets)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _nearest(word: str, names: Sequence[str]) -> str:
    return (get_close_matches(word[:100], names, n=1, cutoff=0.5) or names)[0]
