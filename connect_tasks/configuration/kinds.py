"""What a value can be: how it is read, what a person is told when it is something else, and its JSON Schema.

A kind reads a TOML value into ours or raises `Unfit`, which holds every complaint with its place below the value. A
boolean is no number, a string is no list. Messages name kinds and never repeat a value, which may be a secret.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

Place = tuple["str | int", ...]
Complaint = tuple[Place, str]
Rule = Callable[[str], "str | None"]

#: What somebody may be tempted to write into the file, and must not.
_SECRETS = {"api_key", "apikey", "connect_api_key", "key", "password", "secret", "token"}


class Unfit(Exception):
    """A value of another kind: `complaints` are pairs of place below the value and what is wrong there."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__(complaints)
        self.complaints = complaints


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of a table. `about` is the schema's description and the reference's line, `example` TOML for its value."""

    kind: Kind
    about: str
    example: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`read` turns a TOML value into ours or raises `Unfit`. `keys` are those of a table."""

    read: Callable[[object], object]
    schema: Mapping[str, object]
    keys: Mapping[str, Key] | None = None


def describe(value: object) -> str:
    """The kind of a TOML value in words."""
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def shown(word: str) -> str:
    """A word of the user's for a message: quoted, one line, printable, short."""
    printable = word if word.isprintable() else word.encode("unicode_escape").decode("ascii")
    return f'"{printable[:57]}..."' if len(printable) > 60 else f'"{printable}"'


def text(
    rule: Rule | None = None,
    *,
    normal: Callable[[str], str] = str,
    shortest: int = 1,
    longest: int = 1000,
    **schema: object,
) -> Kind:
    """A string that `rule` has nothing against; `normal` brings it into its one spelling."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Unfit(((), f"must be a string, not {describe(value)}"))
        if len(value) < shortest:
            raise Unfit(((), "must not be empty" if shortest == 1 else f"must have at least {shortest} characters"))
        if len(value) > longest:
            raise Unfit(((), f"must have at most {longest} characters"))
        complaint = rule(value) if rule else None
        if complaint:
            raise Unfit(((), complaint))
        return normal(value)

    return Kind(read=read, schema={"type": "string", "minLength": shortest, "maxLength": longest, **schema})


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Unfit(((), f"must be a string, not {describe(value)}"))
        if value not in words:
            near = get_close_matches(value[:100].lower(), words, n=1)
            listed = ", ".join(words) if len(words) < 10 else f"{words[0]} or another of the {len(words)} in the schema"
            raise Unfit(((), f"must be one of {listed}" + (f"; did you mean {near[0]}?" if near else "")))
        return value

    return Kind(read=read, schema={"type": "string", "enum": list(words)})


def flag() -> Kind:
    """true or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Unfit(((), f"must be true or false, not {describe(value)}"))
        return value

    return Kind(read=read, schema={"type": "boolean"})


def whole(least: int, most: int) -> Kind:
    """An integer within bounds."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            found = "a fraction" if isinstance(value, float) else describe(value)
            raise Unfit(((), f"must be a whole number, not {found}"))
        if not least <= value <= most:
            raise Unfit(((), f"must lie between {least} and {most}"))
        return value

    return Kind(read=read, schema={"type": "integer", "minimum": least, "maximum": most})


def number(least: float, most: float, *, above: bool = False) -> Kind:
    """A finite number within bounds; `above`: `least` itself is excluded."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(((), f"must be a number, not {describe(value)}"))
        inside = least <= value <= most and not (above and value == least)  # false for nan
        if not inside:
            raise Unfit(((), f"must be {'above' if above else 'at least'} {least:g} and at most {most:g}"))
        return float(value)

    return Kind(
        read=read, schema={"type": "number", "exclusiveMinimum" if above else "minimum": least, "maximum": most}
    )


def seconds() -> Kind:
    """A time limit: more than nothing, at most a day."""
    return number(0, 86400, above=True)


def scalar() -> Kind:
    """A string, a finite number or a boolean, as it stands."""

    def read(value: object) -> object:
        if not isinstance(value, str | int | float):
            raise Unfit(((), f"must be a string, a number or a boolean, not {describe(value)}"))
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise Unfit(((), "must be a finite number: JSON knows no other"))
        return value

    return Kind(read=read, schema={"type": ["string", "number", "boolean"]})


