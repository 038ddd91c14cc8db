"""pip's configuration as `pip install` would see it."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import ConfigurationInvalid

#: Where the whole computer is configured.
COMPUTER = Path("/etc")


def pip_options(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's options as `pip install` would see them: files of the computer, the user, the virtualenv, PIP_CONFIG_FILE;
    then [install] over [global], then PIP_*.

    Read here, since `pip config list` needs a pip and a quarter of a second.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        except OSError:
            continue
        except (configparser.Error, UnicodeDecodeError) as error:
            message = str(error).splitlines()[0]
            raise ConfigurationInvalid(
                f"pip's configuration can't be read: {message}", where=str(path), hint="pip config debug"
            ) from error
        for section, options in sections.items():
            if parser.has_section(section):
                options.update({name.lower().replace("_", "-"): value for name, value in parser.items(section)})
    variables = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return {**sections["global"], **sections["install"], **variables}


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """In pip's order; the later one wins. PIP_CONFIG_FILE=/dev/null switches all of them off."""
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    home = environ.get("HOME") or environ.get("USERPROFILE")
    for base in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)):
        yield Path(base) / "pip" / name
    yield COMPUTER / name
    if sys.platform == "win32":
        for variable in ("PROGRAMDATA", "APPDATA"):
            if environ.get(variable):
                yield Path(environ[variable]) / "pip" / name
    if home:
        yield Path(home) / (".pip" if sys.platform != "win32" else "pip") / name
        if sys.platform == "darwin":
            yield Path(home) / "Library" / "Application Support" / "pip" / name
        yield Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "pip" / name
    yield Path(environ.get("VIRTUAL_ENV") or sys.prefix) / name
    if environ.get("PIP_CONFIG_FILE"):
        yield Path(environ["PIP_CONFIG_FILE"])
