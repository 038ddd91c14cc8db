"""Rows 58 to 70 of the faults: what fails says so in one line, nothing goes live that should not, a rerun converges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import Running, running
from connect_tasks.errors import Problem
from connect_tasks.pipeline import activation
from connect_tasks.pipeline.actions import Action, Activate, VisitDraft

from ..clean_machine import Machine
from .fronts import Handler, forward, front
from .site import MANIFEST, PATIENCE, Site, acts, hurry

#: Way -> version and missing abilities of a server that makes us take it.
SERVERS: dict[str, dict[str, Any]] = {
    "commit": {},
    "draft": {"without": ["bundle-from-ref"]},
    "branch": {"without": ["bundle-from-ref", "drafts"]},
    "hidden": {"connect_version": "hidden", "without": ["bundle-from-ref"]},
    "hidden-branch": {"connect_version": "hidden", "without": ["bundle-from-ref", "drafts", "unknown-keys"]},
    "old": {"connect_version": "2024.08.0", "without": ["bundle-from-ref"]},
    "no-git": {"without": ["git"]},
}
WAYS = ("commit", "draft", "branch")
MAKING = r"POST .*/repository/bundle$|POST .*/deploy$"
ITEM = "/__api__/v1/content/[0-9a-f-]+"
READS = {
    "settings": "GET /__api__/server_settings$",
    "user": "GET /__api__/v1/user$",
    "find": r"GET /__api__/v1/content\?",
    "item": f"GET {ITEM}$",
    "link": f"GET {ITEM}/repository$",
    "bundles": f"GET {ITEM}/bundles$",
    "task": "GET /__api__/v1/tasks/",
}
#: What the server makes is not there yet when we look for it first.
SLOW_GIT = {"pattern": "GET /git/", "delay": 0.7, "times": None}
GARBAGE = {"content-encoding": "gzip"}


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory, machine: Machine | None) -> Iterator[Callable[[str], Running]]:
    """A server of a kind, started when it is first asked for."""
    started: dict[str, Running] = {}
    with ExitStack() as stack:

        def server(kind: str) -> Running:
            if kind not in started:
                context = running(tmp_path_factory.mktemp(kind), options=["--faults"], **SERVERS[kind])
                started[kind] = stack.enter_context(context)
                if machine is not None:
                    machine.accept()
            return started[kind]

        yield server


@pytest.fixture(scope="session")
def live_sites(server_of: Callable[[str], Running], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """A page that is live on a server of a kind, made once: each test commits its next version."""
    made: dict[str, Site] = {}

    def site(kind: str) -> Site:
        if kind not in made:
            made[kind] = new_site(server_of(kind), f"site-{kind}", tmp_path_factory.mktemp("journal"))
        return made[kind]

    return site


def new_site(server: Running, name: str, place: Path) -> Site:
    site = Site(server=server, name=name, place=place)
    site.commit_version()
    return site


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return hurry(monkeypatch)


@pytest.fixture
def site_on(live_sites: Callable[[str], Site], patience: Callable[[float], None]) -> Callable[[str], Site]:
    """A site in sync, with its next version committed."""

    def site(kind: str) -> Site:
        found = live_sites(kind)
        found.app, found.before = replace(found.app, path=".", deploy_timeout=60), lambda _: None
        found.api_key = found.url = None
        found.deploy()
        found.commit_version()
        found.said.clear()
        return found

    return site


@pytest.fixture(params=WAYS)
def site(request: pytest.FixtureRequest, site_on: Callable[[str], Site]) -> Site:
    return site_on(request.param)


@pytest.fixture
def by_commit(site_on: Callable[[str], Site]) -> Site:
    return site_on("commit")


def way_of(site: Site) -> str:
    return site.name.removeprefix("site-")


def refusal(site: Site, *faults: dict[str, Any]) -> Problem:
    """The problem that a deploy under faults ends with; it is one line with a cure, and no key."""
    with site.faults(*faults), pytest.raises(Problem) as caught:
        site.deploy()
    problem = caught.value
    told = f"{problem.message} {problem.where} {problem.hint}"
    assert "\n" not in told
    assert "\x1b" not in told
    assert site.server.api_key not in told
    assert problem.where
    return problem


def nothing_new(site: Site, before: str | None) -> None:
    """What was live still is, and its page is as it was."""
    assert site.live() == before
    bundles = {bundle["id"]: bundle for bundle in site.call("GET", f"__api__/v1/content/{site.guid}/bundles")}
    if before is not None:
        assert site.page() == site.versions[bundles[before]["metadata"]["source_commit"]]


# the three ways, and servers that hide what they can ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "way", "prepared"),
    [
        ("commit", "commit", True),
        ("draft", "draft", True),
        ("branch", "branch", False),
        ("hidden", "draft", True),
        ("hidden-branch", "branch", False),
        ("old", "branch", False),
    ],
)
def test_the_way_is_found_by_asking(site_on: Callable[[str], Site], kind: str, way: str, prepared: bool) -> None:
    site = site_on(kind)
    shipment = site.deploy()
    assert (shipment.way, shipment.prepared) == (way, prepared)
    assert shipment.live_commit == site.commit
    assert len(site.bundles(site.commit)) == 1
    site.converges()


def test_git_that_is_switched_off_is_named(server_of: Callable[[str], Running], tmp_path: Path) -> None:
    site = new_site(server_of("no-git"), "no-git", tmp_path)
    problem = refusal(site)
    assert problem.code == "CT713"
    assert "git-backed content is not enabled" in problem.message
    assert "Git.Enabled" in (problem.hint or "")
    assert site.items() == []
    with site.faults({"pattern": READS["settings"], "body": "{}"}):  # a server that does not tell
        assert refusal(site).code == "CT713"


# row 58: refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "says", "cure"),
    [
        ({"pattern": READS["user"], "status": 401}, "CT703", "does not accept the key", "CONNECT_API_KEY"),
        ({"pattern": READS["link"], "status": 403}, "CT704", "answered 403", "collaborator"),
        ({"pattern": READS["find"], "status": 404, "body": "no page"}, "CT704", "404: no page", "`server`"),
        ({"pattern": READS["item"], "status": 404}, "CT706", "is gone", "`guid`"),
        ({"pattern": MAKING, "status": 409, "body": '{"code": 106, "error": "Changed."}'}, "CT704", "Changed.", None),
        ({"pattern": MAKING, "status": 413, "body": "<h1>413</h1>"}, "CT704", "answered 413", "proxy"),
        ({"pattern": MAKING, "status": 407}, "CT702", "a user and a password", "HTTPS_PROXY"),
        ({"pattern": READS["bundles"], "status": 429, "times": None}, "CT704", "answered 429", "wait"),
        (
            {"pattern": READS["bundles"], "status": 429, "headers": {"retry-after": "3600"}},
            "CT704",
            "wait 3600 s",
            "wait",
        ),
    ],
    ids=lambda value: str(value.get("status")) if isinstance(value, dict) else None,
)
def test_a_refusal_is_said_and_changes_nothing(
    by_commit: Site, fault: dict[str, Any], code: str, says: str, cure: str | None
) -> None:
    before = by_commit.live()
    problem = refusal(by_commit, fault)
    assert problem.code == code, problem
    assert says in problem.message
    assert cure is None or cure in (problem.hint or "")
    nothing_new(by_commit, before)
    by_commit.converges()


def test_too_many_requests_are_waited_for(by_commit: Site) -> None:
    fault = {"pattern": READS["bundles"], "status": 429, "headers": {"retry-after": "1"}}
    with by_commit.faults(fault):
        by_commit.deploy()
    statuses = [entry["status"] for entry in by_commit.requests() if entry["path"].endswith("/bundles")]
    assert 429 in statuses
    by_commit.converges()


def test_an_error_that_is_not_connects_keeps_its_status(by_commit: Site) -> None:
    """posit-sdk indexes `code` and `error` of every JSON error; a gateway's has neither."""
    problem = refusal(by_commit, {"pattern": READS["user"], "status": 401, "body": '{"message": "who are you?"}'})
    assert problem.code == "CT703"
    problem = refusal(by_commit, {"pattern": READS["find"], "status": 400, "body": "[1, 2]"})
    assert "answered 400" in problem.message
    by_commit.converges()


