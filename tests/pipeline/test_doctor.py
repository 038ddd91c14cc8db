"""`doctor`: what is well and what is not, in one run, each failure with its cure."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connect_tasks.calling import spelling
from connect_tasks.emulator import running
from connect_tasks.pipeline import checkup, server_checkup
from connect_tasks.pipeline.checkup_values import Check, Verdict
from connect_tasks.secret import Secret
from connect_tasks.server.server_address import ServerAddress
from connect_tasks.server.server_survey import UNVERIFIED
from connect_tasks.stages import doctor

from .conftest import TABLE, Ran, Workshop, make_workshop
from .hands import person, used_by


def checks(ran: Ran) -> dict[str, dict[str, Any]]:
    """By group and name: "server/key"; of several lines of one name the worst."""
    order = ["pass", "skip", "warn", "fail"]
    listed = sorted(ran.report["state"]["checks"], key=lambda check: order.index(check["verdict"]))
    return {f"{check['group']}/{check['name']}": check for check in listed}


def test_all_is_well(workshop: Workshop) -> None:
    writes, head = workshop.writes(), workshop.head

    ran = workshop.run("doctor")

    assert ran.status == 0, ran.said
    found = checks(ran)
    assert {check["verdict"] for check in found.values()} == {"pass"}
    assert found["repository/identity"]["detail"] == "Ada Tester <ada@example.org>"
    assert found["server/item"]["detail"].startswith("none yet")
    assert found["this computer/index"]["detail"]
    assert "main at" in found["repository/branch"]["detail"]
    assert (workshop.writes(), workshop.head) == (writes, head)
    assert workshop.environ["CONNECT_API_KEY"] not in ran.said


def no_server(shop: Workshop) -> None:
    del shop.environ["CONNECT_SERVER"]


def no_key(shop: Workshop) -> None:
    del shop.environ["CONNECT_API_KEY"]


def wrong_key(shop: Workshop) -> None:
    shop.environ["CONNECT_API_KEY"] = "canary-of-a-wrong-key"


def server_down(shop: Workshop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shop.environ["CONNECT_SERVER"] = f"http://127.0.0.1:{free.getsockname()[1]}"


def no_remote(shop: Workshop) -> None:
    shop.git("remote", "remove", "origin")


def no_identity(shop: Workshop) -> None:
    Path(shop.environ["GIT_CONFIG_GLOBAL"]).write_text("")


def half_a_merge(shop: Workshop) -> None:
    (shop.root / ".git" / "MERGE_HEAD").write_text(shop.head)


def no_right_to_push(shop: Workshop) -> None:
    shop.git("config", f"http.{shop.server.url}/.extraHeader", "Authorization: Key nobody")


def another_branch(shop: Workshop) -> None:
    shop.commit(**{"pyproject.toml": TABLE + 'branch = "main"\n'})
    shop.git("switch", "--quiet", "--create", "feature")


def python_of_nobody(shop: Workshop) -> None:
    shop.commit(**{".python-version": "3.99\n"})


def no_dependencies(shop: Workshop) -> None:
    shop.git("rm", "--quiet", "requirements.in")
    shop.commit()


def a_secret(shop: Workshop) -> None:
    shop.commit(**{"prod.env": "A=1\n"})


def no_variable(shop: Workshop) -> None:
    shop.commit(**{"pyproject.toml": TABLE + 'env = ["DATABASE_URL"]\n'})


def work_in_hand(shop: Workshop) -> None:
    shop.write("app.py", "changed = True\n")


CASES: list[tuple[Callable[[Workshop], None], int, str, str, str | None]] = [
    (no_server, 4, "server/server", "fail", "CT700"),
    (no_key, 4, "server/key", "fail", "CT701"),
    (wrong_key, 1, "server/key", "fail", "CT703"),
    (server_down, 1, "server/reach", "fail", "CT702"),
    (no_remote, 1, "repository/remote", "fail", "CT201"),
    (no_identity, 1, "repository/identity", "fail", "CT209"),
    (half_a_merge, 1, "repository/state", "fail", "CT207"),
    (no_right_to_push, 1, "repository/push", "fail", "CT603"),
    (another_branch, 1, "repository/branch", "fail", "CT202"),
    (no_dependencies, 1, "app/dependencies", "fail", "CT301"),
    (a_secret, 1, "app/files", "fail", "CT405"),
    (no_variable, 1, "app/variables", "fail", "CT709"),
    (work_in_hand, 0, "repository/work tree", "warn", "CT203"),
]


@pytest.mark.parametrize(
    ("spoil", "status", "line", "verdict", "code"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_what_is_wrong_stands_in_its_line_with_the_cure(
    workshop: Workshop, spoil: Callable[[Workshop], None], status: int, line: str, verdict: str, code: str | None
) -> None:
    spoil(workshop)

    ran = workshop.run("doctor", "--offline")

    found = checks(ran)
    assert (ran.status, found[line]["verdict"], found[line]["code"]) == (status, verdict, code), ran.said
    assert found[line]["hint"]
    assert found[line]["hint"] in ran.said
    assert found["repository/git"]["verdict"] == "pass"  # what is well is said beside it
    assert ran.report["error"] is None or ran.code == "CT892"


def test_everything_at_once(workshop: Workshop) -> None:
    for spoil in (python_of_nobody, no_remote, no_identity, wrong_key):
        spoil(workshop)

    ran = workshop.run("doctor", "--offline")

    failed = {name for name, check in checks(ran).items() if check["verdict"] == "fail"}
    assert failed == {"repository/remote", "repository/identity", "server/key", "app/python"}
    assert checks(ran)["server/item"]["verdict"] == "skip"
    assert "canary-of-a-wrong-key" not in ran.said + json.dumps(ran.report)


def test_a_viewers_key(workshop: Workshop) -> None:
    found = checks(used_by(workshop, person(workshop, "viewer")).run("doctor", "--offline"))

    assert (found["server/key"]["verdict"], found["server/item"]["verdict"]) == ("fail", "skip")
    assert "a viewer" in found["server/key"]["detail"]


def test_an_index_that_does_not_answer_and_who_named_it(workshop: Workshop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        workshop.environ |= {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
        workshop.environ["PIP_INDEX_URL"] = f"http://ada:pa55word@127.0.0.1:{free.getsockname()[1]}/simple"

    ran = workshop.run("doctor")
    offline = checks(workshop.run("doctor", "--offline"))["this computer/index"]

    assert (ran.status, checks(ran)["this computer/index"]["verdict"]) == (1, "fail"), ran.said
    assert offline["detail"].endswith("by PIP_INDEX_URL")
    workshop.environ["PIP_EXTRA_INDEX_URL"] = "http://ada:pa55word@127.0.0.1:9/more"
    further = checks(workshop.run("doctor", "--offline"))["this computer/index"]["detail"]
    assert further.endswith("; besides http://127.0.0.1:9/more, by PIP_EXTRA_INDEX_URL")
    assert "pa55word" not in ran.said + offline["detail"]


def test_a_server_without_git_without_drafts(tmp_path: Path, private_home: Path) -> None:
    with running(tmp_path / "connect", without=["git"], connect_version="2024.08.0") as server:
        shop = make_workshop(server, tmp_path, "old")
        found = checks(shop.run("doctor", "--offline"))

    assert (found["server/git support"]["code"], found["server/drafts"]["verdict"]) == ("CT713", "warn")
    assert found["server/item"]["verdict"] == "skip"


def test_a_clock_that_is_wrong(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr(server_checkup.time, "time", lambda: now() + 600)

    clock = checks(workshop.run("doctor", "--offline"))["server/clock"]

    assert clock["verdict"] == "warn"
    assert re.fullmatch(r"is 60[0-2] s ahead of the server's", clock["detail"])


def test_a_cure_names_the_session_as_it_is_called_here(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check(group="app", name="content", verdict=Verdict.WARN, detail="old", hint="nox -s release -- --force")
    monkeypatch.setattr(doctor, "examine", lambda *_: [check])

    ran = workshop.run("doctor", spelled=spelling({"release": "connect_release"}))

    assert "next: nox -s connect_release -- --force" in ran.said
    assert checks(ran)["app/content"]["hint"] == "nox -s connect_release -- --force"


@pytest.mark.parametrize(("free", "verdict"), [(5 << 30, "pass"), (1 << 30, "warn"), (1 << 20, "fail")])
def test_room_on_the_disk(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    ran = workshop.run("doctor", "--offline")

    disk = checks(ran)["this computer/disk"]
    assert (disk["verdict"], ran.status) == (verdict, int(verdict == "fail"))
    assert f"{free / (1 << 30):.1f} GB free" in disk["detail"]
    assert (disk["hint"] is None) == (verdict == "pass")


AT_WORK = ServerAddress(url="https://connect.example.com", key=Secret("a-key-of-nobody"), source="the test")
#: Address, variables -> the proxy; the certificates, and how they are.
WAYS: list[tuple[ServerAddress, dict[str, str], str, str, str]] = [
    (AT_WORK, {}, "none", "the public authorities that come with requests", "pass"),
    (
        AT_WORK,
        {"HTTPS_PROXY": "http://ada:pa55word@proxy.example.com:3128", "SSL_CERT_FILE": "/etc/company.pem"},
        "proxy.example.com:3128, by HTTPS_PROXY",
        "/etc/company.pem, by SSL_CERT_FILE",
        "pass",
    ),
    (
        replace(AT_WORK, ca=Path("/etc/ours.pem")),
        {"REQUESTS_CA_BUNDLE": "/etc/others.pem", "HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "example.com"},
        "none",
        "/etc/ours.pem, by CONNECT_CA_CERTIFICATE",
        "pass",
    ),
    (replace(AT_WORK, insecure=True), {}, "none", UNVERIFIED, "warn"),
    (
        replace(AT_WORK, url="http://connect.example.com"),
        {},
        "none",
        "none: http, the key travels in the clear",
        "warn",
    ),
]


@pytest.mark.parametrize(("address", "variables", "proxy", "trusted", "verdict"), WAYS)
def test_the_way_to_the_server_and_who_says_so(
    address: ServerAddress,
    variables: dict[str, str],
    proxy: str,
    trusted: str,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*os.environ,):
        if name.lower().endswith("_proxy") or name in server_checkup._CERTIFICATES:
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    found = {check.name: check for check in server_checkup._way(address, os.environ)}

    assert found["proxy"].detail == proxy
    assert (found["certificates"].detail, str(found["certificates"].verdict)) == (trusted, verdict)
