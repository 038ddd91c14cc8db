"""Does a manifest describe its commit? Facts are compared, not bytes, so that what another tool or version wrote is no
drift in itself (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..configuration.app_mode import connect_mode
from ..repository.tree import MANIFEST, REQUIREMENTS, SUBMODULE, SYMLINK, Tree
from .connect_manifest import Manifest, as_written, listed_blobs

ChangeKind = Literal["missing", "changed", "unlisted", "pins", "metadata", "constraint", "requirements", "mode"]


@dataclass(frozen=True, kw_only=True)
class ManifestChange:
    """One way in which the committed files do not describe their commit.

    `path` is relative to the app's directory; `matters`: Connect would do something else than the author meant.
    """

    kind: ChangeKind
    path: str | None = None
    matters: bool
    detail: str

    @property
    def warning(self) -> bool:
        """A manifest without a Python constraint is no drift: most that people commit have none."""
        return self.kind == "constraint" and not self.matters


@dataclass(frozen=True, kw_only=True)
class ManifestFacts:
    """What a manifest ought to say; None where that is not known and so not compared.

    `mode` in Connect's words, `python` as X.Y or X.Y.Z, `requires` as PEP 440.
    """

    mode: str | None = None
    entrypoint: str | None = None
    python: str | None = None
    requires: str | None = None


def drifted(changes: Iterable[ManifestChange]) -> bool:
    """True when `check` has to end with 2."""
    return any(not change.warning for change in changes)


def compare(
    manifest: Manifest,
    tree: Tree,
    checksums: Mapping[str, str],
    facts: ManifestFacts | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> tuple[ManifestChange, ...]:
    """Every way in which `manifest` does not describe `tree`, by path.

    `checksums`: object id -> md5, of at least the blobs that are both listed and in the tree.
    """
    tree = as_written(tree)
    files = _file_changes(manifest, tree, checksums, listed_blobs(tree, include, exclude))
    return (*files, *_fact_changes(manifest, tree, facts or ManifestFacts()))


def _file_changes(
    manifest: Manifest, tree: Tree, checksums: Mapping[str, str], content: Mapping[str, str]
) -> Iterable[ManifestChange]:
    listed: Mapping[str, Mapping[str, str]] = manifest.get("files", {})
    differing = {
        path for path, oid in content.items() if path not in listed or listed[path].get("checksum") != checksums[oid]
    }
    for path in sorted((differing | (listed.keys() - content.keys())) - {MANIFEST}):
        if path not in listed:
            detail = "in the commit but not listed: Connect's clone has it all the same"
            yield ManifestChange(kind="unlisted", path=path, matters=False, detail=detail)
        elif path in content:
            if listed[path].get("checksum", "").lower() != checksums[content[path]]:
                detail = "not the file that was listed: Connect takes the one in the commit"
                yield ManifestChange(kind="changed", path=path, matters=False, detail=detail)
        elif path not in tree:
            detail = "listed but not in the commit: Connect will not have it"
            yield ManifestChange(kind="missing", path=path, matters=True, detail=detail)
        elif tree[path].mode != SUBMODULE:
            detail = "listed, though the configuration excludes it"
            yield ManifestChange(kind="changed", path=path, matters=False, detail=detail)


def _fact_changes(manifest: Manifest, tree: Tree, facts: ManifestFacts) -> Iterable[ManifestChange]:
    metadata = manifest.get("metadata", {})
    mode, entrypoint = metadata.get("appmode"), metadata.get("entrypoint") or ""
    if facts.mode is not None and mode != facts.mode:
        yield ManifestChange(kind="mode", matters=True, detail=f"appmode is {mode}, the app is {facts.mode}")
    if facts.entrypoint is not None and entrypoint != facts.entrypoint:
        detail = f"entrypoint is {entrypoint or 'absent'}, the app's is {facts.entrypoint}"
        yield ManifestChange(kind="metadata", matters=True, detail=detail)
    known = connect_mode(str(mode))
    if known is None or not known.has_python:
        return
    if "python" in manifest:
        yield from _python_changes(manifest["python"], manifest.get("environment", {}), tree, facts)
    elif known.kind != "quarto":  # a Quarto project without Jupyter needs no Python
        detail = "no python block: Connect will restore no environment"
        yield ManifestChange(kind="metadata", matters=True, detail=detail)


def _python_changes(
    python: Mapping[str, Any], environment: Mapping[str, Any], tree: Tree, facts: ManifestFacts
) -> Iterable[ManifestChange]:
    version, requires = str(python.get("version", "")), environment.get("python", {}).get("requires")
    if facts.python is not None and version.split(".")[:2] != facts.python.split(".")[:2]:
        detail = f"python.version is {version}, the app's Python is {facts.python}"
        yield ManifestChange(kind="metadata", matters=requires is None, detail=detail)
    if requires is None:
        declared = f", though the app declares {facts.requires}" if facts.requires else ""
        detail = f"no Python constraint{declared}: Connect goes by python.version, {version or 'absent too'}"
        yield ManifestChange(kind="constraint", matters=False, detail=detail)
    elif facts.requires is not None and not _same_constraint(str(requires), facts.requires):
        detail = f"the Python constraint is {requires}, the app declares {facts.requires}"
        yield ManifestChange(kind="constraint", matters=True, detail=detail)
    package_file = python.get("package_manager", {}).get("package_file")
    if package_file and str(package_file) not in tree:
        detail = "named by the manifest but not in the commit: Connect's build will fail"
        yield ManifestChange(kind="requirements", path=str(package_file), matters=True, detail=detail)


def _same_constraint(one: str, other: str) -> bool:
    """Equal but for order and spaces, which each tool writes its own way."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(one) == SpecifierSet(other)
    except InvalidSpecifier:
        return one == other


def explain_checksum(path: str, mode: str, content: bytes, listed: str) -> str | None:
    """Why a listed checksum is not that of the blob, where the cause is one of the known three; else None."""
    if _md5(content) == listed.lower():
        return None
    if mode == SYMLINK:
        return "a symbolic link: the file it leads to was hashed, git stores the link"
    plain = content.replace(b"\r\n", b"\n")
    for name, variant in (("CRLF", plain.replace(b"\n", b"\r\n")), ("LF", plain)):
        if _md5(variant) == listed.lower():
            return f"the checksum is that of a checkout with {name} line ends, not of what git stores"
    kept = b"\n".join(line for line in content.split(b"\n") if b"rsconnect" not in line)
    if path == REQUIREMENTS and _md5(kept) == listed.lower():
        return "rsconnect-python hashed the file without its lines that mention rsconnect"
    return None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
