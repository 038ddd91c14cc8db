"""Secrets are a type of their own, and everything we print goes through a redactor."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "****"
#: Shorter values would mask half of the output: `1`, `dev`, `yes`.
SHORTEST = 5
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@'\"]+@")


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
    """Replaces known secrets, in every spelling in which they travel, and the userinfo of any URL."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._spellings: tuple[str, ...] = ()
        self.add(*secrets)

    def add(self, *secrets: Secret) -> None:
        found = set(self._spellings)
        for secret in secrets:
            value = secret.reveal()
            if len(value) >= SHORTEST:
                found.update(_spellings(value))
        self._spellings = tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)


def _spellings(value: str) -> Iterable[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    raw = value.encode()
    # Base64 depends on where the value starts within a group of three bytes: as a header ("Basic user:key") it may start anywhere, so the part that is
    # the same for every neighbour is masked for each of the three offsets.
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * offset + raw).decode()
            start, end = (0, 2, 3)[offset], len(encoded) - (0 if (len(raw) + offset) % 3 == 0 else 4)
            if end - start >= SHORTEST:
                yield encoded[start:end]
    yield raw.hex()