def many(item: Kind, what: str) -> Kind:
    """A list; every wrong item is reported."""

    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise Unfit(((), f"must be a list of {what}, not {describe(value)}"))
        read = [attempt(item, element) for element in value]
        wrong = [((index, *at), why) for index, (_, complaints) in enumerate(read) for at, why in complaints]
        if wrong:
            raise Unfit(*wrong)
        return tuple(element for element, _ in read)

    return Kind(read=read, schema={"type": "array", "items": item.schema})


def one_or_many(item: Kind, what: str) -> Kind:
    """`200` is short for `[200]`; an empty list says nothing and is refused."""
    several = many(item, what)

    def read(value: object) -> object:
        if not isinstance(value, list):
            return (item.read(value),)
        if not value:
            raise Unfit(((), "must not be empty"))
        return several.read(value)

    return Kind(read=read, schema={"anyOf": [item.schema, {**several.schema, "minItems": 1}]})


def command() -> Kind:
    """An argument list, or a string that is split into one; no shell ever runs it."""
    words = many(text(lambda word: "must not hold a null character" if "\0" in word else None, shortest=0), "strings")

    def read(value: object) -> object:
        if isinstance(value, str):
            try:
                value = shlex.split(value)
            except ValueError as error:
                raise Unfit(((), f"can't be split into words: {str(error).lower()}")) from None
            if {"&&", "||", "|", ";", ">", "<"}.intersection(value):
                raise Unfit(((), "must be one program with its arguments: no shell runs it"))
        elif not isinstance(value, list):
            raise Unfit(((), f"must be a string or a list of strings, not {describe(value)}"))
        program = value[0] if value else ""
        if isinstance(program, str) and (not program.strip() or program.startswith("-")):
            raise Unfit(((), "must start with a program"))
        return words.read(value)

    return Kind(read=read, schema={"anyOf": [{"type": "string", "minLength": 1}, {**words.schema, "minItems": 1}]})


def pairs(value_of: Kind, rule: Rule, what: str) -> Kind:
    """A table with names of the user's own, read into a sorted tuple of pairs."""

    def read(value: object) -> tuple[tuple[str, object], ...]:
        if not isinstance(value, dict):
            raise Unfit(((), f"must be a table of {what}, not {describe(value)}"))
        wrong: list[Complaint] = [((name,), complaint) for name in value if (complaint := rule(name))]
        items = {name: attempt(value_of, element) for name, element in value.items()}
        wrong += [((name, *place), why) for name, (_, complaints) in items.items() for place, why in complaints]
        if wrong:
            raise Unfit(*wrong)
        return tuple((name, items[name][0]) for name in sorted(items))

    return Kind(read=read, schema={"type": "object", "additionalProperties": value_of.schema})


def table(keys: Mapping[str, Key]) -> Kind:
    """A table with keys of ours, read into a dictionary of what was written, defaults not filled in."""

    def read(value: object) -> dict[str, object]:
        values, complaints = read_table(value, keys)
        if complaints:
            raise Unfit(*complaints)
        return values

    properties = {name: {"description": key.about, **key.kind.schema} for name, key in keys.items()}
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return Kind(read=read, schema=schema, keys=keys)


def attempt(kind: Kind, value: object) -> tuple[object, tuple[Complaint, ...]]:
    """The value as we read it, or None and every complaint about it."""
    try:
        return kind.read(value), ()
    except Unfit as unfit:
        return None, unfit.complaints


def read_table(
    value: object, keys: Mapping[str, Key], others: Collection[str] = ()
) -> tuple[dict[str, object], list[Complaint]]:
    """All that is right in a table and all that is wrong. `others` are right too, but read elsewhere."""
    if not isinstance(value, dict):
        return {}, [((), f"must be a table, not {describe(value)}")]
    values: dict[str, object] = {}
    complaints: list[Complaint] = []
    for name, element in value.items():
        if name not in keys:
            complaints.append(((name,), _unknown(name, keys, others)))
            continue
        read, wrong = attempt(keys[name].kind, element)
        complaints += [((name, *place), why) for place, why in wrong]
        if not wrong:
            values[name] = read
    return values, complaints


def _unknown(name: str, keys: Mapping[str, Key], others: Collection[str]) -> str:
    """What to say of a key that we don't know: a slip, a key of a table inside this one, or a secret."""
    word = name[:100].lower().replace("-", "_")
    if word in _SECRETS:
        return "must not stand in a file: the key comes from CONNECT_API_KEY, or from a server saved by `rsconnect add`"
    inner = [f"{outer}.{word}" for outer, key in keys.items() if key.kind.keys and word in key.kind.keys]
    near = inner or get_close_matches(word, [*keys, *others], n=1)
    return "is not a known key" + (f"; did you mean {near[0]}?" if near else "")
