"""What other tools say about an app, as defaults below our own table: `[tool.rsconnect]`, Posit Publisher's files.

Only what we would use is looked at: keys that we don't know are theirs, a value that our own table overrides is not
checked, and a configuration of Publisher for R content says nothing to us.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from connect_tasks.errors import ConfigurationInvalid, Problem

from .keys import TARGET_KEYS
from .kinds import Place, attempt, describe
from .toml_text import Document, dotted
from .values import Layer

#: Reads a file of the repository by its POSIX path; see `toml_text.read_document`.
Read = Callable[[str], "Document | None"]
#: Our key -> (their key, their value in our words).
Said = dict[str, tuple[str, object]]

#: `type` of a Publisher configuration -> our mode.
PUBLISHER_MODES = {
    "html": "html",
    "jupyter-notebook": "notebook",
    "jupyter-voila": "voila",
    "python-bokeh": "bokeh",
    "python-dash": "dash",
    "python-fastapi": "fastapi",
    "python-flask": "flask",
    "python-gradio": "gradio",
    "python-panel": "panel",
    "python-shiny": "shiny",
    "python-streamlit": "streamlit",
    "quarto": "quarto",
    "quarto-shiny": "quarto-shiny",
    "quarto-static": "quarto",
}
# For these Publisher's `entrypoint` is a file, while ours is `module:object`; only `entrypointObjectRef` says the same.
_OBJECT_MODES = {"flask", "fastapi", "dash", "shiny", "gradio"}


def read_interop(root: Path, path: str, read: Read, ours: Collection[str]) -> tuple[tuple[Layer, ...], list[Problem]]:
    """The layers of other tools for the app in `path`, weakest first, and what is wrong with them.

    `ours` are the keys that our own tables set.
    """
    prefix = "" if path == "." else f"{path}/"
    layers: list[Layer] = []
    problems: list[Problem] = []
    # With several configurations of Publisher we can't know which one is meant.
    publisher = sorted(file.name for file in (root / path / ".posit" / "publish").glob("*.toml"))
    sources = [(f"{prefix}.posit/publish/{name}", (), _publisher) for name in publisher if len(publisher) == 1]
    for file, place, translate in (*sources, (f"{prefix}pyproject.toml", ("tool", "rsconnect"), _rsconnect)):
        try:
            document = read(file)
        except ConfigurationInvalid as problem:
            problems.append(problem)
            continue
        table = document.table(place) if document else None
        if document is None or table is None:
            continue
        if not isinstance(table, dict):
            problems.append(document.problem(place, f"must be a table, not {describe(table)}"))
            continue
        said = {key: said for key, said in translate(table).items() if key not in ours}
        values, found = _checked(document, place, said)
        problems += found
        if values:
            theirs = document.lines_below(place)
            lines = {key: theirs[word] for key, (word, _) in said.items() if word in theirs}
            source = f"{file} [{dotted(place)}]" if place else file
            layers.append(Layer(source=source, values=values, lines=lines))
    return tuple(layers), problems


def _checked(document: Document, place: Place, said: Said) -> tuple[dict[str, object], list[Problem]]:
    values: dict[str, object] = {}
    problems: list[Problem] = []
    for key, (theirs, value) in said.items():
        read, complaints = attempt(TARGET_KEYS[key].kind, value)
        hint = f"correct it, or set {key} in [tool.connect-tasks]"
        problems += [document.problem((*place, theirs, *below), why, hint) for below, why in complaints]
        if not complaints:
            values[key] = read
    return values, problems


def _rsconnect(table: dict[str, object]) -> Said:
    """The table that `rsconnect quickstart` writes and `rsconnect deploy pyproject` reads."""
    words = {"mode": "app_mode", "entrypoint": "entrypoint", "title": "title"}
    return {key: (theirs, table[theirs]) for key, theirs in words.items() if theirs in table}


def _publisher(table: dict[str, object]) -> Said:
    said: Said = {key: (key, table[key]) for key in ("title", "description") if table.get(key)}
    theirs = table.get("type")
    mode = PUBLISHER_MODES.get(theirs) if isinstance(theirs, str) else None
    if mode is None:
        return said
    said["mode"] = ("type", mode)
    if "entrypointObjectRef" in table:
        said["entrypoint"] = ("entrypointObjectRef", table["entrypointObjectRef"])
    elif "entrypoint" in table and mode not in _OBJECT_MODES:
        said["entrypoint"] = ("entrypoint", table["entrypoint"])
    return said
