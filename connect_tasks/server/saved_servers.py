"""Servers saved by `rsconnect add`: read, never written.

rsconnect-python keeps them in one JSON file, keyed by nickname. Its own reader takes 130 ms to import and looks at the
process's environment while it does; a test compares this one with it, on every platform.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ServerMissing
from ..secret import Secret


@dataclass(frozen=True, kw_only=True)
class SavedServer:
    """One entry. `certificate` is PEM text.

    `key` None: saved without an API key (a login by browser, shinyapps.io, Connect Cloud).
    """

    nickname: str
    url: str
    key: Secret | None = None
    certificate: str | None = None
    insecure: bool = False


def saved_servers_file(environ: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """Where rsconnect-python keeps them on this platform; None without a home."""
    home = environ.get("HOME")
    beside_home = Path(home, ".rsconnect-python") if home else None
    if platform.startswith("linux"):
        base = environ.get("XDG_CONFIG_HOME")
    elif platform == "darwin":
        base = str(Path(home, "Library", "Application Support")) if home else None
    else:
        base = environ.get("APPDATA") if platform == "win32" else None
    directory = Path(base, "rsconnect-python") if base and base != home else beside_home
    return directory / "servers.json" if directory else None


def read_saved_servers(environ: Mapping[str, str], platform: str = sys.platform) -> dict[str, SavedServer]:
    """The saved servers by nickname; empty when none were saved.

    Raises ServerMissing for a file that is not what rsconnect-python writes.
    """
    file = saved_servers_file(environ, platform)
    if file is None:
        return {}
    broken = ServerMissing(
        "the servers saved by rsconnect can't be read",
        where=str(file),
        hint="set CONNECT_SERVER, or save the server again by `rsconnect add`",
    )
    try:
        entries = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise broken from error
    if not isinstance(entries, dict):
        raise broken
    return {nickname: server for nickname, entry in entries.items() if (server := _server(nickname, entry))}


def _server(nickname: str, entry: object) -> SavedServer | None:
    """None for an entry without a URL: nothing that we could use, and no reason to stop for another."""
    if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
        return None
    key, certificate = entry.get("api_key"), entry.get("ca_cert")
    return SavedServer(
        nickname=nickname,
        url=entry["url"],
        key=Secret(key) if isinstance(key, str) and key else None,
        certificate=certificate if isinstance(certificate, str) and certificate else None,
        insecure=entry.get("insecure") is True,
    )
