"""Which server an app goes to, and with which key. Nothing is contacted here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ..configuration import App, rules
from ..errors import CertificateMissing, KeyMissing, ServerMissing
from ..secret import Secret
from .saved_servers import SavedServer, read_saved_servers

SERVER, KEY, CERTIFICATE = "CONNECT_SERVER", "CONNECT_API_KEY", "CONNECT_CA_CERTIFICATE"
_EXAMPLE = "https://connect.example.com"


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """Where to talk to, and how.

    `url` has no trailing slash and no userinfo; `source` tells people where it came from. `ca` is the PEM file to trust
    (CONNECT_CA_CERTIFICATE), `ca_text` the PEM text that `rsconnect add --cacert` saved, where that variable is not
    set. `insecure`: saved by `rsconnect add --insecure`.
    """

    url: str
    key: Secret
    source: str
    ca: Path | None = None
    ca_text: str | None = None
    insecure: bool = False


def find_server(app: App, environ: Mapping[str, str]) -> ServerAddress:
    """The app's server and the key for it.

    The server is the configured URL or nickname, else CONNECT_SERVER; the key CONNECT_API_KEY, else the
    nickname's. Raises ServerMissing, KeyMissing, CertificateMissing.
    """
    named = app.server or environ.get(SERVER, "").strip()
    source = "server in pyproject.toml" if app.server else SERVER
    if not named:
        hint = f"export {SERVER}={_EXAMPLE}, or set server in [tool.connect-tasks]"
        raise ServerMissing("no server: neither the configuration nor CONNECT_SERVER names one", hint=hint)
    complaint = rules.server(named)
    if complaint:
        raise ServerMissing(f"the server {complaint}", where=source, hint=f"correct {source}, for instance {_EXAMPLE}")
    if "://" in named:
        return ServerAddress(url=_normal(named), key=_key(named, environ), source=source, ca=_certificate(environ))
    saved = _saved(named, source, environ)
    ca = _certificate(environ)
    return ServerAddress(
        url=_normal(saved.url),
        key=_saved_key(saved, environ),
        source=f"{source}, saved as {saved.nickname}",
        ca=ca,
        ca_text=None if ca else saved.certificate,
        insecure=saved.insecure,
    )


def _saved(nickname: str, source: str, environ: Mapping[str, str]) -> SavedServer:
    servers = read_saved_servers(environ)
    if nickname in servers:
        saved = servers[nickname]
        complaint = rules.url(saved.url)
        if complaint:
            hint = f"save it again: rsconnect add --name {shlex.quote(nickname)} --server {_EXAMPLE}"
            raise ServerMissing(f"the URL saved as {nickname} {complaint}", where=source, hint=hint)
        return saved
    near = get_close_matches(nickname, servers, n=1)
    known = f"; did you mean {near[0]}?" if near else f"; saved are: {', '.join(sorted(servers))}" if servers else ""
    message = f"the server {nickname} is neither a URL nor the nickname of a saved one{known}"
    hint = f"write it as https://..., or save it: rsconnect add --name {shlex.quote(nickname)} --server {_EXAMPLE}"
    raise ServerMissing(message, where=source, hint=hint)


def _normal(url: str) -> str:
    """One spelling: host in small letters, no trailing slash, no /__api__ (which Posit's own tools accept too)."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/__api__").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def _key(url: str, environ: Mapping[str, str]) -> Secret:
    given = environ.get(KEY, "").strip()
    if not given:
        hint = f"export {KEY}=... (API keys are made at {_normal(url)}/connect/#/settings/keys)"
        raise KeyMissing(f"no key: {KEY} is not set", where=_normal(url), hint=hint)
    if rules.plain(given) or not given.isascii():  # http.client would raise with the key in its message
        raise KeyMissing(f"{KEY} holds characters that no key has", where=KEY, hint=f"set {KEY} again, on one line")
    return Secret(given)


def _saved_key(saved: SavedServer, environ: Mapping[str, str]) -> Secret:
    """CONNECT_API_KEY, unless CONNECT_SERVER says that it is another server's; else the key saved with this one."""
    url = _normal(saved.url)
    elsewhere = environ.get(SERVER, "").strip()
    foreign = "://" in elsewhere and not rules.url(elsewhere) and _normal(elsewhere) != url
    if environ.get(KEY, "").strip() and not (foreign and saved.key):
        return _key(url, environ)
    if saved.key:
        return saved.key
    message = f"the server saved as {saved.nickname} has no API key, and {KEY} is not set"
    raise KeyMissing(message, where=url, hint=f"export {KEY}=... (API keys are made at {url}/connect/#/settings/keys)")


def _certificate(environ: Mapping[str, str]) -> Path | None:
    given = environ.get(CERTIFICATE, "").strip()
    if not given:
        return None
    path = Path(given).expanduser()
    if not path.is_file():
        hint = f"set {CERTIFICATE} to the PEM file of your certificate authority, or unset it"
        raise CertificateMissing(f"{CERTIFICATE} names no file", where=given, hint=hint)
    return path