# row 59: a server's own faults ----------------------------------------------------------------------------------------


def test_reads_are_repeated(site: Site) -> None:
    statuses = (500, 502, 503, 504, 502, 503, 504)
    faults = [{"pattern": pattern, "status": status} for pattern, status in zip(READS.values(), statuses, strict=True)]
    with site.faults(*faults):
        site.deploy()
    site.converges()


@pytest.mark.parametrize("endpoint", READS)
def test_a_read_that_always_fails_stops_the_deploy(by_commit: Site, endpoint: str) -> None:
    before = by_commit.live()
    problem = refusal(by_commit, {"pattern": READS[endpoint], "status": 503, "times": None})
    assert problem.code == "CT704"
    assert "answered 503" in problem.message
    assert "run the same command again" in (problem.hint or "")
    nothing_new(by_commit, before)
    by_commit.converges()


ANSWERS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"},
    "503": {"status": 503, "headers": {"retry-after": "1"}},
    "504": {"status": 504, "body": ""},
    "429": {"status": 429},
    "reset": {"reset": True},
    "half": {"truncate": 10},
    "html": {"body": "<html>Welcome to our network</html>", "content_type": "text/html"},
    "empty": {"body": ""},
    "bad json": {"body": '{"bundle_id": "1", '},
    "wrong type": {"body": '["task"]'},
    "no fields": {"body": "{}"},
    "gzip": {"body": "no gzip at all", "headers": GARBAGE},
}


@pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_lost_answer_never_makes_a_second_bundle(
    site: Site, patience: Callable[[float], None], nth: int, acted: bool
) -> None:
    """Each POST of a deploy, its answer replaced by each of the above in turn: the server has acted, or has not.

    A server without the first ability refuses the first POST by itself, one without both the first two.
    """
    before = site.live()
    for number, (_, answer) in enumerate(ANSWERS.items()):
        if number % 3 != nth:  # each answer with one POST of each way: all with all takes too long
            continue
        fault = {"pattern": MAKING, "offset": nth, "after_handler": acted, **answer}
        patience(PATIENCE if acts(fault) and nth >= WAYS.index(way_of(site)) else 0.0)
        with site.faults(fault, *([SLOW_GIT] if acted else [])):
            try:
                site.deploy()
            except Problem as problem:
                assert problem.code in {"CT702", "CT704"}, (answer, problem)  # noqa: PT017  # both ends are good
                if way_of(site) != "branch":
                    assert site.live() == before, answer
        patience(PATIENCE)
        site.converges()
        before = site.live()
        site.commit_version()


@pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
def test_an_item_is_created_once(
    server_of: Callable[[str], Running], tmp_path: Path, patience: Callable[[float], None], acted: bool
) -> None:
    site = new_site(server_of("commit"), f"created-{'after' if acted else 'before'}", tmp_path)
    site.app = replace(site.app, env=("SECRET_VALUE",), title="A title", access_type="all")
    writes = ("POST /__api__/v1/content$", "PUT .*/repository$", "PATCH .*/environment$")
    faults = [{"pattern": pattern, "status": 503, "after_handler": acted} for pattern in writes]
    with site.faults(*faults):
        site.deploy()
    (item,) = site.items()
    assert (item["title"], item["access_type"]) == ("A title", "all")
    assert site.call("GET", f"__api__/v1/content/{site.guid}/environment") == ["SECRET_VALUE"]
    site.converges()


