"""Back to a bundle that the server has kept: verified, safe from polling, and not undone by the next release."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connect_tasks.calling import spelling
from connect_tasks.emulator import Running, running
from connect_tasks.errors import NothingToReturnTo
from connect_tasks.server.connect import Bundle
from connect_tasks.server.kept_bundles import KeptBundle, choose, earlier_versions

from .conftest import BARE_APP, Workshop, make_workshop
from .hands import call, guid_of, link_of, live_bundle, next_second, person, released, used_by, version

#: Well in the tests, and sick on Connect.
SICK = BARE_APP.replace("def app(", "import os\n\n\ndef app(").replace(
    '"200 OK"', '"500 Oh no" if os.environ.get("POSIT_PRODUCT") == "CONNECT" else "200 OK"'
)


@pytest.fixture(scope="module")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that knows neither drafts nor bundles of a commit."""
    data = tmp_path_factory.mktemp("old")
    with running(data, without=("bundle-from-ref", "drafts"), options=["--faults"]) as server:
        yield server


@pytest.fixture(params=["recent", "old"])
def server(request: pytest.FixtureRequest, connect_server: Running, old_server: Running) -> Running:
    return connect_server if request.param == "recent" else old_server


@pytest.fixture
def app_shop(server: Running, tmp_path: Path, private_home: Path) -> Workshop:
    return make_workshop(server, tmp_path, "rollback")


@pytest.fixture
def shop(server: Running, tmp_path: Path, private_home: Path) -> Workshop:
    return make_workshop(server, tmp_path, "rollback", page=True)


@pytest.fixture
def workshop(page: Workshop) -> Workshop:
    """A page: whoever goes back goes back to a bundle, whatever is in it."""
    return page


def test_the_version_before_is_live_again(app_shop: Workshop) -> None:
    first, second = released(app_shop), released(app_shop, 2)
    head, remote = app_shop.head, app_shop.remote()
    ran = app_shop.run("rollback", spelled=spelling({"release": "connect_release", "rollback": "rollback"}))
    assert (ran.status, ran.report["result"]) == (0, "changed"), ran.said
    assert (ran.report["bundle"], ran.report["live_commit"]) == (first.report["bundle"], first.report["live_commit"])
    assert app_shop.page(second.report["url"]) == "version 1"
    assert (app_shop.head, app_shop.remote(), app_shop.git("status", "--porcelain")) == (head, remote, "")
    assert len(call(app_shop, "GET", f"v1/content/{guid_of(first)}/bundles")) == 2
    notes = " ".join(ran.report["notes"])
    assert f"rollback -- --to {second.report['bundle']}" in notes
    assert "nox -s connect_release -- --force" in notes  # as it is called in this noxfile


def test_a_release_of_the_same_head_leaves_the_rollback_alone(shop: Workshop) -> None:
    """What was rolled back is not put live again by whoever, or whichever job, releases next."""
    first, second = released(shop), released(shop, 2)
    assert shop.run("rollback").status == 0
    writes = shop.writes()
    for verb in ("release", "deploy", "release"):
        ran = shop.run(verb)
        assert (ran.status, ran.code) == (1, "CT808"), ran.said
        assert f"bundle {second.report['bundle']}" in ran.report["error"]["message"]
        assert "--force" in ran.report["error"]["hint"]
        # Another commit with the same tree of the app: in a monorepo that is every merge of somebody else's.
        shop.git("commit", "--quiet", "--allow-empty", "--message", "unrelated")
    assert shop.writes() == writes
    assert live_bundle(shop, guid_of(first)) == first.report["bundle"]


def test_within_one_second_this_clone_remembers(workshop: Workshop) -> None:
    """The server's times have whole seconds: a rollback right after its release leaves two that are the same."""
    first, second = released(workshop), released(workshop, 2)
    assert workshop.run("rollback").status == 0
    guid = guid_of(first)
    made = call(workshop, "GET", f"v1/content/{guid}/bundles/{second.report['bundle']}")["created_time"]
    item = {**call(workshop, "GET", f"v1/content/{guid}"), "last_deployed_time": made}
    fault = {"pattern": r"GET /__api__/v1/content\?", "status": 200, "body": json.dumps([item]), "times": None}
    call(workshop, "POST", "__emulator__/fault", fault)
    ran = workshop.run("release")
    call(workshop, "DELETE", "__emulator__/fault")
    assert (ran.status, ran.code) == (1, "CT808"), ran.said


def test_a_clone_that_knows_nothing_of_it_leaves_it_alone_too(workshop: Workshop, tmp_path: Path) -> None:
    """A CI job has a fresh clone and no journal: the server's times tell."""
    released(workshop), released(workshop, 2)
    next_second()
    assert workshop.run("rollback").status == 0
    job = used_by(workshop, person(workshop, "administrator"), tmp_path / "job")
    ran = job.run("release")
    assert (ran.status, ran.code) == (1, "CT808"), ran.said


