"""From pyproject.toml to `Config`: tables are read into layers, layers are laid over each other for every app and
target, and all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from connect_tasks.errors import ConfigurationInvalid, ConfigurationMissing, Problem, raise_all

from . import rules
from .checks import check_app, check_apps
from .interop import Read, read_interop
from .keys import APP_KEYS, TARGET_KEYS
from .kinds import Key, Place, describe, read_table
from .merging import build_app, merge
from .toml_text import Document, dotted, read_document
from .values import App, Config, Layer

FILE = "pyproject.toml"
TABLE: Place = ("tool", "connect-tasks")
#: A file, and what it holds where it stands beside an app and has that app's table: see `load`.
TABLE_OF_AN_APP = (FILE, "[tool.connect-tasks")
#: Keys that no two apps can share.
OF_ONE_APP = frozenset({"path", "guid", "content_name", "vanity"})
#: Where an app without a declared entrypoint usually is: the names that rsconnect-python and Connect try.
USUAL_MODULES = ("app", "application", "main", "api")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What stands in `[tool.connect-tasks]` itself, for every app."""

    layer: Layer
    targets: Mapping[str, Layer]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """An app's table as it was read: where it stands, what it says, what it says for each target."""

    name: str
    document: Document
    place: Place
    layer: Layer
    targets: Mapping[str, Layer]


def load(root: Path, directories: Iterable[str] = ()) -> Config:
    """The configuration of the repository at `root`.

    Reads root/pyproject.toml and, for the defaults of other tools, the pyproject.toml and .posit/publish/*.toml of each
    app's directory. Each of `directories` (POSIX, below the root) may hold a pyproject.toml with a table of its own:
    that of the app in it, unless the repository's own is that of one app (see `_is_of_an_app`). Raises
    ConfigurationMissing; ConfigurationInvalid, or several of them in a Problems.
    """
    read = _reader(root)
    document = read(FILE)
    inner = [read(f"{directory}/{FILE}") for directory in directories]
    nested = [each for each in inner if each is not None and each.table(TABLE) is not None]
    if document is not None and _is_of_an_app(document, root):
        nested = []  # others below it are none of its concern
    if not nested and (document is None or document.table(TABLE) is None):
        message = "there is no [tool.connect-tasks] table" + ("" if document else f", and no {FILE}")
        hint = f"nox -s init, or add the line [tool.connect-tasks] to {FILE}"
        raise ConfigurationMissing(message, where=FILE, hint=hint)
    if document is not None and nested and (undecided := _undecided(document, root, nested)):
        raise undecided
    problems: list[Problem] = []
    document = document or Document(FILE, "", {})
    shared, apps = _read_root(document, problems)
    apps = _distinct([*apps, *(_read_nested(each, problems) for each in nested)], problems)
    config = _combine(root, read, shared, apps or [_only_app(document, shared)], problems)
    raise_all(problems)
    return config


def for_path(root: Path, directory: str | Path) -> Config:
    """The app in `directory` (absolute, or relative to `root`) where there is no configuration: `--path DIR`.

    Defaults of other tools count, and are passed over where they are wrong: a verb that reads other people's
    repositories must not stop for them. Raises ConfigurationInvalid when it is no directory of the repository.
    """
    hint = "give --path a directory of this repository"
    try:
        whole = (root / directory).resolve()
    except (OSError, RuntimeError) as error:  # a loop of symbolic links is a RuntimeError until Python 3.13
        raise ConfigurationInvalid("--path can't be followed", where=str(directory), hint=hint) from error
    if not whole.is_relative_to(root.resolve()):
        raise ConfigurationInvalid("--path leads out of the repository", where=str(directory), hint=hint)
    if not whole.is_dir():
        raise ConfigurationInvalid("--path is not a directory", where=str(directory), hint=hint)
    path = whole.relative_to(root.resolve()).as_posix()
    layers, _ = read_interop(root, path, _reader(root), ())
    name = _first_name(_last_part(path), root.resolve().name)
    app = build_app({**merge(layers), "path": path}, name=name, target=None)
    return Config(root=root, apps=(app,), layers=MappingProxyType({(name, None): layers}))