def test_a_request_that_arrives_after_we_gave_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs in a proxy until we stop waiting for it, and only then reaches the server."""
    monkeypatch.setattr("connect_tasks.server.connect_transport.READ_TIMEOUT", 2.0)
    through, asked = forward(site.server.url), []

    def answer(handler: Handler) -> None:
        if handler.path.endswith(("/repository/bundle", "/deploy")):
            asked.append(handler.path)
            if len(asked) == 1 + WAYS.index(way_of(site)):  # those before are refused by the server
                time.sleep(3.0)
        through(handler)

    with front(answer) as (site.url, _):
        site.deploy()
    site.url = None
    assert len(asked) >= 2
    site.converges()


# row 60: answers that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"truncate": 20}, "CT702", "cut in the middle"),
        ({"body": '[{"id": '}, "CT704", 'not JSON, so it is not from Connect\'s API: [{"id":'),
        ({"body": "<b>\x1b[31mHotel\n WiFi</b>" + "x" * 999}, "CT704", "<b>Hotel WiFi</b>xxx"),
        ({"body": ""}, "CT704", "the answer is empty"),
        ({"body": "no gzip", "headers": GARBAGE}, "CT702", "garbled"),
        ({"body": '{"message": "hello"}'}, "CT704", "a list was due"),
        ({"body": '["a", "b"]'}, "CT704", "an object was due"),
        ({"body": '[{"title": "no id"}]'}, "CT704", "without `id`"),
        ({"body": "null"}, "CT704", "a list was due"),
        ({"body": "[" * 100_000}, "CT704", "not JSON"),
        ({"status": 302, "headers": {"location": "/__login__?next=x"}}, "CT704", "to another address"),
        ({"status": 302, "headers": {"location": "https://sso.example.com/?s=1"}}, "CT704", "https://sso.example.com/"),
    ],
    ids=["half", "bad", "html", "empty", "gzip", "object", "texts", "no-id", "null", "nested", "login", "sso"],
)
def test_what_is_no_answer_of_connect_is_shown(by_commit: Site, answer: dict[str, Any], code: str, says: str) -> None:
    before = by_commit.live()
    problem = refusal(by_commit, {"pattern": READS["bundles"], "times": None, **answer})
    assert problem.code == code, problem
    assert says in problem.message
    assert len(problem.message) < 400
    nothing_new(by_commit, before)
    by_commit.converges()


# row 61: tasks --------------------------------------------------------------------------------------------------------


def task(**fields: Any) -> str:
    answer = {"id": "x", "output": [], "last": 0, "finished": True, "code": 0, "error": "", "result": None} | fields
    return json.dumps({key: value for key, value in answer.items() if value != "ABSENT"})


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        (task(finished=False), "CT803", "did not finish within"),
        (task(code=1, error="no such package", output=["pip install failed"], last=1), "CT800", "no such package"),
        (task(code=1, output=["ERROR: out of disk", " "], last=2), "CT800", "out of disk"),
        (task(error="it did not work"), "CT800", "it did not work"),
        (task(code="0"), "CT800", "failed"),
        (task(code="ABSENT"), "CT800", "failed"),
        (task(finished="true"), "CT803", "did not finish"),
        (task(finished=1), "CT803", "did not finish"),
        ("{}", "CT803", "did not finish"),
    ],
    ids=["never", "code", "tail", "error", "text", "no-code", "truthy", "one", "nothing"],
)
def test_nothing_less_than_finished_and_code_0_is_a_success(site: Site, state: str, code: str, says: str) -> None:
    before = site.live()
    site.app = replace(site.app, deploy_timeout=0.2)
    problem = refusal(site, {"pattern": READS["task"], "body": state, "times": None})
    assert problem.code == code, problem
    assert says in problem.message
    assert "task " in (problem.where or "")
    if way_of(site) != "branch":  # the fault is in our view only: that server puts the branch live as it was told
        nothing_new(site, before)
    site.app = replace(site.app, deploy_timeout=60)
    site.converges()


def test_a_task_that_vanishes_is_no_success(site: Site) -> None:
    gone = '{"code": 141, "error": "There is no such task."}'
    problem = refusal(site, {"pattern": READS["task"], "status": 404, "body": gone, "times": None})
    assert problem.code == "CT803"
    assert "knows nothing of the deploy task any more" in problem.message
    site.converges()


def test_a_task_without_a_result_is_a_success(by_commit: Site) -> None:
    with by_commit.faults({"pattern": READS["task"], "body": task(result="ABSENT"), "offset": 1, "times": None}):
        by_commit.deploy()  # the answers about the draft and about the activation: both are true by the time of a visit
    by_commit.converges()


def test_a_log_that_shrinks_is_told_once(by_commit: Site) -> None:
    lines = [f"line {number}" for number in range(20_000)]
    state = task(output=lines, last=len(lines), finished=False)
    with by_commit.faults({"pattern": READS["task"], "body": state}):
        by_commit.deploy()  # the next question, for line 20,000, is refused by the server: it has seven
    assert by_commit.said[: len(lines)] == lines
    assert by_commit.said.count("line 1") == 1
    by_commit.converges()


# rows 62 and 63: what the server cloned -------------------------------------------------------------------------------


def test_a_push_of_somebody_else_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "RECORD_LAG", 0.2)
    ours, before = site.commit, site.live()
    theirs = site.commit_version()
    site.commit = ours
    if way_of(site) == "commit":
        assert site.deploy().live_commit == ours
        assert site.page() == site.versions[ours]
    else:
        problem = refusal(site)
        assert problem.code == "CT802"
        assert theirs[:10] in problem.message
        assert ours[:10] in problem.message
        if way_of(site) == "draft":
            nothing_new(site, before)
    site.commit = theirs
    site.converges()


def test_a_push_of_another_app_meanwhile_is_no_matter(site: Site) -> None:
    ours = site.commit
    theirs = site.commit_version(site.versions[ours])  # a descendant with the same tree of this app
    site.commit = ours
    shipment = site.deploy()
    assert shipment.live_commit == (ours if way_of(site) == "commit" else theirs)
    assert site.page() == site.versions[ours]
    site.commit = str(shipment.live_commit)
    site.converges()


@pytest.mark.parametrize(
    ("files", "settings", "says"),
    [
        ({}, {"path": "no/where"}, "no/where"),
        ({"manifest_json": "no JSON"}, {}, "manifest"),
        ({"without": "manifest.json"}, {}, "manifest"),
    ],
    ids=["directory", "manifest", "no-manifest"],
)
def test_what_the_server_can_not_deploy_is_named(
    site: Site, files: dict[str, str], settings: dict[str, str], says: str
) -> None:
    before = site.live()
    if files:
        site.commit_version(**files)
    site.app = replace(site.app, **settings)
    problem = refusal(site)
    assert problem.code in {"CT800", "CT704"}, problem
    assert says in problem.message
    nothing_new(site, before)
    site.app = replace(site.app, path=".")
    site.commit_version()
    site.converges()


@pytest.mark.parametrize("way", ["draft", "branch"])  # the other one needs no branch
def test_a_branch_that_is_not_there_is_named(site_on: Callable[[str], Site], way: str) -> None:
    site = site_on(way)
    before, site.branch = site.live(), "nowhere"
    problem = refusal(site)
    assert problem.code == "CT800"
    assert f"{site.server.git_url(site.name)}, branch nowhere, directory ." in (problem.where or "")
    nothing_new(site, before)
    site.branch = "main"
    site.converges()


def test_a_clone_that_failed_once_is_tried_again(site: Site) -> None:
    """The server's fetch fails: the next run of the same commit must not go on with that task."""
    before = site.live()
    problem = refusal(site, {"pattern": "GET /git/", "status": 503, "times": None})
    assert problem.code == "CT800"
    assert site.server.git_url(site.name) in (problem.where or "")
    nothing_new(site, before)
    site.converges()


