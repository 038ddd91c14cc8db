"""What the files of a commit say about the app, to hold its manifest and its pins to (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..configuration import App
from ..configuration.app_mode import DASH, FASTAPI, FLASK, GRADIO, SHINY, AppMode, connect_mode, find_mode
from ..errors import PythonMissing
from ..packages import requirements_file
from ..packages.dependencies import DependencySource
from ..packages.python_version import PythonRequirement, declared_python
from ..repository.tree import REQUIREMENTS, Tree
from .connect_manifest import Manifest
from .entrypoint_candidates import DEFAULT_NAMES, find_candidates, module_file
from .manifest_changes import ManifestChange, ManifestFacts

_EXPRESS = "shiny.express.app:"
#: Modes whose object shows in the source which of them it is.
_TELLING = (FLASK, FASTAPI, DASH, SHINY, GRADIO)


def declared_facts(app: App, python: PythonRequirement | None) -> ManifestFacts:
    """Mode, entrypoint and Python as far as they are declared. Raises `ModeUnknown`."""
    mode = find_mode(app.mode).connect if app.mode else None
    minor = ".".join(map(str, python.minor)) if python and python.minor else None
    requires = python.requires if python else None
    return ManifestFacts(mode=mode, entrypoint=app.entrypoint, python=minor, requires=requires)


def own_facts(own: Mapping[str, str]) -> ManifestFacts:
    """The same without a configuration: only the app's own directory speaks, as for rsconnect-python."""
    try:
        return ManifestFacts(requires=declared_python(own, (), None).requires)
    except PythonMissing:
        return ManifestFacts()


def claimed_entrypoint(manifest: Manifest) -> str:
    """The manifest's entrypoint in its plain form: Shiny Express apps are recorded under an escaped name."""
    entrypoint = str(manifest.get("metadata", {}).get("entrypoint") or "")
    if entrypoint.startswith(_EXPRESS):
        name = re.sub(r"_([0-9a-f]+)_", lambda match: chr(int(match[1], 16)), entrypoint.removeprefix(_EXPRESS))
        return name.removesuffix(".py")
    return entrypoint


def entry_file(manifest: Manifest, tree: Tree) -> str | None:
    """The Python file in which the manifest's entrypoint stands; None where there is none to look into."""
    mode = connect_mode(str(manifest.get("metadata", {}).get("appmode")))
    return module_file(claimed_entrypoint(manifest), tree) if mode is not None and mode.imported else None


def entrypoint_changes(manifest: Manifest, tree: Tree, source: bytes | None) -> Iterator[ManifestChange]:
    """Is there what the manifest says is the app? `source`: the content of `entry_file`."""
    metadata = manifest.get("metadata", {})
    mode, claimed = connect_mode(str(metadata.get("appmode"))), claimed_entrypoint(manifest)
    if mode is None:
        return
    document = str(metadata.get("primary_html") or claimed) if mode.kind == "static" else claimed
    if mode.imported and not _has_module(claimed, tree):
        detail = f"entrypoint is {claimed or 'absent'}, and the commit has no such module"
        yield ManifestChange(kind="metadata", matters=True, detail=detail)
    elif mode.kind in ("notebook", "static") and document and document not in tree:
        detail = f"{document} is the document to show, and the commit has no such file"
        yield ManifestChange(kind="metadata", matters=True, detail=detail)
    elif mode in _TELLING and source is not None:
        real = _mode_in(source, claimed)
        if real is not None and real is not mode:
            detail = f"appmode is {mode.connect}, {claimed} is {real.title}"
            yield ManifestChange(kind="mode", matters=True, detail=detail)


def pin_changes(source: DependencySource, requirements: str, minor: str, platform: str) -> Iterator[ManifestChange]:
    """Declared dependencies that the frozen file does not hold, or holds in a version that they exclude.

    Newer releases on the index are no drift: nothing is looked up. `minor`: the app's Python, X.Y.
    """
    if source.path == REQUIREMENTS and source.declared is None:
        return  # the author's own file, kept as it is
    frozen = [line.requirement for line in requirements_file.parse(requirements) if line.requirement]
    pins = {_canonical(requirement.name): requirements_file.exact(requirement) for requirement in frozen}
    environment = _marker_environment(minor, platform)
    for where, wanted in ((line.where, line.line.requirement) for line in source.lines):
        if wanted is None or (wanted.marker and not wanted.marker.evaluate(environment)):
            continue
        name, detail = _canonical(wanted.name), None
        pin = pins.get(name)
        if name not in pins:
            detail = f"{wanted.name} is declared ({where}) and not in the frozen list"
        elif pin is None:
            detail = f"{wanted.name} is not pinned: each build may install another release"
        elif pin.version and not wanted.specifier.contains(pin.version, prereleases=True):
            detail = f"{pin} is frozen, {wanted.name}{wanted.specifier} is declared ({where})"
        if detail:
            yield ManifestChange(kind="pins", path=REQUIREMENTS, matters=True, detail=detail)
    yield from _not_as_locked(source, {name: pin.version for name, pin in pins.items() if pin and pin.version})


def _not_as_locked(source: DependencySource, frozen: Mapping[str, str]) -> Iterator[ManifestChange]:
    """Pins that differ from the lock file, whether the app declares them itself or not."""
    locked = source.locked
    for name, version in frozen.items():
        if name in locked and version not in locked[name]:
            allowed = " or ".join(sorted(locked[name]))
            detail = f"{name}=={version} is frozen, {source.path} has {allowed}"
            yield ManifestChange(kind="pins", path=REQUIREMENTS, matters=True, detail=detail)


def _has_module(entrypoint: str, tree: Tree) -> bool:
    if module_file(entrypoint, tree) is not None:
        return True
    package = entrypoint.partition(":")[0].replace(".", "/") + "/"
    return len(package) > 1 and any(path.startswith(package) for path in tree)


def _mode_in(source: bytes, entrypoint: str) -> AppMode | None:
    """The mode of the entrypoint's object, where the source leaves no doubt."""
    name = entrypoint.partition(":")[2]
    wanted = (name,) if name else DEFAULT_NAMES
    candidates = find_candidates({"app.py": source})
    modes = {candidate.mode for candidate in candidates if candidate.entrypoint.partition(":")[2] in wanted}
    return modes.pop() if len(modes) == 1 else None


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _marker_environment(minor: str, platform: str) -> dict[str, Any]:
    """PEP 508's variables on the server, of which only the Python and the kind of system are known."""
    from packaging.markers import default_environment

    systems = {"win": ("win32", "Windows", "nt"), "mac": ("darwin", "Darwin", "posix")}
    known = systems.get(platform[:3].lower(), ("linux", "Linux", "posix"))
    there = dict(zip(("sys_platform", "platform_system", "os_name"), known, strict=True))
    return {**default_environment(), "python_version": minor, "python_full_version": f"{minor}.0", "extra": "", **there}
