"""Secrets are a type of their own, and everything we print goes through a redactor."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "****"
#: Environment variables whose values are never printed.
SECRET_NAMES = ("CONNECT_API_KEY", "CONNECT_TASKS_EMULATOR_KEY")
#: Shorter values would mask half of the output: `1`, `dev`, `yes`.
SHORTEST = 5
#: A piece of a secret that was cut in two is known as such from this length on.
PIECE = 8
#: `ssh://git@host` says nothing; any other userinfo may be a token. Bounded, so that a megabyte of letters costs a
#: megabyte's time.
_USERINFO = re.compile(r"(?<![a-zA-Z0-9+.-])(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)(?!git@)[^/\s'\"]+@")
_ELLIPSIS = re.compile(r"(\.{3}|…)")
#: The key of somebody else, in a request that some program logged.
_AUTHORIZATION = re.compile(
    r"(?i)(?P<header>authorization['\"]?\s*[:=]\s*['\"]?(?:key|basic|bearer|token)\s+)[^\s'\",]+"
)


class Secret:
    """A value that `str()` and `repr()` never show; `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Redactor:
    """Replaces known secrets, in every spelling in which they travel, the userinfo of any URL, and authorization
    headers.

    A secret that was cut in two, by a line's end or by somebody's limit, is masked on both sides if the pieces stand at
    the line's edges.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._spellings: tuple[str, ...] = ()
        self.add(*secrets)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Redactor:
        """One that knows the keys of this environment."""
        return cls(Secret(environ[name]) for name in SECRET_NAMES if environ.get(name))

    def add(self, *secrets: Secret) -> None:
        found = set(self._spellings)
        for secret in secrets:
            for value in _values(secret.reveal()):
                found.update(_spellings(value))
        self._spellings = tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        for spelling in self._spellings:
            text = _without_pieces(text, spelling)
        text = _AUTHORIZATION.sub(rf"\g<header>{MASK}", text)
        return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)

    def data(self, data: Any) -> Any:
        """Plain data with each text masked by itself: in the JSON of all of it, a secret may stand in escapes within
        escapes."""
        return each_text(data, self)


def each_text(data: Any, change: Callable[[str], str]) -> Any:
    """Plain data with each of its texts changed, those of keys too."""
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {change(key): each_text(value, change) for key, value in data.items()}
    if isinstance(data, (list, tuple, deque)):
        return [each_text(value, change) for value in data]
    return data


def _values(value: str) -> Iterator[str]:
    """What to look for: the value, and each line of one that has several (a private key is logged line by line)."""
    if len(value) >= SHORTEST:
        yield value
        if len(value.strip()) >= SHORTEST:
            yield value.strip()  # what is read from a file ends with a newline
    for line in value.splitlines():
        if len(line.strip()) >= (PIECE if line != value else SHORTEST):
            yield line.strip()


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogateescape")  # an environment variable may hold any byte
    yield value
    yield quote_plus(raw)
    for safe in ("", "/", "!'()*"):  # strict; urllib's default; JavaScript's encodeURIComponent
        encoded = quote(raw, safe=safe)
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda escape: escape.group().lower(), encoded)
    for ascii_only in (True, False):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    yield repr(value)[1:-1]  # what prints a dict of the environment, or a traceback
    yield repr(raw)[2:-1]
    yield shlex.quote(value)  # `set -x`
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield raw.hex()
    yield raw.hex().upper()
    yield from _base64_cores(raw)


def _base64_cores(raw: bytes) -> Iterator[str]:
    """Base64 depends on where a value starts within a group of three bytes, and in a header ("Basic user:key") it may
    start anywhere.

    So for each of the three offsets: the characters that are the same whatever stands before and after.
    """
    for offset in range(3):
        bits = 8 * (offset + len(raw))
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * offset + raw).decode()[(0, 2, 3)[offset] : bits // 6]


def _without_pieces(text: str, spelling: str) -> str:
    """Mask a beginning of the secret at a line's end, an end of it at a line's start, and a line that is a part of
    it. An ellipsis is an edge as well: test runners shorten long values by one."""
    if len(spelling) <= PIECE:
        return text
    head, tail = spelling[:PIECE], spelling[-PIECE:]
    if head not in text and tail not in text and len(text) > len(spelling):
        return text
    lines = (_without_piece(line, spelling, head, tail) for line in text.splitlines(keepends=True))
    parts = (part for line in lines for part in _ELLIPSIS.split(line))
    return "".join(_without_piece(part, spelling, head, tail) for part in parts)


def _without_piece(line: str, spelling: str, head: str, tail: str) -> str:
    content = line.strip()
    if len(content) >= PIECE and content in spelling:
        return line.replace(content, MASK)
    start = content.find(head, max(0, len(content) - len(spelling)))
    while start >= 0:
        if spelling.startswith(content[start:]):
            return line.replace(content[start:], MASK)
        start = content.find(head, start + 1)
    end = content.rfind(tail, 0, len(spelling)) + PIECE
    while end >= PIECE:
        if spelling.endswith(content[:end]):
            return line.replace(content[:end], MASK)
        end = content.rfind(tail, 0, end - 1) + PIECE
    return line