# row 64: the server's Python ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "python", "says"),
    [("nothing @ file:///no/where/nothing-1.0.tar.gz", ">=3.8", "nothing"), ("", "==2.7.*", "==2.7.*")],
    ids=["dependency", "python"],
)
def test_what_can_not_be_installed_is_said(
    server_of: Callable[[str], Running], tmp_path: Path, requirements: str, python: str, says: str
) -> None:
    manifest = {
        **MANIFEST,
        "metadata": {"appmode": "python-api", "entrypoint": "app:app"},
        "python": {"version": "3.11.0", "package_manager": {"name": "pip", "package_file": "requirements.txt"}},
        "environment": {"python": {"requires": python}},
    }
    site = Site(server=server_of("commit"), name=f"not-installed-{len(requirements)}", place=tmp_path)
    site.commit_version(manifest_json=json.dumps(manifest), requirements_txt=requirements, app_py="")
    problem = refusal(site)
    assert problem.code == "CT800", problem
    assert says in problem.message
    assert "log is above" in (problem.hint or "")
    assert site.live() is None


# rows 65 and 66: pages ------------------------------------------------------------------------------------------------

DRAFT, LIVE = "GET /content/[0-9a-f-]+/_bundle", "GET /content/[0-9a-f-]+/$"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"status": 500, "body": "Oh no"}, "status 500"),
        ({"status": 502}, "status 502"),
        ({"body": "An error has occurred", "content_type": "text/html"}, "does not contain"),
        ({"status": 302, "headers": {"location": "https://sso.example.com/login?x=1"}}, "a sign-on page"),
        ({"status": 302, "headers": {"location": "/__login__?url=x"}}, "a sign-on page"),
        ({"status": 302, "headers": {"location": "?again"}}, "in a circle"),
        ({"reset": True}, "closed the connection"),
        ({"body": "no gzip", "headers": GARBAGE}, "garbled"),
    ],
    ids=["500", "502", "error-page", "sso", "login", "circle", "reset", "gzip"],
)
def test_a_sick_draft_never_goes_live(site_on: Callable[[str], Site], answer: dict[str, Any], says: str) -> None:
    site = site_on("draft")
    site.app = replace(site.app, verify=replace(site.app.verify, timeout=1))
    before = site.live()
    problem = refusal(site, {"pattern": "GET /__login__", "body": "Log in", "times": None},
                      {"pattern": DRAFT, "times": None, **answer})  # fmt: skip
    assert problem.code == "CT801"
    assert says in problem.message
    assert f"bundle {before} stays live" in problem.message
    nothing_new(site, before)
    site.app = replace(site.app, verify=replace(site.app.verify, timeout=5))
    site.converges()


