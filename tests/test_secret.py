"""Secrets do not show, in whatever spelling they travel, and other text stays as it is."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connect_tasks.secret import MASK, Redactor, Secret

CANARY = 'c4n4ry/"Key"+with=every&kind 0f <l3tter>ü'
#: A value as somebody may choose it, and what may stand around it.
values = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=5, max_size=60)
around = st.binary(max_size=5)


def redactor(*values: str) -> Redactor:
    return Redactor(Secret(value) for value in values)


def test_a_secret_shows_itself_to_nobody_but_who_asks() -> None:
    secret = Secret(CANARY)

    shown = f"{secret} {secret!r} {[secret]} {vars(type(secret)).get('__dict__')}"
    assert CANARY not in shown
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY) != Secret("other")
    assert hash(secret) == hash(Secret(CANARY))


SPELLINGS = {
    "raw": CANARY,
    "strict url": quote(CANARY, safe=""),
    "path of a url": quote(CANARY),
    "form": quote_plus(CANARY),
    "javascript": quote(CANARY, safe="!'()*"),
    "lower-case url": quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d")
    .replace("%3C", "%3c").replace("%3E", "%3e").replace("%C3%BC", "%c3%bc"),
    "json": json.dumps(CANARY),
    "json with letters": json.dumps(CANARY, ensure_ascii=False),
    "html": html.escape(CANARY),
    "hex": CANARY.encode().hex(),
    "upper-case hex": CANARY.encode().hex().upper(),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 for urls": base64.urlsafe_b64encode(CANARY.encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_masked(spelling: str) -> None:
    shown = redactor(CANARY)(f"<{spelling}>")

    assert shown.strip('<">') == MASK


@given(values, around, around)
@example("aaaaaa", b"a", b"a")
def test_base64_is_masked_wherever_the_secret_stands(value: str, before: bytes, after: bytes) -> None:
    """What stays are the neighbours' characters, and of the secret those that hold bits of a neighbour, too."""
    encoded = base64.b64encode(before + value.encode() + after).decode()

    shown = redactor(value)(encoded)

    kept = shown.replace(MASK, "").rstrip("=")
    assert MASK in shown
    assert len(kept) <= 8 * len(before + after) / 6 + 2


@given(values, st.text(max_size=20), st.text(max_size=20))
def test_no_secret_comes_through(value: str, before: str, after: str) -> None:
    shown = redactor(value)(f"{before}{value}{after}")

    assert value.strip() not in shown.replace(MASK, "\0") or len(value.strip()) < 5


@given(st.text(max_size=200))
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redactor("a-key-that-nobody-writes-by-chance")(text) == text or "://" in text or "uthorization" in text


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=16, max_size=60), st.data())
def test_the_pieces_of_a_cut_secret_are_masked(value: str, data: st.DataObject) -> None:
    """A line's end, or a limit, may cut it; pieces of less than eight characters are too little to be known."""
    cut = data.draw(st.integers(8, len(value) - 8))

    redact = redactor(value)
    head, tail = redact(f"the key is {value[:cut]}"), redact(f"{value[cut:]} was the key")

    assert value[:cut] not in head
    assert value[cut:] not in tail


def test_a_private_key_is_masked_line_by_line() -> None:
    lines = [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEF",
        "AASCBKcwggSjAgEAAoIBAQC7VJTU",
        "-----END KEY-----",
    ]
    redact = redactor("\n".join(lines) + "\n")

    assert redact("\n".join(lines)) == MASK
    assert redact(f"line 2: {lines[1]} is bad") == f"line 2: {MASK} is bad"
    assert redact(f"  {lines[2]}\n") == f"  {MASK}\n"


def test_base64_that_was_folded_is_masked() -> None:
    long_secret = "0123456789abcdef" * 10

    shown = redactor(long_secret)(base64.encodebytes(long_secret.encode()).decode())

    assert set(shown.splitlines()) == {MASK, f"{MASK}g=="}


def test_short_values_are_no_secrets() -> None:
    assert redactor("1", "dev", "yes", "")("1 dev yes") == "1 dev yes"


def test_a_longer_secret_goes_first() -> None:
    assert redactor("abcde", "abcdefgh")("abcdefgh") == MASK


def test_an_environment_variable_may_hold_any_byte() -> None:
    value = b"caf\xe9-secret".decode("utf-8", "surrogateescape")

    assert redactor(value)(f"x {value} y {quote(b'caf' + bytes([0xE9]) + b'-secret')}") == f"x {MASK} y {MASK}"


def test_the_keys_of_the_environment_are_known() -> None:
    redact = Redactor.of_environment(
        {"CONNECT_API_KEY": "abcdefgh", "CONNECT_TASKS_EMULATOR_KEY": "", "HOME": "/home/me"}
    )

    assert redact("abcdefgh at /home/me") == f"{MASK} at /home/me"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa55@git.example.com/x", "https://****@git.example.com/x"),
        ("https://me:p@ss@git.example.com/x", "https://****@git.example.com/x"),
        ("https://token@git.example.com", "https://****@git.example.com"),
        ("postgresql+psycopg://me:pa55@db/x", "postgresql+psycopg://****@db/x"),
        ("'http://a:b@c/' and http://d:e@f/", "'http://****@c/' and http://****@f/"),
        ("ssh://git@git.example.com/x", "ssh://git@git.example.com/x"),
        ("https://git.example.com/x?by=me@example.com", "https://git.example.com/x?by=me@example.com"),
        ("write to me@example.com", "write to me@example.com"),
        ("Authorization: Key 0123456789", "Authorization: Key ****"),
        ("'authorization': 'Bearer abc.def'", "'authorization': 'Bearer ****'"),
        ("Authorization: Basic dXNlcjpwYXNz, Host: x", "Authorization: Basic ****, Host: x"),
        ("authorization is required", "authorization is required"),
    ],
)
def test_what_looks_like_a_credential_is_one(text: str, shown: str) -> None:
    assert redactor()(text) == shown


def test_a_long_text_costs_no_more_than_its_length() -> None:
    """Quadratic, these would take minutes; the limit of a test would end it."""
    redact = redactor(CANARY, "another-secret")

    for text in ("a" * 2_000_000, "a://" * 500_000, "Authorization: Key " * 100_000, "line\n" * 400_000):
        redact(text)