def app_names(root: Path, directories: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the apps, for `nox -l`: each file is parsed, nothing is checked, and what is wrong is left out.

    A noxfile must load whatever the tables hold; the verbs say what is wrong with them. `directories` as of `load`.
    """
    read = partial(_read_if_whole, root)
    document = read(FILE)
    table = document.table(TABLE) if document else None
    alone = document is not None and _is_of_an_app(document, root)
    inner = [] if alone else [read(f"{directory}/{FILE}") for directory in directories]
    nested = [_nested_name(each) for each in inner if each is not None and each.table(TABLE) is not None]
    apps = table.get("apps", {}) if isinstance(table, dict) else {}
    if document is not None and isinstance(table, dict) and not apps and not nested:
        return (_first_name(_last_part(table.get("path")), document.table(("project", "name"))),)
    names = [name for name in apps if rules.name(name) is None] if isinstance(apps, dict) else []
    return tuple(dict.fromkeys([*names, *nested]))


def _read_if_whole(root: Path, file: str) -> Document | None:
    try:
        return read_document(root, file)
    except ConfigurationInvalid:
        return None


def _is_of_an_app(document: Document, root: Path) -> bool:
    """Whether the repository's own table is that of an app: it has a key that no two can share, or what it declares
    lies beside it. Else, where tables of apps stand below it, it holds what they share."""
    table = document.table(TABLE)
    if not isinstance(table, dict) or "apps" in table:
        return False
    if not table.keys().isdisjoint(OF_ONE_APP) or (root / "manifest.json").is_file():
        return True
    entrypoint = table.get("entrypoint")
    return isinstance(entrypoint, str) and rules.plain(entrypoint) is None and _holds_module(root, entrypoint)


def _holds_module(root: Path, entrypoint: str) -> bool:
    path = PurePosixPath(entrypoint.partition(":")[0].replace(".", "/"))
    return any((root / path.parent / name).is_file() for name in (f"{path.name}.py", f"{path.name}/__init__.py"))


def _undecided(document: Document, root: Path, nested: list[Document]) -> ConfigurationInvalid | None:
    """An app is there, and nothing says whether the table is its own or what the others share: none may vanish."""
    table = document.table(TABLE)
    if not isinstance(table, dict) or not table.keys().isdisjoint({"apps", "entrypoint"}):
        return None
    there = next((module for module in USUAL_MODULES if _holds_module(root, module)), None)
    if there is None:
        return None
    message = f"is of the app in {there}.py, or holds what others share, such as {nested[0].file}: it does not say"
    hint = 'add path = "." for the app in the root alone, or an empty [tool.connect-tasks.apps] for those below'
    return document.problem(TABLE, message, hint)


def _reader(root: Path) -> Read:
    """Each file is read once, though our table and another tool's may stand in the same one."""
    return cache(lambda file: read_document(root, file))


def _first_name(*words: object) -> str:
    """A name for an app whose table bears none: the first word that will do.

    The repository's directory is no candidate where a configuration exists: a clone elsewhere must give the same bytes.
    """
    return next((word for word in words if isinstance(word, str) and rules.name(word) is None), "app")


def _nested_name(document: Document) -> str:
    """Of the app whose table stands in its own directory."""
    return _first_name(document.table(("project", "name")), PurePosixPath(document.file).parent.name)


def _last_part(path: object) -> str:
    return PurePosixPath(path).name if isinstance(path, str) else ""


def _only_app(document: Document, shared: Shared) -> Declared:
    """The one app of a table without `apps`: the shared layer says all about it."""
    name = _first_name(_last_part(shared.layer.values.get("path")), document.table(("project", "name")))
    return Declared(name=name, document=document, place=TABLE, layer=Layer(source="", values={}), targets={})


def _read_root(document: Document, problems: list[Problem]) -> tuple[Shared, list[Declared]]:
    shared = _layer(document, TABLE, APP_KEYS, problems, ("apps", "targets"))
    apps = [
        Declared(
            name=name,
            document=document,
            place=(*TABLE, "apps", name),
            layer=_layer(document, (*TABLE, "apps", name), APP_KEYS, problems, ("targets",)),
            targets=_targets(document, (*TABLE, "apps", name), problems),
        )
        for name in _names(document, (*TABLE, "apps"), problems)
    ]
    return Shared(layer=shared, targets=_targets(document, TABLE, problems)), apps


def _read_nested(document: Document, problems: list[Problem]) -> Declared:
    """The app whose table stands in the pyproject.toml of its own directory: `path` is settled by that."""
    path = PurePosixPath(document.file).parent.as_posix()
    layer = _layer(document, TABLE, TARGET_KEYS, problems, ("targets",))
    return Declared(
        name=_nested_name(document),
        document=document,
        place=TABLE,
        layer=replace(layer, values={**layer.values, "path": path}),
        targets=_targets(document, TABLE, problems),
    )


def _distinct(apps: list[Declared], problems: list[Problem]) -> list[Declared]:
    """The apps by name, the first of each: tables in several files can't know of each other."""
    by_name: dict[str, Declared] = {}
    for app in apps:
        first = by_name.setdefault(app.name, app)
        if first is not app:
            message = f"is an app named {app.name}, as in {first.document.file}"
            hint = f"give the projects names of their own: [project] name in {app.document.file}"
            problems.append(app.document.problem(app.place, message, hint))
    return list(by_name.values())


def _combine(root: Path, read: Read, shared: Shared, apps: list[Declared], problems: list[Problem]) -> Config:
    """Every app without a target and on each target it knows.

    Weakest first: other tools, the shared table, its targets.T, the app's table, the app's targets.T.
    """
    combined: list[App] = []
    layers: dict[tuple[str, str | None], tuple[Layer, ...]] = {}
    targets = tuple(dict.fromkeys([*shared.targets, *(target for app in apps for target in app.targets)]))
    nothing = Layer(source="", values={})
    for app in apps:
        ours = {**shared.layer.values, **app.layer.values}
        interop, found = read_interop(root, str(ours.get("path", ".")), read, ours)
        problems += found
        known = [target for target in targets if target in shared.targets or target in app.targets]
        for target in (None, *known):
            shared_target, own_target = (each.targets.get(target or "", nothing) for each in (shared, app))
            stack = (*interop, shared.layer, shared_target, app.layer, own_target)
            layers[app.name, target] = tuple(layer for layer in stack if layer.values)
            combined.append(build_app(merge(stack), name=app.name, target=target))
            problems += check_app(combined[-1], app.document, app.place)
    # An app whose path was refused stands nowhere, not in the root with the others of its kind.
    placed = [app for app in apps if "path" in app.layer.values or app.document.table((*app.place, "path")) is None]
    places = {app.name: (app.document, app.place) for app in placed}
    problems += check_apps([app for app in combined if app.name in places], places)
    return Config(
        root=root,
        apps=tuple(app for app in combined if app.target is None),
        targets=targets,
        on_targets=tuple(app for app in combined if app.target is not None),
        layers=MappingProxyType(layers),
    )


def _layer(
    document: Document, place: Place, keys: Mapping[str, Key], problems: list[Problem], tables: tuple[str, ...] = ()
) -> Layer:
    """What the table at `place` says; `tables` inside it are read by others."""
    raw = document.table(place)
    own = {key: value for key, value in raw.items() if key not in tables} if isinstance(raw, dict) else raw
    values, complaints = read_table({} if own is None else own, keys, tables)
    for below, complaint in complaints:
        key = str(below[0]) if below else ""
        hint = f"write for instance: {key} = {keys[key].example}" if key in keys else None
        if key == "path" and key not in keys:
            complaint = "is settled by the app's place in the repository and can't be set here"  # noqa: PLW2901
        problems.append(document.problem((*place, *below), complaint, hint))
    source = f"{document.file} [{dotted(place)}]"
    return Layer(source=source, values=values, lines=document.lines_below(place))


def _targets(document: Document, place: Place, problems: list[Problem]) -> dict[str, Layer]:
    names = _names(document, (*place, "targets"), problems)
    return {name: _layer(document, (*place, "targets", name), TARGET_KEYS, problems) for name in names}


def _names(document: Document, place: Place, problems: list[Problem]) -> list[str]:
    """The names of the tables at `place`, which may be absent."""
    tables = document.table(place)
    if tables is None:
        return []
    if not isinstance(tables, dict):
        problems.append(document.problem(place, f"must be a table of tables, not {describe(tables)}"))
        return []
    wrong = {name: complaint for name in tables if (complaint := rules.name(name))}
    problems += [document.problem((*place, name), complaint) for name, complaint in wrong.items()]
    return [name for name in tables if name not in wrong]