def test_a_draft_that_starts_slowly_goes_live(by_commit: Site) -> None:
    with by_commit.faults({"pattern": DRAFT, "status": 503, "times": 6}, {"pattern": DRAFT, "delay": 1.0}):
        by_commit.deploy()
    by_commit.converges()


def test_a_live_page_that_is_sick_is_taken_back(site: Site) -> None:
    before = site.live()
    problem = refusal(site, {"pattern": LIVE, "status": 500, "times": 3})
    assert problem.code == "CT801"
    assert f"bundle {before} is live again instead of" in problem.message
    assert "not healthy either" not in problem.message
    nothing_new(site, before)
    site.converges()


def test_a_page_that_stays_sick_after_the_return_is_said_to(by_commit: Site) -> None:
    before = by_commit.live()
    problem = refusal(by_commit, {"pattern": LIVE, "status": 500, "times": None})
    assert f"bundle {before} is live again" in problem.message
    assert "not healthy either: status 500" in problem.message
    nothing_new(by_commit, before)
    by_commit.converges()


def test_a_return_that_fails_names_the_bundle(by_commit: Site) -> None:
    before = by_commit.live()
    activation_refused = {"pattern": "POST .*/deploy$", "offset": 2, "status": 403}
    problem = refusal(by_commit, {"pattern": LIVE, "status": 500, "times": 3}, activation_refused)
    assert f"returning to bundle {before} failed: the server answered 403" in problem.message
    assert f"activate bundle {before}" in (problem.hint or "")
    by_commit.converges()  # the page is well by now: nothing is left but to verify it
    assert [type(action).__name__ for action in by_commit.actions] == []


# row 67: refused at the last moment -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 409])
def test_an_activation_that_is_refused_changes_nothing(site: Site, status: int) -> None:
    before = site.live()
    refused = '{"code": 48, "error": "The content is locked."}'
    # The first is for a draft, which one of the three servers refuses by itself.
    problem = refusal(site, {"pattern": "POST .*/deploy$", "offset": 1, "status": status, "body": refused})
    assert problem.code == "CT704"
    assert "The content is locked. (code 48)" in problem.message
    nothing_new(site, before)
    site.converges()


