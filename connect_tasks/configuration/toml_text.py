"""A TOML file with its text, so that what is wrong in it can be told with its line."""

from __future__ import annotations

import errno
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from connect_tasks.errors import ConfigurationInvalid

from .kinds import Place, shown

#: No configuration written by people is larger; a parser needs seconds for more.
LARGEST = 1024 * 1024
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_STATEMENT = re.compile(rf"\s*(?:\[\[?\s*(?P<header>{_NAMES})\s*\]\]?\s*(?:#.*)?$|(?P<key>{_NAMES})\s*=)")


@dataclass(frozen=True)
class Document:
    """A parsed file. `file` is how people know it: POSIX, relative to the repository's root."""

    file: str
    text: str
    content: dict[str, Any]

    def table(self, place: Place) -> object:
        """What stands at `place`, None when nothing does."""
        found: object = self.content
        for part in place:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def problem(self, place: Place, message: str, hint: str | None = None) -> ConfigurationInvalid:
        """What is wrong at `place`, with its line: of the key itself, else of the table that ought to hold it."""
        names = tuple(part for part in place if isinstance(part, str))
        line = next((self._lines[names[:end]] for end in range(len(names), 0, -1) if names[:end] in self._lines), None)
        where = f"{self.file}:{line}" if line else self.file
        correct = f"correct line {line} of {self.file}" if line else f"correct {self.file}"
        return ConfigurationInvalid(f"{dotted(place)} {message}", where=where, hint=hint or correct)

    def lines_below(self, place: Place) -> dict[str, int]:
        """Dotted key below the table at `place` -> its line."""
        size = len(place)
        return {dotted(found[size:]): line for found, line in self._lines.items() if found[:size] == place != found}

    @cached_property
    def _lines(self) -> dict[Place, int]:
        """The first line that speaks of each key.

        A scan, not a parse: tomli keeps no positions. A multi-line string that looks like TOML can mislead it, and then
        a message names a wrong line, no more.
        """
        lines: dict[Place, int] = {}
        header: Place = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            match = _STATEMENT.match(line)
            if not match:
                continue
            if match["header"]:
                found = header = _names(match["header"])
            else:
                found = header + _names(match["key"])
            for end in range(len(found), 0, -1):
                lines.setdefault(found[:end], number)
        return lines


def read_document(root: Path, file: str) -> Document | None:
    """root/file; None when there is no such file. Raises ConfigurationInvalid with line and column."""
    text = _read(root / file, file)
    return None if text is None else Document(file, text, _parse(text, file))


def dotted(place: Place) -> str:
    """`tool.connect-tasks.apps.sales.env[1]`, a key quoted where TOML would."""
    words = ""
    for part in place:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            plain = len(part) <= 60 and re.fullmatch(r"[A-Za-z0-9_-]+", part)
            words += ("." if words else "") + (part if plain else shown(part))
    return words


def _read(path: Path, file: str) -> str | None:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is no file")
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"{file} can't be read: {error.strerror or 'no reason given'}"
        raise ConfigurationInvalid(message, where=file, hint=f"make {file} a file that you may read") from error
    if len(content) > LARGEST:
        message = f"{file} is larger than {LARGEST} bytes"
        raise ConfigurationInvalid(message, where=file, hint="move what is no configuration elsewhere")
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        message = f"{file} starts with a byte order mark, which TOML does not allow"
        raise ConfigurationInvalid(message, where=f"{file}:1:1", hint="save it as UTF-8 without a byte order mark")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"{file}:{line}:{column}"
        raise ConfigurationInvalid(f"{file} is not UTF-8", where=where, hint="save it as UTF-8") from error


def _parse(text: str, file: str) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        message = f"{file} is not valid TOML: {error.msg}"
        where = f"{file}:{error.lineno}:{error.colno}"
        raise ConfigurationInvalid(message, where=where, hint=f"correct line {error.lineno} of {file}") from error
    except RecursionError as error:
        message = f"{file} is nested too deeply"
        raise ConfigurationInvalid(message, where=file, hint=f"flatten the tables and lists of {file}") from error
    except ValueError as error:  # an integer of more digits than Python converts (from Python 3.11)
        message = f"{file} holds a number that is too long"
        raise ConfigurationInvalid(message, where=file, hint=f"shorten the numbers of {file}") from error


def _names(key: str) -> Place:
    """`a."b.c"` -> ("a", "b.c"), by the parser itself; () for what is no key after all."""
    import tomli

    try:
        table: Any = tomli.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return ()
    names: list[str] = []
    while isinstance(table, dict):
        name, table = next(iter(table.items()))
        names.append(name)
    return tuple(names)
