"""Where packages come from on this computer: uv's configuration, else pip's, handed to uv by environment.

uv reads nothing of pip's: with `PIP_INDEX_URL` at a closed port `uv pip install` still succeeds, from the public
index. A company's apps would quietly be frozen from there, private names included. Each kind of setting (the index,
further indexes, wheel directories) is taken from uv where uv has it, else from pip.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli

from ..errors import ConfigurationInvalid
from ..secret import Secret
from .pip_configuration import pip_options
from .requirements_file import without_credentials

#: pip's option -> the variables by which uv is told the same, where none of them is set.
_SAME = {
    "cert": ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"),
    "trusted-host": ("UV_INSECURE_HOST",),
    "timeout": ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT"),
}
#: Variables that add to the one index.
_FURTHER = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
_TRUE = {"1", "true", "yes", "on", "y", "t"}


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """What uv must be told: variables for its environment (they may hold credentials, hence no repr) and arguments.

    `secrets` must be kept out of messages. `further` are the indexes and directories besides the one index, without
    credentials: a name that comes from there comes from somewhere else on the server, or not at all. `place`
    names all of them: the same pins from another place may be other packages.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    arguments: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    further: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """One tool's settings: `default` is the index instead of the public one, None where it is not said."""

    default: str | None = field(default=None, repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    strategy: str | None = None


def index_settings(environ: Mapping[str, str], directory: Path, *, declares_index: bool = False) -> IndexSettings:
    """The settings for uv commands on behalf of the app in `directory` (of the work tree: uv's project settings are
    inherited from the directories above it).

    `declares_index`: the app's own files name their index, which then wins over pip's configuration, as it does in
    pip. Raises `ConfigurationInvalid` for a configuration file that cannot be read.
    """
    pip = pip_options(environ)
    theirs = _pip_indexes(pip, directory)
    ours, inherited = _uv_settings(environ, directory)
    ask_pip = not (ours.default or ours.no_index or declares_index)
    said = Indexes(
        default=inherited.default or (theirs.default if ask_pip else None),
        extra=inherited.extra or (() if ours.extra else theirs.extra),
        find_links=inherited.find_links or (() if ours.find_links else theirs.find_links),
        no_index=inherited.no_index or (ask_pip and theirs.no_index),
    )
    environment = {**_variables(said), **_network(pip, environ)}
    if not (ours.strategy or environ.get("UV_INDEX_STRATEGY")):
        # uv takes a name from the first index that has it, and only from there: safe, and it fails where that index
        # has nothing for this Python, which pip would pass over. So the next index is asked, but only then: a public
        # release with a higher number still never beats a private one.
        environment["UV_INDEX_STRATEGY"] = "unsafe-first-match"
    shown = [without_credentials(_url(link)) for link in (*said.extra, *said.find_links, *ours.extra, *ours.find_links)]
    urls = [url for indexes in (ours, theirs, inherited) for url in _urls(indexes)]
    passwords = [
        Secret(value) for name, value in environ.items() if name.startswith("UV_INDEX_") and name.endswith("_PASSWORD")
    ]
    return IndexSettings(
        environment=environment,
        arguments=("--no-index",) if said.no_index else (),
        secrets=(*_secrets([*urls, environment.get("ALL_PROXY", "")]), *passwords),
        further=tuple(shown),
        place=" ".join([without_credentials(said.default or ours.default or ""), *shown]),
    )


def index_source(environ: Mapping[str, str], directory: Path) -> tuple[str, str]:
    """The one index, without credentials, and who says so, for people. Raises as `index_settings`."""
    ours, _ = _uv_settings(environ, directory)
    theirs = _pip_indexes(pip_options(environ), directory)
    if ours.no_index or (theirs.no_index and not ours.default):
        return "no index, only wheel directories", "UV_NO_INDEX or pip's configuration"
    if ours.default:
        named = next((name for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if environ.get(name)), "uv's configuration")
        return without_credentials(ours.default), named
    if theirs.default:
        return without_credentials(theirs.default), "PIP_INDEX_URL" if environ.get(
            "PIP_INDEX_URL"
        ) else "pip's configuration"
    return "the public index", "default"


def further_indexes(environ: Mapping[str, str], directory: Path) -> str:
    """The indexes and wheel directories besides the one, without credentials, and who says so; empty for none."""
    found = index_settings(environ, directory).further
    named = [name for name in _FURTHER if environ.get(name)]
    return f"{', '.join(found)}, by {' and '.join(named) or 'a file of uv or pip'}" if found else ""


def _variables(indexes: Indexes) -> dict[str, str]:
    values = {
        "UV_DEFAULT_INDEX": indexes.default or "",
        "UV_INDEX": " ".join(indexes.extra),
        "UV_FIND_LINKS": ",".join(indexes.find_links),
    }
    return {name: value for name, value in values.items() if value}


def _network(pip: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """How pip reaches its index: certificates, proxy, patience. A variable that is set already stays."""
    found = {
        variables[0]: " ".join(pip[option].split())
        for option, variables in _SAME.items()
        if pip.get(option) and not any(environ.get(name) for name in variables)
    }
    if "ALL_PROXY" in found and "://" not in found["ALL_PROXY"]:
        found["ALL_PROXY"] = f"http://{found['ALL_PROXY']}"
    if pip.get("keyring-provider") == "subprocess" and not environ.get("UV_KEYRING_PROVIDER"):
        found["UV_KEYRING_PROVIDER"] = "subprocess"
    return found


def _pip_indexes(options: Mapping[str, str], directory: Path) -> Indexes:
    return Indexes(
        default=options.get("index-url", "").strip() or None,
        extra=tuple(options.get("extra-index-url", "").split()),
        find_links=tuple(_anchored(link, directory) for link in options.get("find-links", "").split()),
        no_index=options.get("no-index", "").strip().lower() in _TRUE,
    )


def _uv_settings(environ: Mapping[str, str], directory: Path) -> tuple[Indexes, Indexes]:
    """All that uv is configured with, and of that what it can't find by itself when it runs in an export of the
    directory."""
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    extra = f"{environ.get('UV_INDEX', '')} {environ.get('UV_EXTRA_INDEX_URL', '')}".split()
    links = [link for link in environ.get("UV_FIND_LINKS", "").split(",") if link.strip()]
    variables = Indexes(
        default=default or None,
        extra=tuple(extra),
        find_links=tuple(links),
        no_index=environ.get("UV_NO_INDEX", "").lower() in _TRUE,
    )
    layers, inherited = [variables], Indexes()
    if environ.get("UV_CONFIG_FILE"):
        layers.append(_indexes(_toml(Path(environ["UV_CONFIG_FILE"]))))
    elif environ.get("UV_NO_CONFIG", "").lower() not in _TRUE:
        found = _project_table(directory)
        if found:
            holder, table = found
            project = _indexes(table, holder)
            layers.append(project)
            inherited = _unsaid(project, variables) if holder != directory else Indexes()
        layers += [_indexes(_toml(path)) for path in _uv_files(environ)]
    merged = Indexes(
        default=next((layer.default for layer in layers if layer.default), None),
        extra=tuple(dict.fromkeys(url for layer in layers for url in layer.extra)),
        find_links=tuple(dict.fromkeys(link for layer in layers for link in layer.find_links)),
        no_index=any(layer.no_index for layer in layers),
        strategy=next((layer.strategy for layer in layers if layer.strategy), None),
    )
    return merged, inherited


def _unsaid(project: Indexes, variables: Indexes) -> Indexes:
    """What of a project's settings no variable replaces."""
    return Indexes(
        default=None if variables.default else project.default,
        extra=() if variables.extra else project.extra,
        find_links=() if variables.find_links else project.find_links,
        no_index=project.no_index and not variables.default,
    )


def _uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME")
    if environ.get("XDG_CONFIG_HOME") or home:
        yield Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "uv" / "uv.toml"
    for variable, tail in (("APPDATA", "uv/uv.toml"), ("PROGRAMDATA", "uv/uv.toml")):
        if sys.platform == "win32" and environ.get(variable):
            yield Path(environ[variable]) / tail
    for base in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep):
        yield Path(base) / "uv" / "uv.toml"
    yield Path("/etc/uv/uv.toml")


def _project_table(directory: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """uv's settings of the nearest directory that has any: its uv.toml, else [tool.uv] of its pyproject.toml; not
    above the repository's root."""
    for holder in (directory, *directory.parents):
        if (holder / "uv.toml").is_file():
            return holder, _toml(holder / "uv.toml")
        if (holder / "pyproject.toml").is_file():
            tool = _toml(holder / "pyproject.toml").get("tool")
            table = tool.get("uv") if isinstance(tool, dict) else None
            if isinstance(table, dict):
                return holder, table
        if (holder / ".git").exists():
            return None
    return None


def _indexes(table: Mapping[str, Any], holder: Path | None = None) -> Indexes:
    """The settings of one table, those of its `pip` table over them. An explicit index serves only the packages that
    name it."""
    pip = table.get("pip")
    merged: dict[str, Any] = {**table, **(pip if isinstance(pip, dict) else {})}
    rows = [row for row in merged.get("index", []) if isinstance(row, dict) and isinstance(row.get("url"), str)]
    default = next((row["url"] for row in rows if row.get("default")), merged.get("index-url"))
    named = [
        f"{row['name']}={row['url']}" if row.get("name") else row["url"]
        for row in rows
        if not row.get("default") and not row.get("explicit")
    ]
    links = [str(link) for link in merged.get("find-links", [])]
    return Indexes(
        default=default if isinstance(default, str) else None,
        extra=(*named, *(str(url) for url in merged.get("extra-index-url", []))),
        find_links=tuple(_anchored(link, holder) if holder else link for link in links),
        no_index=merged.get("no-index") is True,
        strategy=merged.get("index-strategy"),
    )


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomli.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"not readable as TOML: {error}", where=str(path), hint=f"mend {path}") from error


def _anchored(link: str, directory: Path) -> str:
    """A relative wheel directory from where it is meant: uv runs elsewhere."""
    if "://" in link or Path(link).expanduser().is_absolute():
        return link if "://" in link else str(Path(link).expanduser())
    return next(
        (str(base / link) for base in (directory, *directory.parents) if (base / link).exists()), str(directory / link)
    )


def _urls(indexes: Indexes) -> Sequence[str]:
    return [indexes.default or "", *indexes.extra, *indexes.find_links]


def _url(index: str) -> str:
    """The URL of a further index, which may be spelled NAME=URL."""
    return index.split("=", 1)[1] if "=" in index.split("://", 1)[0] else index


def _secrets(urls: Iterable[str]) -> Iterator[Secret]:
    for url in urls:
        try:
            parts = urlsplit(_url(url))
        except ValueError:
            continue
        for value in (parts.password, None if parts.password else parts.username):
            if value:
                yield Secret(value)
                yield Secret(unquote(value))
