"""From a candidate to its generated files: which Python, which mode, which pins, which manifest. Writes to scratch and
cache only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration import App
from ..configuration.app_mode import AppMode
from ..content.candidate import Candidate, export, take_candidate, take_staged, with_generated
from ..content.connect_manifest import Manifest, read_manifest, render_manifest
from ..content.entrypoint import Entrypoint, detect
from ..content.rsconnect_door import ManifestRequest, inspect_quarto, write_manifest
from ..errors import RequirementsMissing
from ..packages.dependencies import DependencySource, find_dependencies
from ..packages.interpreters import Interpreter, find_interpreter
from ..packages.python_version import PYTHON_FILES, PythonRequirement, declared_python
from ..repository.git import Git, full_path
from ..repository.tree import MANIFEST, REQUIREMENTS, SUBMODULE
from ..world import World

if TYPE_CHECKING:
    from ..packages.environment import Frozen


@dataclass(frozen=True, kw_only=True)
class Python:
    """The app's Python: what it asks for, what we found for it, and the minor that the manifest names."""

    requirement: PythonRequirement
    interpreter: Interpreter
    minor: tuple[int, int]

    @property
    def version(self) -> str:
        """As the manifest has it: a patch level would differ between machines."""
        return f"{self.minor[0]}.{self.minor[1]}.0"


def take(app: App, world: World) -> Candidate:
    """What we speak of: HEAD, or with `--staged` what would be committed now. Raises as `take_candidate`."""
    if not world.options.staged:
        return take_candidate(world.git, app)
    return take_staged(world.git, app, index=world.index)


def find_python(git: Git, app: App, candidate: Candidate, environ: Mapping[str, str]) -> Python | None:
    """The app's Python on this machine; None for content without one (pages, saved models). Raises `PythonMissing`."""
    if not detect_entrypoint(git, app, candidate).mode.has_python:
        return None
    requirement = python_requirement(git, app, candidate)
    named = manifest_minor(candidate, requirement)
    interpreter = find_interpreter(requirement, environ, prefer=named)
    found = tuple(int(part) for part in interpreter.version.split(".")[:2])
    return Python(
        requirement=requirement, interpreter=interpreter, minor=requirement.minor or named or (found[0], found[1])
    )


def python_requirement(git: Git, app: App, candidate: Candidate) -> PythonRequirement:
    """What the app declares, itself or through a directory above it."""
    own = candidate.texts(git, PYTHON_FILES)
    parents = [_texts_at(git, candidate.commit, directory) for directory in _above(app.path)]
    return declared_python(own, parents, app.python)


def manifest_minor(candidate: Candidate, requirement: PythonRequirement) -> tuple[int, int] | None:
    """The minor that the manifest names already, if it still fits: a range shall not move with the machine."""
    content = candidate.generated.get(MANIFEST)
    if content is None:
        return None
    version = read_manifest(content).get("python", {}).get("version")
    if not isinstance(version, str) or not requirement.allows(version):
        return None
    parts = version.split(".")
    return int(parts[0]), int(parts[1])


def find_source(git: Git, app: App, candidate: Candidate) -> DependencySource:
    """Where the app's dependencies are declared. Raises `DependenciesMissing`."""
    return find_dependencies(candidate.tree, lambda path: candidate.text(git, path) or "", app.dependencies)


def freeze_candidate(
    app: App, world: World, candidate: Candidate, python: Python, *, directory: Path | None = None
) -> tuple[Candidate, Frozen]:
    """The candidate with a frozen requirements.txt; that it installs is `Frozen.prove`'s to say. `directory`: an export
    of it, where there is one. Raises `ResolutionFailed`, `RequirementRefused`."""
    from ..packages.environment import Upgrade, freeze

    source = find_source(world.git, app, candidate)
    directory = directory or export(world.git, candidate, world.place("freeze"))
    old = candidate.generated.get(REQUIREMENTS)
    wanted = world.options.upgrade
    frozen = freeze(
        source,
        pins=None if old is None else old.decode("utf-8", "replace"),
        interpreter=python.interpreter,
        platform=app.platform,
        upgrade=Upgrade(all="" in wanted, packages=tuple(name for name in wanted if name)),
        directory=directory,
        place=world.environment_place("proof"),
        scratch=world.place("environment"),
        environ=world.environ,
        offline=world.options.offline,
        mode=app.freeze,
        work_tree=world.git.root / app.path,
    )
    return with_generated(world.git, candidate, requirements_txt=frozen.text), frozen


