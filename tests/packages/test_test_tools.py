"""What the app's tests need besides the app."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connect_tasks.configuration import TestSettings
from connect_tasks.errors import DependenciesMissing, RequirementRefused
from connect_tasks.packages.test_tools import find_test_tools

GROUP = "[dependency-groups]\ntest = ['pytest>=8']\n"
EXTRA = "[project]\nname = 'app'\n[project.optional-dependencies]\ntest = ['pytest', 'coverage']\n"


def find(files: Mapping[str, str], **settings: object) -> tuple[tuple[str, ...], str]:
    tools = find_test_tools(TestSettings(**settings), files, files.__getitem__)  # type: ignore[arg-type]
    return tools.lines, tools.source


def test_nothing_declared_means_pytest_alone() -> None:
    assert find({}) == (("pytest",), "pytest")
    assert find({}, command=("pytest", "-q")) == (("pytest",), "pytest")
    assert find({}, command=("python", "-m", "pytest")) == (("pytest",), "pytest")
    assert find({}, command=("python", "-m", "unittest")) == ((), "nothing declared")


def test_order() -> None:
    files = {
        "pyproject.toml": EXTRA + GROUP + "dev = ['ruff', 'pytest']\n",
        "requirements-test.in": "pytest\nhttpx\n",
        "requirements-dev.txt": "pytest\ntox\n",
    }
    assert find(files, group="dev") == (("ruff", "pytest"), "group dev of pyproject.toml")
    assert find(files) == (("pytest>=8",), "group test of pyproject.toml")
    assert find({**files, "pyproject.toml": EXTRA}) == (("pytest", "coverage"), "extra test of pyproject.toml")
    del files["pyproject.toml"]
    assert find(files) == (("pytest", "httpx"), "requirements-test.in")
    del files["requirements-test.in"]
    assert find(files) == (("pytest", "tox"), "requirements-dev.txt")


def test_an_extra_of_the_tutorial_app_of_flask() -> None:
    project = (
        '[project]\nname = "flaskr"\nversion = "1.0.0"\ndependencies = ["flask"]\n'
        '[project.optional-dependencies]\ntest = ["pytest"]\n'
    )
    assert find({"pyproject.toml": project}) == (("pytest",), "extra test of pyproject.toml")


def test_an_extra_of_setup_cfg() -> None:
    assert find({"setup.cfg": "[options.extras_require]\ntest =\n  pytest\n  requests\n"}) == (
        ("pytest", "requests"),
        "extra test of setup.cfg",
    )


def test_pytest_joins_where_the_command_is_pytest_and_nobody_named_it() -> None:
    assert find({"requirements-dev.txt": "ruff\npytest-cov\n"}) == (
        ("ruff", "pytest-cov", "pytest"),
        "requirements-dev.txt, and pytest",
    )
    assert find({"requirements-dev.txt": "ruff\n"}, command=("make", "test")) == (("ruff",), "requirements-dev.txt")


def test_includes_are_followed_but_not_into_the_apps_own_dependencies() -> None:
    """The pins bring those, and an older committed requirements.txt would contradict them."""
    files = {
        "requirements-test.in": "-r requirements.txt\n-r requirements.in\n-r more.txt\n-c limits.txt\n-e .\n.\nhttpx\n",
        "more.txt": "pytest==8.0\n",
    }
    assert find(files) == (("pytest==8.0", "httpx"), "requirements-test.in")


def test_an_include_that_git_does_not_track_is_named() -> None:
    with pytest.raises(DependenciesMissing) as caught:
        find({"requirements-test.in": "-r more.txt\n"})
    assert (caught.value.where, caught.value.hint) == ("requirements-test.in:1", "git add more.txt")


def test_an_unknown_group_is_an_error() -> None:
    with pytest.raises(DependenciesMissing, match="'tests2' is neither a group nor an extra") as caught:
        find({"pyproject.toml": GROUP}, group="tests2")
    assert caught.value.hint == "add [dependency-groups] tests2 = [...]"


def test_a_secret_in_the_tools_is_refused() -> None:
    with pytest.raises(RequirementRefused, match="credentials") as caught:
        find({"requirements-dev.txt": "pytest\n--extra-index-url https://me:hunter22@host.example/simple\n"})
    assert caught.value.where == "requirements-dev.txt:2"
    assert "hunter22" not in str(caught.value)
