"""Which Python the app declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from connect_tasks.errors import PythonMissing
from connect_tasks.packages.python_version import declared_python


@pytest.mark.parametrize(
    ("text", "requires", "minor"),
    [
        ("3.12\n", "~=3.12.0", (3, 12)),
        ("3.12.1", "~=3.12.0", (3, 12)),
        ("3.12.x", "~=3.12.0", (3, 12)),
        ("cpython-3.12", "~=3.12.0", (3, 12)),
        ("cpython@3.12.4", "~=3.12.0", (3, 12)),
        ("python-3.11.2", "~=3.11.0", (3, 11)),
        ("# ours\n\n3.12  # as the server\n", "~=3.12.0", (3, 12)),
        ("3.12.1\n3.11.7\n", "~=3.12.0", (3, 12)),
        ("\ufeff3.12\r\n", "~=3.12.0", (3, 12)),
        ("3", "~=3.0", None),
        ("3.12.*", "==3.12.*", (3, 12)),
        (">=3.10, <3.13", ">=3.10,<3.13", None),
        (">= 3.11,<3.12", ">=3.11,<3.12", (3, 11)),
    ],
)
def test_python_version_file(text: str, requires: str, minor: tuple[int, int] | None) -> None:
    found = declared_python({".python-version": text}, [], None)
    assert (found.requires, found.minor, found.source) == (requires, minor, ".python-version")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "pypy3.10", "system", "my-venv", "3.12.x.y", "2.7", ">=3.11 or so", "graalpy-24"]
)
def test_what_is_no_python_of_connects_is_an_error_with_its_cure(text: str) -> None:
    with pytest.raises(PythonMissing) as caught:
        declared_python(
            {".python-version": text, "pyproject.toml": "[project]\nrequires-python = '>=3.11,<3.12'\n"}, [], None
        )
    assert caught.value.where == ".python-version"
    assert caught.value.hint == 'echo "3.11" > .python-version, then commit that file'


def test_rsconnect_drops_what_we_read() -> None:
    """The trap: rsconnect-python gives these no constraint and exit code 0, and the server takes any Python."""
    from rsconnect.pyproject import InvalidVersionConstraintError, adapt_python_requires

    for text in ("cpython-3.12", "3.12.x"):
        with pytest.raises(InvalidVersionConstraintError):
            adapt_python_requires(text)
        assert declared_python({".python-version": text}, [], None).requires == "~=3.12.0"


@given(st.integers(0, 40), st.integers(0, 40) | st.none())
def test_where_rsconnect_understands_we_agree(minor: int, patch: int | None) -> None:
    from rsconnect.pyproject import adapt_python_requires

    text = f"3.{minor}" if patch is None else f"3.{minor}.{patch}"
    found = declared_python({".python-version": text}, [], None)
    assert found.requires == adapt_python_requires(text)
    assert found.minor == (3, minor)


@given(st.text(max_size=30))
def test_any_text_is_a_requirement_or_a_problem(text: str) -> None:
    problem = None
    try:
        found = declared_python({".python-version": text}, [], None)
    except PythonMissing as error:
        problem = error
    assert problem is None or problem.hint
    assert problem or SpecifierSet(found.requires)


def test_nearest_file_wins_and_the_source_says_where() -> None:
    root = {".python-version": "3.10", "pyproject.toml": "[project]\nrequires-python = '>=3.8'\n"}
    between = {".python-version": "3.11"}
    assert declared_python({".python-version": "3.12"}, [between, root], None).source == ".python-version"
    assert declared_python({}, [between, root], None).source == "../.python-version"
    found = declared_python({}, [{}, root], None)
    assert (found.minor, found.source) == ((3, 10), "../../.python-version")


def test_a_version_file_of_the_root_goes_before_the_apps_range() -> None:
    app = {"pyproject.toml": "[project]\nrequires-python = '>=3.10'\n"}
    assert declared_python(app, [{".python-version": "3.12"}], None).requires == "~=3.12.0"


def test_requires_python_then_setup_cfg() -> None:
    both = {
        "pyproject.toml": "[project]\nrequires-python = '>=3.10'\n",
        "setup.cfg": "[options]\npython_requires = >=3.9\n",
    }
    assert declared_python(both, [], None).requires == ">=3.10"
    found = declared_python({"setup.cfg": both["setup.cfg"], "pyproject.toml": "[tool.ruff]\n"}, [], None)
    assert (found.requires, found.source) == (">=3.9", "python_requires in setup.cfg")


def test_the_configuration_wins() -> None:
    assert declared_python({".python-version": "3.11"}, [], "3.12").requires == "~=3.12.0"


def test_nothing_declared_is_an_error_with_the_line_that_cures_it() -> None:
    with pytest.raises(PythonMissing) as caught:
        declared_python({}, [{}], None)
    assert caught.value.hint == 'echo "3.12" > .python-version, then commit that file'


def test_a_version_outside_of_the_apps_own_range_is_an_error() -> None:
    app = {".python-version": "3.9", "pyproject.toml": "[project]\nrequires-python = '>=3.11'\n"}
    with pytest.raises(PythonMissing, match=r"3\.9 is excluded by requires-python in pyproject\.toml") as caught:
        declared_python(app, [], None)
    assert 'echo "3.12"' in str(caught.value.hint)


@pytest.mark.parametrize("files", [{"pyproject.toml": "[project\n"}, {"setup.cfg": "x\n"}])
def test_an_unreadable_file_is_named(files: dict[str, str]) -> None:
    with pytest.raises(PythonMissing) as caught:
        declared_python(files, [], None)
    assert caught.value.where in files


def test_allows() -> None:
    found = declared_python({".python-version": "3.12"}, [], None)
    assert found.allows("3.12.9")
    assert not found.allows("3.13.0")
    assert not found.allows("3.11.9")
