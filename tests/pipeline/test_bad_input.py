"""Bad input gets one clear line with the next command; nothing is changed, no traceback, no key."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from .conftest import TABLE, Workshop

pytestmark = pytest.mark.usefixtures("clean_machine")


def no_configuration(workshop: Workshop) -> None:
    workshop.git("rm", "--quiet", "pyproject.toml")
    workshop.git("commit", "--quiet", "-m", "no table")


def no_server(workshop: Workshop) -> None:
    del workshop.environ["CONNECT_SERVER"]


def no_key(workshop: Workshop) -> None:
    del workshop.environ["CONNECT_API_KEY"]


def wrong_key(workshop: Workshop) -> None:
    workshop.environ["CONNECT_API_KEY"] = "canary-of-a-wrong-key"


def server_down(workshop: Workshop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        workshop.environ["CONNECT_SERVER"] = f"http://127.0.0.1:{free.getsockname()[1]}"


def server_is_another_page(workshop: Workshop) -> None:
    workshop.environ["CONNECT_SERVER"] = f"{workshop.server.url}/git"


def not_a_repository(workshop: Workshop) -> None:
    workshop.root = workshop.root.parent / "plain"
    workshop.root.mkdir()


def no_remote(workshop: Workshop) -> None:
    workshop.git("remote", "remove", "origin")


def wrong_entrypoint(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": TABLE.replace("app:app", "app:nothing")})


def another_branch(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": TABLE + 'branch = "main"\n'})
    workshop.git("switch", "--quiet", "--create", "feature")


def unknown_key_of_the_table(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": TABLE + 'entry_point = "app:app"\n'})


CASES: list[tuple[Callable[[Workshop], None], int, str, str, str]] = [
    (no_configuration, 4, "CT101", "tool.connect-tasks", "pyproject.toml"),
    (no_server, 4, "CT700", "no server", "CONNECT_SERVER"),
    (no_key, 4, "CT701", "no key", "CONNECT_API_KEY"),
    (wrong_key, 1, "CT703", "does not accept the key", "CONNECT_API_KEY"),
    (server_down, 1, "CT702", "connection refused", "CONNECT_SERVER"),
    (server_is_another_page, 1, "CT704", "", "server"),
    (not_a_repository, 1, "CT200", "not inside a git repository", "nox -s init"),
    (no_remote, 1, "CT201", "no remote 'origin'", "git remote add"),
    (wrong_entrypoint, 1, "CT401", "no nothing", "app:app"),
    (another_branch, 1, "CT202", "HEAD is on feature", "git switch main"),
    (unknown_key_of_the_table, 4, "CT102", "did you mean entrypoint", "pyproject.toml"),
]


@pytest.mark.parametrize(("spoil", "status", "code", "what", "cure"), CASES, ids=[case[0].__name__ for case in CASES])
def test_one_line_and_the_next_command(
    workshop: Workshop, spoil: Callable[[Workshop], None], status: int, code: str, what: str, cure: str
) -> None:
    writes = workshop.writes()
    spoil(workshop)
    head = workshop.git("rev-parse", "--verify", "--quiet", "HEAD", ok=False)
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (status, code), ran.said
    error = ran.report["error"]
    assert what in error["message"]
    assert cure in error["hint"]
    assert "\n" not in error["message"] + error["hint"]
    assert "Traceback" not in ran.said
    assert workshop.environ.get("CONNECT_API_KEY", "absent-key") not in ran.said
    assert workshop.git("rev-parse", "--verify", "--quiet", "HEAD", ok=False) == head
    assert workshop.writes() == writes
    assert ran.report["result"] == "failed"


def test_all_problems_are_told_at_once(workshop: Workshop) -> None:
    workshop.git("remote", "remove", "origin")
    del workshop.environ["CONNECT_API_KEY"]
    workshop.write("app.py", "changed = True\n")
    ran = workshop.run("release")
    assert {"CT201", "CT203", "CT701"} <= {problem["code"] for problem in ran.report["error"]["all"]}
