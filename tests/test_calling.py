"""Hints name commands that exist where they are read."""

from __future__ import annotations

import pytest

from connect_tasks.calling import called_as, respell, spelling
from connect_tasks.errors import Drift, Problems, PushRejected
from connect_tasks.verbs import NAMES

ALL = {name: name for name in NAMES}


@pytest.mark.parametrize(
    ("sessions", "hint", "spelled"),
    [
        (ALL, "nox -s release -- --app sales", "nox -s release -- --app sales"),
        (ALL | {"release": "connect_release"}, "nox -s release -- --force", "nox -s connect_release -- --force"),
        (ALL | {"commit": "ours_commit"}, "nox -s freeze manifest commit", "nox -s freeze manifest ours_commit"),
        ({"check": "check"}, "nox -s release -- --force", "python -m connect_tasks release --force"),
        ({}, "nox -s push deploy", "python -m connect_tasks push && python -m connect_tasks deploy"),
        (
            {"release": "r"},
            "nox -s status shows what is live; else: nox -s release -- --force",
            "python -m connect_tasks status shows what is live; else: nox -s r -- --force",
        ),
        ({}, "declare it, then nox -s freeze; or", "declare it, then python -m connect_tasks freeze; or"),
        ({}, "nox -s releases", "nox -s releases"),
        ({}, "git push", "git push"),
    ],
)  # fmt: skip
def test_a_command_is_spelled_as_it_is_called_here(sessions: dict[str, str], hint: str, spelled: str) -> None:
    assert spelling(sessions)(hint) == spelled


def test_every_member_of_a_group_is_spelled() -> None:
    group = Problems((Drift("one", hint="nox -s freeze"), PushRejected("two")))

    respell(group, spelling({"freeze": "connect_freeze"}))

    assert group.hint == "nox -s connect_freeze"
    assert [member.hint for member in group.problems] == ["nox -s connect_freeze", None]


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/home/ada/.local/bin/connect-tasks", "connect-tasks"),
        ("connect-tasks.exe", "connect-tasks"),
        ("/site-packages/connect_tasks/__main__.py", "python -m connect_tasks"),
        ("-c", "python -m connect_tasks"),
    ],
)
def test_whoever_calls_the_program_is_told_of_the_program(path: str, command: str) -> None:
    assert called_as(path) == command
    assert spelling({}, called_as(path))("nox -s release -- --force") == f"{command} release --force"