def meanwhile(site: Site, kind: type[Action], happens: Callable[[], object]) -> None:
    """Something happens on the server just before an action of ours."""
    site.before = lambda action: happens() if isinstance(action, kind) else None


@pytest.mark.parametrize("way", ["commit", "draft"])
def test_a_bundle_that_is_pruned_before_it_goes_live(site_on: Callable[[str], Site], way: str) -> None:
    site = site_on(way)
    before = site.live()
    meanwhile(
        site,
        Activate,
        lambda: [
            site.call("DELETE", f"__api__/v1/content/{site.guid}/bundles/{one}") for one in site.bundles(site.commit)
        ],
    )
    problem = refusal(site)
    assert problem.code == "CT704"
    assert "no such bundle" in problem.message
    nothing_new(site, before)
    site.before = lambda _: None
    site.converges()


@pytest.mark.parametrize("way", WAYS)
def test_content_that_is_deleted_meanwhile(
    server_of: Callable[[str], Running], tmp_path: Path, patience: Callable[[float], None], way: str
) -> None:
    site = new_site(server_of(way), f"deleted-{way}", tmp_path)
    site.deploy()
    site.commit_version()
    meanwhile(site, Activate, lambda: site.call("DELETE", f"__api__/v1/content/{site.guid}"))
    problem = refusal(site)
    assert problem.code == "CT706"
    site.before = lambda _: None
    site.converges()


# rows 68 to 70: other people ------------------------------------------------------------------------------------------


def key_of(site: Site, name: str, role: str) -> str:
    user = site.call("POST", "__api__/v1/users", {"username": name, "user_role": role, "password": "a-Password-9"})
    return str(site.call("POST", "__emulator__/key", {"user_guid": user["guid"]})["api_key"])


@pytest.mark.parametrize("role", ["viewer", "publisher"])
def test_a_key_that_may_not_publish_here_changes_nothing(by_commit: Site, role: str) -> None:
    before, writes = by_commit.live(), [entry for entry in by_commit.requests() if entry["writing"]]
    by_commit.api_key = key_of(by_commit, f"somebody{role}", role)
    by_commit.app = replace(by_commit.app, guid=by_commit.guid)
    problem = refusal(by_commit)
    by_commit.api_key, by_commit.app = None, replace(by_commit.app, guid=None)
    assert problem.code == "CT705"
    after = [entry for entry in by_commit.requests() if entry["writing"]]
    assert len(after) - len(writes) == 1  # the user, made above
    nothing_new(by_commit, before)
    by_commit.converges()


@pytest.mark.parametrize("way", ["commit", "draft"])
def test_a_bundle_that_was_activated_by_hand_meanwhile_stays(site_on: Callable[[str], Site], way: str) -> None:
    site = site_on(way)
    site.deploy()
    older = site.bundles()[-1]
    site.commit_version()
    meanwhile(site, VisitDraft, lambda: activate_by_hand(site, older))
    problem = refusal(site)
    assert problem.code == "CT808"
    assert f"bundle {older} went live while ours was built" in problem.message
    assert site.live() == older
    site.before = lambda _: None
    site.converges()


def activate_by_hand(site: Site, bundle: str) -> None:
    started = site.call("POST", f"__api__/v1/content/{site.guid}/deploy", {"bundle_id": bundle})
    while not site.call("GET", f"__api__/v1/tasks/{started['task_id']}?wait=5")["finished"]:
        pass


def test_a_server_that_forgot_its_drafts_meanwhile(site_on: Callable[[str], Site]) -> None:
    """Its version promised them (another node of the cluster was asked, or it was downgraded)."""
    site = site_on("branch")
    settings = json.dumps({"version": "2026.04.0", "git_enabled": True})
    with site.faults({"pattern": READS["settings"], "body": settings}):
        shipment = site.deploy()
    assert (shipment.way, shipment.prepared) == ("branch", False)
    site.converges()