def test_forward_again(shop: Workshop) -> None:
    first, second = released(shop), released(shop, 2)
    assert shop.run("rollback").status == 0
    by_number = shop.run("rollback", "--to", second.report["bundle"])
    assert (by_number.status, by_number.report["bundle"]) == (0, second.report["bundle"]), by_number.said
    assert shop.run("release").report["result"] == "noop"
    assert shop.run("rollback").report["bundle"] == first.report["bundle"]
    forced = shop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert shop.page(first.report["url"]) == "version 2"
    assert shop.run("rollback").status == 0
    assert shop.page(released(shop, 3).report["url"]) == "version 3"  # a fix needs no --force


def test_versions_commits_and_bundles_can_be_named(workshop: Workshop) -> None:
    first, second, third = released(workshop), released(workshop, 2), released(workshop, 3)
    url = first.report["url"]
    workshop.git("tag", "good", second.report["live_commit"])
    for name, page in (
        ("2", "version 1"),
        (third.report["live_commit"], "version 3"),
        (second.report["live_commit"][:8], "version 2"),
        (first.report["bundle"], "version 1"),
        ("good", "version 2"),
    ):
        if len(name) == 1 and name in {run.report["bundle"] for run in (first, second, third)}:
            continue  # this server's ids are small: the number is a bundle here
        ran = workshop.run("rollback", "--to", name)
        assert ran.status == 0, ran.said
        assert workshop.page(url) == page, name


def test_what_is_live_already_is_only_verified(workshop: Workshop) -> None:
    released(workshop)
    second = released(workshop, 2)
    writes = workshop.writes()
    ran = workshop.run("rollback", "--to", second.report["bundle"])
    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert workshop.writes() == writes
    assert [stage["name"] for stage in ran.report["stages"]] == ["facts", "verify"]


def test_a_bundle_that_is_gone_is_refused(workshop: Workshop) -> None:
    first, second = released(workshop), released(workshop, 2)
    guid = guid_of(first)
    call(workshop, "DELETE", f"v1/content/{guid}/bundles/{first.report['bundle']}")
    for arguments in (("--to", first.report["live_commit"]), ("--to", first.report["bundle"]), ()):
        ran = workshop.run("rollback", *arguments)
        assert (ran.status, ran.code) == (1, "CT809"), ran.said
        assert "kept" in ran.report["error"]["message"]
        assert ran.report["error"]["hint"]
    assert live_bundle(workshop, guid) == second.report["bundle"]


def test_nothing_is_live_yet(workshop: Workshop) -> None:
    ran = workshop.run("rollback")
    assert (ran.status, ran.code) == (1, "CT809")
    assert "nothing" in ran.report["error"]["message"]


def test_a_draft_that_never_was_live_is_passed_over(workshop: Workshop) -> None:
    """The server's list does not tell a version from a draft whose page was sick."""
    first = released(workshop)
    workshop.commit(**{"index.html": "sick"})
    assert workshop.run("release").code == "CT801"
    third = released(workshop, 3)
    bundles = call(workshop, "GET", f"v1/content/{guid_of(first)}/bundles")
    assert len(bundles) == 3
    ran = workshop.run("rollback")
    assert ran.status == 0, ran.said
    assert ran.report["bundle"] == first.report["bundle"]
    assert "passed over" in ran.said
    assert workshop.page(third.report["url"]) == "version 1"


def test_an_earlier_version_that_is_sick_by_now_is_not_left_live(app_shop: Workshop) -> None:
    """Well when it was released, it fails today: a variable that it needs is set otherwise."""
    needing = SICK.replace('os.environ.get("POSIT_PRODUCT") == "CONNECT"', 'os.environ.get("COLOUR") == "blue"')
    app_shop.commit(app_py=needing)
    first, second = released(app_shop), released(app_shop, 2)
    guid = guid_of(first)
    call(app_shop, "PATCH", f"v1/content/{guid}/environment", [{"name": "COLOUR", "value": "blue"}])
    ran = app_shop.run("rollback", "--to", first.report["live_commit"])
    assert (ran.status, ran.code) == (1, "CT801"), ran.said
    assert live_bundle(app_shop, guid) == second.report["bundle"]
    assert app_shop.page(second.report["url"]) == "version 2"


