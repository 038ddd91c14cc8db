"""The app modes of a manifest: what this server does for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How an app of that mode is run.

    `strip`: the proxy takes the mount off the path, because the app's server adds it again (ASGI's root_path)
    or has it from the environment; otherwise the app's server expects the whole path. `tag` names the job.
    """

    tag: str
    strip: bool = False
    process: bool = True


MODES = {
    "python-api": Mode(tag="run_python_api"),
    "python-fastapi": Mode(tag="run_fastapi_app", strip=True),
    "python-dash": Mode(tag="run_dash_app", strip=True),
    "python-streamlit": Mode(tag="run_streamlit"),
    "python-bokeh": Mode(tag="run_bokeh_app"),
    "python-shiny": Mode(tag="run_pyshiny_app", strip=True),
    "python-gradio": Mode(tag="run_app", strip=True),
    "python-panel": Mode(tag="run_app"),
    "jupyter-voila": Mode(tag="run_voila_app"),
    "jupyter-static": Mode(tag="build_jupyter", process=False),
    "static": Mode(tag="unknown", process=False),
}


def unsupported(mode: str) -> str | None:
    """Why content of this mode cannot run here, None if it can."""
    if mode in MODES:
        return None
    return f"content of type {mode!r} is not in this emulator: it runs {', '.join(sorted(MODES))}"