def describe_candidate(
    app: App, world: World, candidate: Candidate, python: Python | None = None
) -> tuple[Candidate, Entrypoint]:
    """The candidate with a manifest.json that describes it.

    Raises `ModeUnknown`, `EntrypointWrong`, `RequirementsMissing`, and `ManifestInvalid` where the manifest that is
    there holds what rendering anew would lose.
    """
    git = world.git
    entrypoint = detect_entrypoint(git, app, candidate)
    content = candidate.generated.get(MANIFEST)
    where = full_path(app.path, MANIFEST)
    previous = None if content is None else read_manifest(content, where=where, strict=True)
    directory = _for_rsconnect(world, candidate, entrypoint.mode)
    request = _request(app, world, candidate, entrypoint, python)
    if entrypoint.mode.kind == "quarto":
        request = replace(request, inspection=inspect_quarto(directory, entrypoint.entrypoint, world.environ))
    written = write_manifest(directory, request)
    rendered = _rendered(app, git, candidate, written, previous)
    return with_generated(git, candidate, manifest_json=rendered), entrypoint


def refresh_manifest(app: App, git: Git, candidate: Candidate) -> Candidate:
    """The candidate with the manifest that is there, brought up to its files: what describing it anew gives where their
    contents alone have changed. Without rsconnect-python, so it is no more than likely."""
    manifest = read_manifest(candidate.generated[MANIFEST])
    rendered = _rendered(app, git, candidate, manifest, None)
    return with_generated(git, candidate, manifest_json=rendered)


def _rendered(app: App, git: Git, candidate: Candidate, written: Manifest, previous: Manifest | None) -> bytes:
    checksums = git.checksums(blob.oid for blob in candidate.tree.values() if blob.mode != SUBMODULE)
    return render_manifest(written, candidate.tree, checksums, previous, include=app.include, exclude=app.exclude)


def detect_entrypoint(git: Git, app: App, candidate: Candidate) -> Entrypoint:
    """Mode and entrypoint by the sources; the import of the test stage verifies them."""
    python = {path: blob.oid for path, blob in candidate.tree.items() if path.endswith(".py")}
    contents = git.read(python.values())
    sources = {path: contents[python[path]] if path in python else b"" for path in candidate.tree}
    return detect(sources, app.mode, app.entrypoint)


def _request(
    app: App, world: World, candidate: Candidate, entrypoint: Entrypoint, python: Python | None
) -> ManifestRequest:
    found = python or find_python(world.git, app, candidate, world.environ)
    if found is None:
        return ManifestRequest(mode=entrypoint.mode, entrypoint=entrypoint.entrypoint)
    return ManifestRequest(
        mode=entrypoint.mode,
        entrypoint=entrypoint.entrypoint,
        python=found.version,
        requires=found.requirement.requires,
    )


def _for_rsconnect(world: World, candidate: Candidate, mode: AppMode) -> Path:
    """An export for rsconnect-python: it lists what lies on disk, which is git's tree there and nothing else."""
    if mode.has_python and REQUIREMENTS not in candidate.tree:
        raise RequirementsMissing("there is no requirements.txt yet", where=candidate.directory, hint="nox -s freeze")
    directory = export(world.git, candidate, world.place("manifest"))
    (directory / MANIFEST).unlink(missing_ok=True)
    return directory


def _texts_at(git: Git, commit: str, directory: str) -> dict[str, str]:
    tree = git.tree(commit, directory)
    blobs = {name: tree[name].oid for name in PYTHON_FILES if name in tree}
    contents = git.read(blobs.values())
    return {name: contents[oid].decode("utf-8", "replace") for name, oid in blobs.items()}


def _above(path: str) -> list[str]:
    """The directories above an app's, nearest first, up to the repository's root."""
    if path in {"", "."}:
        return []
    parts = path.split("/")
    return ["/".join(parts[:depth]) or "." for depth in range(len(parts) - 1, -1, -1)]
