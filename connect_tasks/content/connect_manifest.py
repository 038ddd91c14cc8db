"""manifest.json as a pure matter: read it, render it, compare it with the tree that it should describe.

What differs from machine to machine never gets in: the files are those of git's tree, with the checksums of the blobs
that git stores (a checkout may hold other bytes: CRLF, filters, symbolic links), and the keys are sorted.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ManifestInvalid
from ..repository.tree import GENERATED, MANIFEST, SUBMODULE, Tree

Manifest = dict[str, Any]

#: What the known writers of manifests put at the top: what we write anew, and what we keep as we find it.
_WRITTEN = ("version", "locale", "metadata", "python", "files")
_KEPT = ("environment", "extension", "integration_requests", "jupyter", "node", "packages", "platform", "quarto")
_KEPT_METADATA = ("content_category", "has_parameters", "primary_document", "primary_rmd")
_CONFLICT = re.compile(rb"^(<<<<<<<|>>>>>>>|\|\|\|\|\|\|\|)( |\r?$)", re.MULTILINE)
_REPAIR = "nox -s manifest"


def shipped(paths: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[str, ...]:
    """The paths that are the app's content, sorted: gitignore patterns, `exclude` over `include`.

    manifest.json never lists itself, requirements.txt is always there.
    """
    if not include and not exclude:
        return tuple(sorted(path for path in paths if path != MANIFEST))
    included, excluded = _matcher(include), _matcher(exclude)
    return tuple(
        sorted(
            path
            for path in paths
            if path != MANIFEST
            and (path in GENERATED or ((included is None or included(path)) and not (excluded and excluded(path))))
        )
    )


def read_manifest(content: bytes, *, where: str = MANIFEST, strict: bool = False) -> Manifest:
    """Parse manifest.json.

    Raises `ManifestInvalid` with the line for merge markers and broken JSON; `strict` also for keys that no tool is
    known to write, since rendering anew would lose them.
    """
    try:
        text = content.decode("utf-8-sig")
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(content, where, error) from error
    if problem := _malformed(manifest):
        raise _invalid(f"no manifest: {problem}", where, b"", _REPAIR)
    known: Manifest = manifest
    for key in sorted(set(known) - {*_WRITTEN, *_KEPT}) if strict else ():
        before = text.partition(json.dumps(key))[0].encode()
        raise _invalid(f"the key {key!r} is not known and would be lost", where, before, f"remove {key!r} from {where}")
    return known


def render_manifest(
    written: Manifest,
    tree: Tree,
    checksums: Mapping[str, str],
    previous: Manifest | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> bytes:
    """The bytes of manifest.json: what rsconnect wrote, with git's files, and what other tools had added before.

    `tree` holds the requirements.txt that will be committed; `checksums`: object id -> md5. Submodules are not listed:
    they have no bytes.
    """
    manifest = {key: value for key, value in written.items() if key != "files"}
    if previous:
        manifest = _with_extras(manifest, previous)
    files = listed_blobs(as_written(tree), include, exclude)
    manifest["files"] = {path: {"checksum": checksums[oid]} for path, oid in files.items()}
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode("ascii")


def as_written(tree: Tree) -> Tree:
    """The tree with its paths as git stores them, UTF-8, whatever encoding this machine's locale has for file names."""
    if sys.getfilesystemencoding() == "utf-8":
        return tree
    return {os.fsencode(path).decode("utf-8", "surrogateescape"): blob for path, blob in tree.items()}


def listed_blobs(tree: Tree, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> dict[str, str]:
    """What a manifest of `tree` lists: path -> object id."""
    return {path: tree[path].oid for path in shipped(tree, include, exclude) if tree[path].mode != SUBMODULE}


def _with_extras(manifest: Manifest, previous: Manifest) -> Manifest:
    """Keep what rsconnect does not write again: an image, settings of notebooks, R packages, marks of other tools.

    What belongs to the kind of content goes when the mode changes.
    """
    merged = dict(manifest)
    environment = {key: value for key, value in previous.get("environment", {}).items() if key != "python"}
    if environment := environment | manifest.get("environment", {}):
        merged["environment"] = environment
    old, new = previous.get("metadata", {}), manifest.get("metadata", {})
    if old.get("appmode") != new.get("appmode"):
        return merged
    merged["metadata"] = {key: old[key] for key in _KEPT_METADATA if key in old} | new
    merged = {key: previous[key] for key in _KEPT if key in previous} | merged
    if previous.get("quarto", {}).get("engines") == merged.get("quarto", {}).get("engines") and "quarto" in previous:
        merged["quarto"] = previous["quarto"]  # all that can differ is the version of this machine's quarto
    allow_uv = previous.get("python", {}).get("package_manager", {}).get("allow_uv")
    if allow_uv is not None and "python" in merged:
        python = merged["python"]
        merged["python"] = python | {"package_manager": python["package_manager"] | {"allow_uv": allow_uv}}
    return merged


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool] | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns).match_file


def _unreadable(content: bytes, where: str, error: Exception) -> ManifestInvalid:
    """Why `content` is no JSON. A file with merge markers never is: they stand where no value may begin."""
    if conflict := _CONFLICT.search(content):
        hint = f"git checkout --ours -- {where}, then {_REPAIR}"
        return _invalid("unresolved merge conflict", where, content[: conflict.start()], hint)
    if isinstance(error, UnicodeDecodeError):
        return _invalid("not UTF-8", where, content[: error.start], _REPAIR)
    if isinstance(error, json.JSONDecodeError):
        return _invalid(f"not JSON: {error.msg}", where, error.doc[: error.pos].encode(), _REPAIR)
    message = "no manifest: nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
    return _invalid(message, where, b"", _REPAIR)


def _malformed(manifest: object) -> str | None:
    """What is wrong with the shape of a manifest, as far as we read it."""
    if not isinstance(manifest, dict):
        return "it is no JSON object"
    for path in (("metadata",), ("files",), ("python",), ("python", "package_manager"), ("environment",), ("quarto",)):
        value: Any = manifest
        for key in path:
            value = value.get(key, {})
        if not isinstance(value, dict):
            return f"{'.'.join(path)!r} is no object"
    if not isinstance(manifest.get("environment", {}).get("python", {}), dict):
        return "'environment.python' is no object"
    for path, entry in manifest.get("files", {}).items():
        if not isinstance(entry, dict) or not isinstance(entry.get("checksum", ""), str):
            return f"the entry of {path!r} is no {{'checksum': '...'}}"
    return None


def _invalid(message: str, where: str, before: bytes, hint: str) -> ManifestInvalid:
    line = before.count(b"\n") + 1
    return ManifestInvalid(message, where=f"{where}:{line}", hint=hint)
