"""The only module that imports rsconnect-python: it writes manifests, we choose what it may not know.

Its functions are called in process: a millisecond, against half a second for its command, which starts two more
Pythons only to learn versions that would make two machines write two manifests. They are not documented as an API, so
a test per mode holds them to the command, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import process
from ..configuration import app_mode
from ..configuration.app_mode import AppMode
from ..errors import CommandMissing, ManifestRefused
from ..repository.tree import MANIFEST, REQUIREMENTS

if TYPE_CHECKING:
    from rsconnect.environment import Environment
    from rsconnect.models import AppMode as TheirMode

#: Both differ from machine to machine, and Connect goes by neither: constants of ours. (25.0.1 is the newest pip that
#: runs on every Python that Connect may have, 3.8 to 3.13.)
LOCALE, PIP_VERSION = "en_US.UTF-8", "25.0.1"
#: Seconds for `quarto inspect`, which starts a Deno.
QUARTO_TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class ManifestRequest:
    """What rsconnect-python is to write down.

    `entrypoint`: module or module:object; the document for notebooks, HTML and single Quarto documents; "" where there
    is none. `python`: the version, X.Y.0 unless configured. `requires`: the PEP 440 constraint. `inspection`: what
    `inspect_quarto` found, for the quarto modes.
    """

    mode: AppMode
    entrypoint: str = ""
    python: str = ""
    requires: str | None = None
    package_file: str = REQUIREMENTS
    locale: str = LOCALE
    pip: str = PIP_VERSION
    inspection: Mapping[str, Any] | None = None


def load_rsconnect() -> None:
    """Import what takes 0.1 s, ahead of its need."""
    import rsconnect.bundle
    import rsconnect.exception  # noqa: F401


def write_manifest(directory: Path, request: ManifestRequest) -> dict[str, Any]:
    """Let rsconnect-python write `directory`/manifest.json, and return what it wrote.

    `directory` is an export of the app, since rsconnect lists what lies on disk. Raises `ManifestRefused` with
    rsconnect's own words.
    """
    from rsconnect.exception import RSConnectException

    directory = directory.absolute()
    try:
        _write(directory, request)
    except RSConnectException as error:
        raise ManifestRefused(f"rsconnect-python refused to write a manifest: {error.message}") from error
    written: dict[str, Any] = json.loads((directory / MANIFEST).read_bytes())
    return written


def inspect_quarto(directory: Path, entrypoint: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What `quarto inspect` says about a project (or the document `entrypoint` in it).

    Raises `CommandMissing` without quarto, `ManifestRefused` for what it can't read and for engines other than markdown
    and jupyter.
    """
    from rsconnect.actions import quarto_inspect, validate_quarto_engines, which_quarto
    from rsconnect.exception import RSConnectException

    def answer(argv: Sequence[str], **_: object) -> str:
        done = process.run(argv, cwd=directory, env=process.child_environment(environ), timeout=QUARTO_TIMEOUT)
        if not done.ok:
            raise RSConnectException(f"quarto inspect failed: {done.error_text.strip() or done.text.strip()}")
        return done.text  # not merged with stderr, as rsconnect does it: a warning there would break the JSON

    try:
        quarto = which_quarto(None)
    except RSConnectException as error:
        hint = "install Quarto from quarto.org, or write the manifest where it is installed"
        raise CommandMissing(
            "quarto is not installed; its projects are described by `quarto inspect`", hint=hint
        ) from error
    target = str(directory / entrypoint) if entrypoint else str(directory)
    try:
        inspection: Any = quarto_inspect(quarto, target, check_output=answer)
        validate_quarto_engines(inspection)
    except RSConnectException as error:
        raise ManifestRefused(error.message) from error
    except ValueError as error:
        raise ManifestRefused(
            "quarto inspect answered something other than JSON", hint=f"quarto inspect {target}"
        ) from error
    found: dict[str, Any] = inspection
    return found


def _write(directory: Path, request: ManifestRequest) -> None:
    """One call for each of rsconnect's commands, with the paths in the form in which its command sees them."""
    from rsconnect import bundle

    mode, theirs, where, entrypoint = request.mode, _their_mode(request.mode), str(directory), request.entrypoint
    dangling, renv = _dangling(directory), _r_environment(directory)
    if mode.kind == "notebook" and not mode.has_directory:
        extra = [str(path) for path in _files(directory, without={MANIFEST, request.package_file, entrypoint})]
        environment, document = _environment(directory, request), str(directory / entrypoint)
        bundle.write_notebook_manifest_json(document, environment, theirs, extra, False, False, r_environment=renv)
    elif mode.kind == "notebook":
        document_or_all = str(directory / entrypoint) if entrypoint else None
        bundle.write_voila_manifest_json(
            where,
            document_or_all,
            _environment(directory, request),
            (),
            dangling,
            r_environment=renv,
            multi_notebook=not entrypoint,
        )
    elif mode.kind == "quarto":
        inspection: Any = dict(request.inspection or {})
        quarto_environment = _environment(directory, request) if "jupyter" in inspection.get("engines", ()) else None
        target = str(directory / entrypoint) if entrypoint else where
        bundle.write_quarto_manifest_json(
            target, inspection, theirs, quarto_environment, (), dangling, r_environment=renv
        )
    elif mode.kind == "model":
        bundle.write_tensorflow_manifest_json(where, (), dangling)
    elif mode.kind == "static":
        page = bundle.create_html_manifest(where, str(directory / (entrypoint or "index.html")), (), dangling)
        bundle.write_manifest_json(directory / MANIFEST, page.get_flattened_copy().data)
    else:
        if mode is app_mode.SHINY:
            entrypoint = bundle.resolve_shiny_express_entrypoint(entrypoint, where)
        environment = _environment(directory, request)
        bundle.write_api_manifest_json(where, entrypoint, environment, theirs, (), dangling, r_environment=renv)


def _environment(directory: Path, request: ManifestRequest) -> Environment:
    """What rsconnect's inspector would report from inside the app's interpreter, with our values for what differs."""
    from rsconnect.environment import Environment
    from rsconnect.subprocesses.inspect_environment import output_file

    found = output_file(str(directory), request.package_file, "pip")
    if found is None:
        hint = "nox -s freeze"
        raise ManifestRefused(f"the app has no {request.package_file}", where=str(directory), hint=hint)
    ours = {"locale": request.locale, "pip": request.pip, "python": request.python}
    return Environment.from_dict({**found, **ours}, python_version_requirement=request.requires)


def _their_mode(mode: AppMode) -> TheirMode:
    from rsconnect.models import AppModes

    return AppModes.get_by_name(mode.connect)


def _r_environment(directory: Path) -> Any:
    """R packages of a Python app that brings an renv.lock (for rpy2, say), as rsconnect's commands take them along."""
    if not (directory / "renv.lock").is_file():
        return None
    from rsconnect.environment_r import REnvironment

    return REnvironment.create(str(directory))


def _files(directory: Path, *, without: Collection[str]) -> list[Path]:
    """The files below `directory`; absolute, since rsconnect resolves extra files against the current directory."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in files if path.relative_to(directory).as_posix() not in without)


def _dangling(directory: Path) -> list[str]:
    """Symbolic links that lead nowhere: rsconnect would end in a traceback. Their checksum is git's in any case."""
    return [str(path) for path in directory.rglob("*") if path.is_symlink() and not path.exists()]
