"""The app modes of a manifest: what this server does for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How an app of that mode is run.

    `anywhere`: its process is told the mount with each request, so that one process serves a draft's path and the
    content's own; otherwise the mount is fixed when it starts. `strip`: the proxy takes the mount off the path, because
    the app's server adds it again (ASGI's root_path) or has it from the environment; otherwise the app's server expects
    the whole path. `tag` names the job.
    """

    tag: str
    anywhere: bool = False
    strip: bool = False
    process: bool = True


MOUNT_HEADER = "x-connect-tasks-mount"  # tells a process that serves anywhere where it is; no visitor's gets past us

MODES = {
    "python-api": Mode(tag="run_python_api", anywhere=True),
    "python-fastapi": Mode(tag="run_fastapi_app", anywhere=True, strip=True),
    "python-dash": Mode(tag="run_dash_app", strip=True),
    "python-streamlit": Mode(tag="run_streamlit"),
    "python-bokeh": Mode(tag="run_bokeh_app"),
    "python-shiny": Mode(tag="run_pyshiny_app", anywhere=True, strip=True),
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
