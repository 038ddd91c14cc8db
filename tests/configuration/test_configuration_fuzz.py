"""Documents shaped like ours with anything in them: a `Config` or a `Problem` that says where, never a traceback."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from connect_tasks.configuration import Config, explain, load, resolve, rules
from connect_tasks.configuration.keys import APP_KEYS, PROCESS_KEYS, TEST_KEYS, VERIFY_KEYS
from connect_tasks.errors import ConfigurationInvalid, Problem, Problems

SECRET = "hunter2hunter2"

#: Words with a history: paths, options, URLs, refs, control characters, the right spellings, and a secret.
WORDS = st.sampled_from(
    [
        "",
        " ",
        ".",
        "..",
        "a",
        "a/b",
        "/etc",
        "C:\\x",
        "nul",
        "-rf",
        "--upload-pack=x",
        "main",
        "a..b",
        "sales",
        "connect",
        "a\nb",
        "\u202e",
        "\x00",
        "\ud7ff",
        "💥",
        "ä" * 200,
        "x" * 5000,
        "'",
        "*.py",
        "[",
        "[[a]",
        "(",
        "(a+)+$",
        "DATABASE_URL",
        "flask",
        "python-api",
        "3.12",
        ">=3.10",
        "app:app",
        "pytest -q",
        "200",
        "/health",
        "//h/",
        "linux",
        "resolve",
        "all",
        f"A={SECRET}",
        f"https://u:{SECRET}@h/x",
        "https://example.com",
        "http://[::1",
        "https://h:99999",
        "b99b9b77-a8ae-4ecd-93aa-3c23baf9bf96",
    ]
)
#: A key is shown in messages, a value never.
KEYS = WORDS.filter(lambda word: SECRET not in word)
SCALARS = (
    WORDS
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, 60, 200, 302, 0.5, 1e308])
    | st.floats()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
RIGHT = {
    name: st.just(tomli.loads(f"x = {key.example}")["x"])
    for keys in (TEST_KEYS, VERIFY_KEYS, PROCESS_KEYS, APP_KEYS)
    for name, key in keys.items()
}


def table(keys: Mapping[str, Any], **inner: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """A table with some of our keys, each right or anything, and now and then a key that is none of ours."""
    ours = {name: RIGHT[name] | inner.get(name, VALUES) for name in keys}
    more = {name: strategy for name, strategy in inner.items() if name not in keys}
    known = st.fixed_dictionaries({}, optional={**ours, **more})
    return st.builds(lambda one, other: {**other, **one}, known, st.dictionaries(KEYS, VALUES, max_size=1))


TEST, VERIFY, PROCESS = table(TEST_KEYS), table(VERIFY_KEYS), table(PROCESS_KEYS)
NAMES = st.sampled_from(["a", "b", "sales", "../x", "a b", "nul"])
TABLES = {"test": TEST | VALUES, "verify": VERIFY | VALUES, "process": PROCESS | VALUES}
TARGETS = st.dictionaries(NAMES, table(APP_KEYS, **TABLES) | VALUES, max_size=2) | VALUES
APPS = st.dictionaries(NAMES, table(APP_KEYS, **TABLES, targets=TARGETS) | VALUES, max_size=3) | VALUES
OURS = table(APP_KEYS, **TABLES, targets=TARGETS, apps=APPS)
RSCONNECT = st.fixed_dictionaries({}, optional=dict.fromkeys(("app_mode", "entrypoint", "title"), VALUES)) | VALUES
DOCUMENTS = st.fixed_dictionaries(
    {"tool": st.fixed_dictionaries({"connect-tasks": OURS | VALUES}, optional={"rsconnect": RSCONNECT}) | VALUES},
    optional={"project": st.fixed_dictionaries({"name": VALUES}) | VALUES},
)
#: Documents that mostly hold right values, so that the checks of whole apps are reached.
RIGHT_TABLE = st.fixed_dictionaries({}, optional={name: RIGHT[name] for name in APP_KEYS})
RIGHT_APP = st.fixed_dictionaries({}, optional={**{name: RIGHT[name] for name in APP_KEYS}, "path": WORDS})
RIGHT_DOCUMENTS = st.builds(
    lambda shared, apps, target: {"tool": {"connect-tasks": {**shared, "apps": apps, "targets": {"t": target}}}},
    RIGHT_TABLE,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), RIGHT_APP, max_size=3),
    RIGHT_TABLE.map(lambda values: {name: value for name, value in values.items() if name != "path"}),
)


def toml(value: object) -> str:
    """TOML for a value; tables inline, which is how the deepest shapes come about."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return repr(value) if math.isfinite(value) else f"{value}"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case _:
            return str(value)


