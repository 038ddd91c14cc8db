"""What other tools wrote down about where an app was deployed: read, never written.

rsconnect-python keeps `rsconnect-python/NAME.json` beside the app, one entry for each server, keyed by its URL. Posit
Publisher keeps `.posit/publish/deployments/NAME.toml`, one file for each deployment. Both say the content's GUID. A
record is somebody's note: what it says is looked up on the server before it is believed, and a file that is not what
its tool writes says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

#: No record is larger than a few kilobytes; rsconnect-python's own limit is a megabyte.
LARGEST = 1 << 20
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class DeploymentRecord:
    """An item on a server, as a file below the app's directory says; `source` is that file, relative to it."""

    guid: str
    server: str
    source: str


def read_records(directory: Path) -> tuple[DeploymentRecord, ...]:
    """All that stands in the app's directory of a work tree, rsconnect-python's first."""
    return tuple(record for read in (_rsconnect, _publisher) for record in read(directory))


def same_server(left: str, right: str) -> bool:
    """Whether two URLs name one server, however they are spelled: the tools keep what was typed."""
    return _server_key(left) == _server_key(right)


def _server_key(url: str) -> tuple[str, int | None, str]:
    """Host, port and path. The scheme is no part of it: a server redirects http to https on the default ports."""
    try:
        parts = urlsplit(url.strip())
        port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme.lower()) else parts.port
    except ValueError:
        return url, None, ""
    path = parts.path.rstrip("/").removesuffix("/__api__").rstrip("/")
    return (parts.hostname or "").lower(), port, path


def _rsconnect(directory: Path) -> Iterator[DeploymentRecord]:
    for path, source in _files(directory, "rsconnect-python", "*.json"):
        try:
            entries = json.loads(_text(path))
        except (OSError, ValueError, RecursionError):
            continue
        for key, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                # rsconnect-python itself looks an entry up by its key.
                yield from _record(entry.get("app_guid"), entry.get("server_url", key), source)


def _publisher(directory: Path) -> Iterator[DeploymentRecord]:
    import tomli

    for path, source in _files(directory, ".posit/publish/deployments", "*.toml"):
        try:
            record: Mapping[str, object] = tomli.loads(_text(path))
        except (OSError, ValueError, RecursionError):
            continue
        # A record is made when a deployment is prepared; only the first deploy gives it an `id`.
        if record.get("server_type", "connect") == "connect":
            yield from _record(record.get("id"), record.get("server_url"), source)


def _record(guid: object, server: object, source: str) -> Iterator[DeploymentRecord]:
    if isinstance(guid, str) and _GUID.fullmatch(guid) and isinstance(server, str):
        yield DeploymentRecord(guid=guid.lower(), server=server, source=source)


def _files(directory: Path, below: str, pattern: str) -> Iterator[tuple[Path, str]]:
    try:
        paths = sorted((directory / below).glob(pattern))
    except OSError:
        return
    yield from ((path, f"{below}/{path.name}") for path in paths)


def _text(path: Path) -> str:
    """Raises ValueError for what is too large or no UTF-8, OSError for what can't be read."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("too large for a record")
    return content.decode("utf-8-sig")
