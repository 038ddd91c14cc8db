"""The app modes that Connect knows, under every name that people use for them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from ..errors import ModeUnknown

#: What stands behind an entrypoint: an object of the WSGI or ASGI kind, an object of a framework's own, a script that
#: the framework runs, a document, a directory of files.
Kind = Literal["wsgi", "asgi", "object", "script", "notebook", "quarto", "static", "model"]


@dataclass(frozen=True, kw_only=True)
class AppMode:
    """One mode: our name for it (the one of `rsconnect write-manifest NAME`), Connect's, and what its entrypoint is."""

    name: str
    connect: str
    kind: Kind
    title: str

    @property
    def imported(self) -> bool:
        """True when the entrypoint is Python that can be imported (so that it can be verified)."""
        return self.kind in ("wsgi", "asgi", "object", "script")

    @property
    def has_directory(self) -> bool:
        """True when rsconnect-python lists the directory by itself; for a notebook it lists what it is told."""
        return self.connect != "jupyter-static"

    @property
    def has_python(self) -> bool:
        """True when Connect restores a Python environment for it. (Quarto: only with the jupyter engine.)"""
        return self.kind not in ("static", "model")


FLASK = AppMode(name="flask", connect="python-api", kind="wsgi", title="a WSGI app (Flask and others)")
FASTAPI = AppMode(name="fastapi", connect="python-fastapi", kind="asgi", title="an ASGI app (FastAPI and others)")
DASH = AppMode(name="dash", connect="python-dash", kind="object", title="a Dash app")
STREAMLIT = AppMode(name="streamlit", connect="python-streamlit", kind="script", title="a Streamlit script")
BOKEH = AppMode(name="bokeh", connect="python-bokeh", kind="script", title="a Bokeh script")
SHINY = AppMode(name="shiny", connect="python-shiny", kind="object", title="a Shiny app")
GRADIO = AppMode(name="gradio", connect="python-gradio", kind="object", title="a Gradio app")
PANEL = AppMode(name="panel", connect="python-panel", kind="script", title="a Panel script")
NOTEBOOK = AppMode(name="notebook", connect="jupyter-static", kind="notebook", title="a Jupyter notebook")
VOILA = AppMode(name="voila", connect="jupyter-voila", kind="notebook", title="a Voila notebook")
QUARTO = AppMode(name="quarto", connect="quarto-static", kind="quarto", title="a Quarto document")
QUARTO_SHINY = AppMode(name="quarto-shiny", connect="quarto-shiny", kind="quarto", title="a Quarto document with Shiny")
TENSORFLOW = AppMode(name="tensorflow", connect="tensorflow-saved-model", kind="model", title="a TensorFlow model")
HTML = AppMode(name="html", connect="static", kind="static", title="static HTML")

MODES = (
    FLASK,
    FASTAPI,
    DASH,
    STREAMLIT,
    BOKEH,
    SHINY,
    GRADIO,
    PANEL,
    NOTEBOOK,
    VOILA,
    QUARTO,
    QUARTO_SHINY,
    TENSORFLOW,
    HTML,
)

_BY_NAME = (
    {mode.connect: mode for mode in MODES}
    | {mode.name: mode for mode in MODES}
    | {"api": FLASK, "wsgi": FLASK, "asgi": FASTAPI}
)


def find_mode(name: str) -> AppMode:
    """The mode called `name`: a command of rsconnect-python (`flask`, `api`, `voila`) or Connect's word (`python-api`).

    Raises `ModeUnknown`, naming the nearest.
    """
    if mode := _BY_NAME.get(name.strip().lower()):
        return mode
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    known = ", ".join(mode.name for mode in MODES)
    raise ModeUnknown(
        f"{name!r} is no app mode that we know ({known})", hint=f'mode = "{near[0] if near else FLASK.name}"'
    )


def connect_mode(name: str) -> AppMode | None:
    """The mode that a manifest's `appmode` speaks of; None for one that is not ours to write (an R app, say)."""
    return next((mode for mode in MODES if mode.connect == name), None)