def render(document: Mapping[str, object]) -> str:
    return "".join(f"{key} = {toml(value)}\n" for key, value in document.items())


@cache
def schema() -> Any:
    return jsonschema.Draft7Validator(json.loads((files("connect_tasks") / "schema.json").read_text(encoding="utf-8")))


def look_at(content: bytes) -> Config | None:
    """Load a file with this content and look at what comes of it."""
    with TemporaryDirectory() as place:
        (Path(place) / "pyproject.toml").write_bytes(content)
        try:
            config = load(Path(place))
        except Problem as problem:
            look_at_problem(problem)
            return None
    look_at_config(config)
    return config


def look_at_problem(problem: Problem) -> None:
    for each in problem.problems if isinstance(problem, Problems) else (problem,):
        assert each.code in {"CT101", "CT102"}
        assert each.exit_code == 4
        assert each.where is not None
        assert each.where.split(":")[0] == "pyproject.toml"
        assert each.hint
        for words in (str(each), each.hint):
            assert words.isprintable()
            assert len(words) < 1000
            assert SECRET not in words


def look_at_config(config: Config) -> None:
    """What the rest of the program relies on."""
    for app in (*config.apps, *config.on_targets):
        assert resolve(config, app.name, app.target, {}) == app
        for path in (app.path, app.dependencies or ".", *app.test.paths):
            assert not path.startswith(("/", "-"))
            assert ".." not in path.split("/")
        for ref in (app.remote, app.branch, app.deploy_branch, app.tag):
            assert ref is None or rules.ref(ref) is None
        assert all(rules.environment_name(name) is None for name in (*app.env, *app.test.env))
        assert "@" not in (app.server or "") + (app.repository or "")
        assert 0 < app.push_timeout < math.inf
        assert [key for key, _, _ in explain(config, app)]
        hash(app)  # a value through and through: no list or dictionary is left in it
    assert len({app.path for app in config.apps}) == len(config.apps)


def check(document: Mapping[str, object]) -> None:
    text = render(document)
    config = look_at(text.encode())
    if config is not None and "rsconnect" not in text:
        assert schema().is_valid(tomli.loads(text)["tool"]["connect-tasks"]), "the schema is stricter than the reader"


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS)
def test_documents(document: dict[str, object]) -> None:
    check(document)


@settings(max_examples=200, deadline=None)
@given(RIGHT_DOCUMENTS)
def test_documents_of_right_values(document: dict[str, object]) -> None:
    check(document)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=100)
    | st.text(max_size=100).map(lambda text: f"[tool.connect-tasks]\n{text}".encode("utf-8", "replace"))
)
def test_bytes(content: bytes) -> None:
    look_at(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_document_of_which_a_piece_is_lost(data: st.DataObject) -> None:
    """A merge gone wrong, a disk that was full: a cut anywhere."""
    text = render(data.draw(RIGHT_DOCUMENTS)).encode()
    start = data.draw(st.integers(0, len(text)))
    look_at(text[:start] + text[start + data.draw(st.integers(0, 20)) :])


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(DOCUMENTS | RIGHT_DOCUMENTS)
def test_ten_thousand_documents(document: dict[str, object]) -> None:
    check(document)


def test_a_thousand_wrong_keys_are_all_told() -> None:
    """No message per key may look at the whole file again."""
    lines = "".join(f"key_{number} = {number}\n" for number in range(3000))
    with TemporaryDirectory() as place:
        (Path(place) / "pyproject.toml").write_text(f"[tool.connect-tasks]\n{lines}", encoding="utf-8")
        with pytest.raises(Problems) as caught:
            load(Path(place))
    assert len(caught.value.problems) == 3000
    assert caught.value.problems[-1].where == "pyproject.toml:3001"
    assert isinstance(caught.value.problems[0], ConfigurationInvalid)
