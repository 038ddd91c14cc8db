"""The rules for names and places, against git, uv and rsconnect-python themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
import uv
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connect_tasks.configuration import rules
from connect_tasks.configuration.app_mode import MODES, find_mode
from connect_tasks.configuration.keys import MODE_NAMES, PLATFORMS
from connect_tasks.configuration.toml_text import Document

REFS = st.text(st.sampled_from("ab/.-@{}~^:?*[\\ \t\x7f\x00HEADlock"), min_size=1, max_size=12)


def git_accepts(branch: str) -> bool:
    command = ["git", "check-ref-format", "--branch", branch]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@settings(max_examples=300, deadline=None)
@example("@")
@example("HEAD")
@example("a.lock/b")
@example("a/.b")
@example("a@{b")
@example("--upload-pack=x")
@example("feature/x_1.2")
@given(REFS)
def test_a_ref_is_what_git_says(text: str) -> None:
    if "\0" in text or text == "@" or text.startswith("@{-"):  # can't even be passed to git
        assert rules.ref(text)
    else:
        assert (rules.ref(text) is None) == git_accepts(text)


PATHS = st.lists(st.sampled_from(["..", ".", "", "a", "b c", "~", "-x", "C:", "nul", "x.", ".git", "\\"]), max_size=5)


@settings(max_examples=500, deadline=None)
@given(PATHS.map("/".join))
def test_a_path_that_is_accepted_stays_inside(text: str) -> None:
    if rules.path(text) is not None:
        return
    for flavour in (PurePosixPath, PureWindowsPath):
        path = flavour(rules.normal_path(text))
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts
    assert not rules.normal_path(text).startswith(("-", "/"))
    assert rules.path(rules.normal_path(text)) is None
    assert rules.normal_path(rules.normal_path(text)) == rules.normal_path(text)


@pytest.mark.parametrize(
    "name", ["con", "PRN", "aux.txt", "Nul", "com1", "LPT9.log", "conin$", "com¹", "nul ", "nul .x"]
)
def test_reserved_names_of_windows(name: str) -> None:
    assert rules.path(f"apps/{name}/x")


@pytest.mark.parametrize("name", ["console", "com", "com10", "nulls", "auxiliary", "a.con"])
def test_names_that_windows_allows(name: str) -> None:
    assert rules.path(f"apps/{name}/x") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.com",
        "http://localhost:3939",
        "http://127.0.0.1:80/x/",
        "https://[::1]:3939/rsc",
        "https://xn--nxasmq6b/",
    ],
)
def test_urls(url: str) -> None:
    assert rules.url(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ssh://git@example.com/x",
        "file:///etc/passwd",
        "https://",
        "https://user@example.com",
        "https://:hunter22@example.com",
        "https://example.com:99999",
        "https://exa mple.com",
        "https://example.com/\n",
        "https://example.com/a?b",
        "https://example.com/#b",
        "https://example.com\\@evil.example.com",
        "https://[::1",
        "-https://example.com",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_url(url: str) -> None:
    complaint = rules.url(url)
    assert complaint
    assert "hunter22" not in complaint


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"(https?://)?[a-z@:/?#\[\]\\0-9.-]{0,20}", fullmatch=True))
def test_no_rule_raises(text: str) -> None:
    every = [
        rule for rule in vars(rules).values() if callable(rule) and getattr(rule, "__module__", "") == rules.__name__
    ]
    assert len(every) > 15
    for rule in every:
        assert isinstance(rule(text), str | None)


def test_platforms_are_those_of_uv_that_run_linux() -> None:
    help_text = subprocess.run(
        [uv.find_uv_bin(), "pip", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    values = re.search(r"--python-platform <.*?possible\s+values:\s+([^\]]*)\]", help_text, re.DOTALL)
    assert values
    known = set(re.split(r",\s*", values[1]))
    linux = {name for name in known if "linux" in name and "android" not in name and "riscv" not in name}
    assert set(PLATFORMS) == linux


def test_every_spelling_of_a_mode_is_one() -> None:
    assert {find_mode(name).name for name in MODE_NAMES} == {mode.name for mode in MODES}


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("[a.b]", ("a", "b"), 1),
        ("[ a . 'b.c' ] # x", ("a", "b.c"), 1),
        ("[[a.b]]", ("a", "b", 0), 1),
        ("a.b = 1", ("a", "b"), 1),
        ('"a".b = 1', ("a", "b", "c"), 1),
        ("\n\n[a]\nb = { c = 1 }", ("a", "b", "c"), 4),
        ("[a]\nb = 1\n[c]\nb = 2", ("c", "b"), 4),
        ("[a]\nx = 1", ("a", "gone"), 1),
        ("x = 1", ("gone",), None),
        ("a = [\n  1,\n]", ("a", 1), 1),
    ],
)
def test_line_of_a_key(line: str, place: tuple[str | int, ...], expected: int | None) -> None:
    problem = Document("f.toml", line, {}).problem(place, "is wrong")
    assert problem.where == (f"f.toml:{expected}" if expected else "f.toml")


def test_the_longest_name_of_a_file(tmp_path: Path) -> None:
    assert rules.path("a" * 255) is None
    assert rules.path("a" * 256)
    assert rules.path("ä" * 128)
