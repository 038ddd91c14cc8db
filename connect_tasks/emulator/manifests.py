"""manifest.json, read: what to run, with which Python, from which list of packages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

# Modes of Python content that Connect documents, with how its log names them.
NAMES: Final[dict[str, str]] = {
    "python-api": "Python API",
    "python-fastapi": "FastAPI application",
    "python-dash": "Dash application",
    "python-streamlit": "Streamlit application",
    "python-bokeh": "Bokeh application",
    "python-shiny": "Python Shiny application",
    "python-gradio": "Gradio application",
    "python-panel": "Panel application",
    "jupyter-static": "Jupyter notebook",
    "jupyter-voila": "Voila application",
    "static": "static content",
}
KNOWN_ELSEWHERE: Final = frozenset(
    {
        "api",
        "nodejs",
        "quarto-shiny",
        "quarto-static",
        "rmd-shiny",
        "rmd-static",
        "shiny",
        "tensorflow-saved-model",
    }
)


class ManifestInvalid(Exception):
    """The text is no manifest that can be deployed; one line."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`root` is the folder of the archive that holds manifest.json ("" for the archive's own root)."""

    root: str
    mode: str
    entrypoint: str | None
    primary: str | None
    category: str
    python: str | None  # version that the bundle was made with
    requires: str | None  # constraint on the version
    package_file: str | None  # None: no Python at all; "": Python without packages
    hide_all_input: bool = False  # of a notebook's page
    hide_tagged_input: bool = False

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def read_manifest(text: bytes, *, root: str) -> Manifest:
    """Raises ManifestInvalid. Checksums are not looked at: real servers deploy bundles whose sums differ."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ManifestInvalid("manifest.json is not valid JSON") from None
    metadata = _table(_table(data, "manifest.json").get("metadata"), "metadata")
    python = _table(data.get("python") or {}, "python")
    constraint = _table(_table(data.get("environment") or {}, "environment").get("python") or {}, "environment.python")
    packages = _table(python.get("package_manager") or {}, "python.package_manager")
    jupyter = _table(data.get("jupyter") or {}, "jupyter")
    mode = _text(metadata, "appmode")
    if mode not in NAMES and mode not in KNOWN_ELSEWHERE:
        raise ManifestInvalid(f"manifest.json has no app mode that is known: {mode!r}")
    return Manifest(
        root=root,
        mode=str(mode),
        entrypoint=_text(metadata, "entrypoint"),
        primary=_text(metadata, "primary_html")
        or _text(metadata, "primary_rmd")
        or _text(metadata, "primary_document"),
        category=_text(metadata, "content_category") or "",
        python=_text(python, "version"),
        requires=_text(constraint, "requires"),
        package_file=_package_file(packages) if python else None,
        hide_all_input=jupyter.get("hide_all_input") is True,
        hide_tagged_input=jupyter.get("hide_tagged_input") is True,
    )


def _package_file(packages: dict[str, Any]) -> str:
    return "" if packages.get("name") == "none" else _text(packages, "package_file") or "requirements.txt"


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"manifest.json: {name} is not an object")
    return value


def _text(table: dict[str, Any], name: str) -> str | None:
    value = table.get(name)
    if value is not None and not isinstance(value, str):
        raise ManifestInvalid(f"manifest.json: {name} is not a string")
    return value or None