def test_polling_is_switched_off_first_and_said_so(tmp_path: Path, private_home: Path) -> None:
    """A server that polls each half second would have undone the rollback before this test looks."""
    with running(tmp_path / "connect", options=["--faults", "--poll-interval", "0.5"]) as server:
        shop = make_workshop(server, tmp_path, "polled", page=True)
        shop.commit(**{"pyproject.toml": shop.table + "polling = true\n"})
        first, _ = released(shop), released(shop, 2)
        guid = guid_of(first)
        ran = shop.run("rollback")
        assert ran.status == 0, ran.said
        stages = [stage["name"] for stage in ran.report["stages"]]
        assert stages.index("polling") < stages.index("deploy")
        assert any(
            "polling was on and is switched off: it would undo the rollback" in note for note in ran.report["notes"]
        )
        assert any("until the next release" in note for note in ran.report["notes"])
        assert link_of(shop, guid)["polling"] is False
        version(shop, 3)
        shop.git("push", "--quiet", "origin", "main")
        time.sleep(1.5)
        assert live_bundle(shop, guid) == first.report["bundle"]
        assert shop.page(first.report["url"]) == "version 1"
        released(shop)
        assert link_of(shop, guid)["polling"] is True


def test_an_activation_that_is_refused_changes_nothing(workshop: Workshop) -> None:
    first, second = released(workshop), released(workshop, 2)
    guid = guid_of(first)
    # The draft's deploy passes, the activation does not.
    call(workshop, "POST", "__emulator__/fault", {"pattern": f"POST .*/{guid}/deploy", "status": 403, "offset": 1})
    ran = workshop.run("rollback")
    call(workshop, "DELETE", "__emulator__/fault")
    assert (ran.status, ran.code) == (1, "CT704"), ran.said
    assert live_bundle(workshop, guid) == second.report["bundle"]
    assert workshop.run("rollback").report["bundle"] == first.report["bundle"]


def test_a_rollback_that_was_killed_is_finished_and_goes_no_further_back(workshop: Workshop) -> None:
    """A bare `rollback` counts from what is live: run again, it must not take a second step."""
    _, second, third = released(workshop), released(workshop, 2), released(workshop, 3)
    guid = guid_of(second)
    # The live page does not answer: the rollback waits for it, and is killed there.
    call(workshop, "POST", "__emulator__/fault", {"pattern": f"GET /content/{guid}/$", "reset": True, "times": None})
    process = subprocess.Popen(
        [sys.executable, "-m", "connect_tasks", "rollback"],
        cwd=workshop.root, env=workshop.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while live_bundle(workshop, guid) == third.report["bundle"]:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    call(workshop, "DELETE", "__emulator__/fault")
    again = workshop.run("rollback")
    assert again.status == 0, again.said
    assert live_bundle(workshop, guid) == second.report["bundle"]
    assert workshop.page(second.report["url"]) == "version 2"


# the choice, without a server -----------------------------------------------------------------------------------------


def kept(number: int, commit: str | None, version: str | None = None) -> KeptBundle:
    return KeptBundle(
        bundle=Bundle(id=str(number), active=False, source_commit=commit, created="2026-01-01T11:00:00Z"),
        version=version or commit,
    )


A, B, C = (letter * 40 for letter in "abc")
LIVE, UPLOAD = kept(500, C), kept(1, None)
HISTORY = (kept(501, "d" * 40), LIVE, kept(400, C), kept(300, B), kept(200, B), kept(100, A), UPLOAD)


def test_versions_are_counted_by_what_they_hold() -> None:
    """501 is newer than what is live, 400 holds the same, 300 and 200 are one version, and 1 is nobody's commit."""
    assert [one.id for one in earlier_versions(HISTORY, LIVE)] == ["300", "100"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("2", "100"), ("200", "200"), (B, "300"), (A[:7], "100"), ("v1", "100"), ("501", "501"), ("AAAAAAA", "100")],
)
def test_what_a_name_means(wanted: str, chosen: str) -> None:
    assert choose(HISTORY, LIVE, wanted, resolve=lambda name: A if name == "v1" else None).id == chosen


@pytest.mark.parametrize("wanted", ["3", "0", "", "4711", "f" * 40, "nosuch", "-1"])
def test_what_is_not_there_is_refused_with_what_is(wanted: str) -> None:
    with pytest.raises(NothingToReturnTo) as refused:
        choose(HISTORY, LIVE, wanted, resolve=lambda _: None)
    assert "kept" in refused.value.message
    assert refused.value.hint


def test_a_short_name_that_could_be_two_commits_is_refused() -> None:
    with pytest.raises(NothingToReturnTo, match="several"):
        choose((LIVE, kept(2, "abcd1" + "0" * 35), kept(1, "abcd2" + "0" * 35)), LIVE, "abcd", resolve=lambda _: None)


def test_a_bundle_without_a_commit_proves_nothing() -> None:
    with pytest.raises(NothingToReturnTo, match="does not say which commit"):
        choose((LIVE, UPLOAD), LIVE, "1", resolve=lambda _: None)
