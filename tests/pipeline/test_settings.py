"""Settings converge to the configuration; what somebody changed on the server by hand is shown, and left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connect_tasks.configuration import App
from connect_tasks.server.connect import Bundle, ContentItem, RepositorySettings, User
from connect_tasks.server.server_drift import activated_instead, differences
from connect_tasks.server.server_survey import ServerFacts

from .conftest import TABLE, Workshop
from .hands import activate, call, guid_of, link_of, live_bundle, next_second, released, version

SETTINGS = 'title = "Sales by region"\ndescription = "Figures of the week."\naccess_type = "logged_in"\n'
PROCESS = "process = { min_processes = 1, max_processes = 3, load_factor = 0.25 }\n"


def configure(shop: Workshop, text: str) -> str:
    return shop.commit("configuration", **{"pyproject.toml": TABLE + text})


def held(shop: Workshop, guid: str) -> dict[str, object]:
    return dict(call(shop, "GET", f"v1/content/{guid}"))


def by_hand(shop: Workshop, guid: str, **fields: object) -> None:
    call(shop, "PATCH", f"v1/content/{guid}", fields)


def variables(shop: Workshop, guid: str) -> list[str]:
    return sorted(call(shop, "GET", f"v1/content/{guid}/environment"))


def test_a_new_item_has_the_declared_settings(workshop: Workshop) -> None:
    path = f"/{workshop.name[-6:]}/sales/"
    configure(workshop, SETTINGS + PROCESS + f'vanity = "{path}"\n')
    guid = guid_of(released(workshop))
    item = held(workshop, guid)
    assert (item["title"], item["description"], item["access_type"]) == (
        "Sales by region",
        "Figures of the week.",
        "logged_in",
    )
    assert (item["min_processes"], item["max_processes"], item["load_factor"]) == (1, 3, 0.25)
    assert call(workshop, "GET", f"v1/content/{guid}/vanity")["path"] == path
    writes = workshop.writes()
    assert workshop.run("release").report["result"] == "noop"
    assert workshop.writes() == writes


def test_a_changed_configuration_converges_without_a_deploy(workshop: Workshop) -> None:
    """The configuration may lie outside the app's directory: then a new title is no new version of the app."""
    apps = '[tool.connect-tasks.apps.sales]\npath = "app"\ntitle = "{title}"\n'
    (workshop.root / "app").mkdir()
    for name in ("app.py", "test_app.py", "requirements.in"):
        workshop.git("mv", name, f"app/{name}")
    configure(workshop, apps.format(title="Sales"))
    guid = guid_of(released(workshop))
    configure(workshop, apps.format(title="Sales by region"))
    ran = released(workshop)
    assert held(workshop, guid)["title"] == "Sales by region"
    assert len(call(workshop, "GET", f"v1/content/{guid}/bundles")) == 1
    assert "settings only" in next(stage["detail"] for stage in ran.report["stages"] if stage["name"] == "deploy")
    # The server holds what a commit between the live one and HEAD said: a title of ours, and no drift.
    configure(workshop, apps.format(title="Turnover"))
    released(workshop)
    assert held(workshop, guid)["title"] == "Turnover"
    # And this is a title that nobody ever said.
    by_hand(workshop, guid, title="Mine")
    assert workshop.run("release").report["result"] == "noop"
    assert held(workshop, guid)["title"] == "Mine"


def test_what_was_changed_by_hand_is_shown_and_left(workshop: Workshop) -> None:
    configure(workshop, SETTINGS + PROCESS)
    guid = guid_of(released(workshop))
    by_hand(workshop, guid, title="Sales, renamed", min_processes=2)
    writes = workshop.writes()
    ran = workshop.run("release")
    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert workshop.writes() == writes
    notes = " ".join(ran.report["notes"])
    assert "title is 'Sales, renamed' on the server, not 'Sales by region' (changed by hand)" in notes
    assert "min_processes is 2" in notes
    assert "--force" in notes
    assert "Sales, renamed" in ran.said
    released(workshop, 2)  # a deploy leaves it, too
    assert held(workshop, guid)["title"] == "Sales, renamed"
    forced = workshop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert (held(workshop, guid)["title"], held(workshop, guid)["min_processes"]) == ("Sales by region", 1)


def test_a_vanity_path_converges_and_drifts_like_the_rest(workshop: Workshop) -> None:
    first, second, mine = (f"/{workshop.name[-6:]}/{word}/" for word in ("first", "second", "mine"))
    configure(workshop, f'vanity = "{first}"\n')
    guid = guid_of(released(workshop))
    configure(workshop, f'vanity = "{second}"\n')
    released(workshop)
    assert call(workshop, "GET", f"v1/content/{guid}/vanity")["path"] == second
    call(workshop, "PUT", f"v1/content/{guid}/vanity", {"path": mine})
    ran = workshop.run("release")
    assert ran.report["result"] == "noop", ran.said
    assert any(f"vanity is '{mine}'" in note for note in ran.report["notes"])
    assert call(workshop, "GET", f"v1/content/{guid}/vanity")["path"] == mine


def test_a_newly_declared_setting_is_set(workshop: Workshop) -> None:
    """Nobody had declared it, so nobody can have drifted from it."""
    guid = guid_of(released(workshop))
    by_hand(workshop, guid, title="From the dashboard")
    configure(workshop, SETTINGS)
    released(workshop)
    assert held(workshop, guid)["title"] == "Sales by region"


@pytest.mark.parametrize("change", [{"branch": "other"}, {"directory": "elsewhere"}])
def test_a_link_that_was_changed_by_hand_stops_a_deploy(workshop: Workshop, change: dict[str, str]) -> None:
    """A bundle would be made of another directory, or the next poll would take another branch."""
    first = released(workshop)
    guid = guid_of(first)
    call(workshop, "PATCH", f"v1/content/{guid}/repository", change)
    noop = workshop.run("release")
    (field,) = change
    assert (noop.status, noop.report["result"]) == (0, "noop"), noop.said
    assert any(f"{field} is '{change[field]}' on the server" in note for note in noop.report["notes"])
    version(workshop, 2)
    writes = workshop.writes()
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT807"), ran.said
    assert change[field] in ran.report["error"]["message"]
    assert workshop.writes() == writes  # nothing was pushed either
    assert link_of(workshop, guid)[field] == change[field]
    forced = workshop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert link_of(workshop, guid)[field] == {"branch": "main", "directory": "."}[field]
    assert workshop.page(forced.report["url"]) == "version 2"


def test_a_branch_that_the_configuration_changes_is_no_drift(workshop: Workshop) -> None:
    configure(workshop, 'branch = "main"\n')
    guid = guid_of(released(workshop))
    workshop.git("switch", "--quiet", "--create", "stable")
    configure(workshop, 'branch = "stable"\n')
    released(workshop)
    assert link_of(workshop, guid)["branch"] == "stable"


def test_another_branch_without_a_word_in_the_configuration_stops(workshop: Workshop) -> None:
    """The branch is HEAD's where none is configured: a release from a feature branch must not relink production."""
    guid = guid_of(released(workshop))
    workshop.git("switch", "--quiet", "--create", "feature")
    version(workshop, 2)
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT807"), ran.said
    assert "branch is 'main' on the server, not 'feature'" in ran.report["error"]["message"]
    assert link_of(workshop, guid)["branch"] == "main"
    assert workshop.remote("refs/heads/feature") is None


# environment variables ------------------------------------------------------------------------------------------------

SHOWING = """import os


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"version of " + os.environ.get("COLOUR", "nothing").encode()]
"""


def test_variables_are_there_before_the_first_activation(workshop: Workshop) -> None:
    """The page demands the value: had it come late, the draft's visit would have failed."""
    table = TABLE.replace('contains = "version"', 'contains = "version of blue"')
    workshop.commit(app_py=SHOWING, test_app_py="", **{"pyproject.toml": table + 'env = ["COLOUR"]\n'})
    workshop.environ["COLOUR"] = "blue"
    ran = released(workshop)
    guid = guid_of(ran)
    assert variables(workshop, guid) == ["COLOUR"]
    # A no-op compares names: values are not to be had from the server, and a new one waits for the next deploy.
    workshop.environ["COLOUR"] = "green"
    writes = workshop.writes()
    assert workshop.run("release").report["result"] == "noop"
    assert workshop.writes() == writes
    table = table.replace("blue", "green")
    workshop.commit(**{"pyproject.toml": table + 'env = ["COLOUR"]\n'})
    assert workshop.page(released(workshop).report["url"]) == "version of green"


def test_a_variable_that_was_removed_by_hand_is_left_until_the_next_deploy(workshop: Workshop) -> None:
    configure(workshop, 'env = ["COLOUR"]\n')
    workshop.environ["COLOUR"] = "blue-as-the-sky"
    guid = guid_of(released(workshop))
    call(workshop, "PATCH", f"v1/content/{guid}/environment", [{"name": "COLOUR", "value": None}])
    ran = workshop.run("release")
    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert any("variable COLOUR is absent" in note for note in ran.report["notes"])
    assert variables(workshop, guid) == []
    deploying = released(workshop, 2)  # sends all that are declared
    assert variables(workshop, guid) == ["COLOUR"]
    assert not any("COLOUR" in note for note in deploying.report["notes"])
    assert "blue-as-the-sky" not in ran.said + deploying.said


def test_a_newly_declared_variable_is_sent(workshop: Workshop) -> None:
    configure(workshop, 'env = ["COLOUR"]\n')
    workshop.environ |= {"COLOUR": "blue", "SIZE": "large"}
    guid = guid_of(released(workshop))
    call(workshop, "PATCH", f"v1/content/{guid}/environment", [{"name": "EXTRA", "value": "by hand"}])
    configure(workshop, 'env = ["COLOUR", "SIZE"]\n')
    released(workshop)
    assert variables(workshop, guid) == ["COLOUR", "EXTRA", "SIZE"]  # whose name is not ours to know stays


# another bundle -------------------------------------------------------------------------------------------------------


def test_a_bundle_that_was_activated_by_hand_meanwhile_is_left(workshop: Workshop) -> None:
    first = released(workshop)
    second = released(workshop, 2)
    guid = guid_of(first)
    next_second()
    activate(workshop, guid, first.report["bundle"])
    writes = workshop.writes()
    ran = workshop.run("release")
    assert (ran.status, ran.code) == (1, "CT808"), ran.said
    message = ran.report["error"]["message"]
    assert f"bundle {first.report['bundle']} was activated after bundle {second.report['bundle']}" in message
    assert "version 2" in message or "Release" in message  # the subject of the commit that was left
    assert workshop.writes() == writes
    assert live_bundle(workshop, guid) == first.report["bundle"]
    forced = workshop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert workshop.page(forced.report["url"]) == "version 2"
    assert forced.report["bundle"] == second.report["bundle"]  # the bundle of this commit is there already


@pytest.mark.parametrize("by_hand", [False, True], ids=["nobody else", "by hand"])
def test_an_unfinished_release_goes_on_unless_somebody_has_decided_otherwise(workshop: Workshop, by_hand: bool) -> None:
    first, _ = released(workshop), released(workshop, 2)
    guid = guid_of(first)
    version(workshop, 3)
    fault = {"pattern": f"POST .*/{guid}/deploy", "status": 403, "offset": 1, "times": None}  # a draft, no activation
    call(workshop, "POST", "__emulator__/fault", fault)
    assert workshop.run("release").code == "CT704"
    call(workshop, "DELETE", "__emulator__/fault")
    next_second()
    if by_hand:
        activate(workshop, guid, first.report["bundle"])
    ran = workshop.run("release")
    assert (ran.status, ran.code) == ((1, "CT808") if by_hand else (0, None)), ran.said
    assert workshop.page(first.report["url"]) == ("version 1" if by_hand else "version 3")


def test_a_run_that_went_back_by_itself_may_be_repeated(workshop: Workshop) -> None:
    """The live page was sick, and the bundle before it was activated again: that was us, and the cause may be gone."""
    guid = guid_of(released(workshop))
    version(workshop, 2)
    live_page = {"pattern": f"GET /content/{guid}/$", "status": 500, "times": None}
    call(workshop, "POST", "__emulator__/fault", live_page)
    ran = workshop.run("release")
    call(workshop, "DELETE", "__emulator__/fault")
    assert (ran.status, ran.code) == (1, "CT801")
    assert "live again" in ran.report["error"]["message"]
    assert workshop.page(released(workshop).report["url"]) == "version 2"


def test_a_fix_is_released_as_usual_after_that(workshop: Workshop) -> None:
    first = released(workshop)
    released(workshop, 2)
    next_second()
    activate(workshop, guid_of(first), first.report["bundle"])
    assert workshop.page(released(workshop, 3).report["url"]) == "version 3"


def test_going_back_by_git_is_no_drift(workshop: Workshop) -> None:
    """The tree of an older bundle ships again: that bundle was replaced by a release, not by hand."""
    first = released(workshop)
    released(workshop, 2)
    next_second()
    workshop.git("revert", "--no-edit", "HEAD~1" if "manifest" in workshop.git("log", "-1", "--stat") else "HEAD")
    ran = released(workshop)
    assert workshop.page(ran.report["url"]) == "version 1"
    assert ran.report["bundle"] != first.report["bundle"]


# the rules, without a server ------------------------------------------------------------------------------------------

LINK = RepositorySettings(repository="https://git.example.com/app.git", branch="main", directory=".", polling=False)


def facts(
    *bundles: Bundle, live: str | None = None, deployed: str = "2026-01-01T12:00:00Z", **fields: object
) -> ServerFacts:
    item = ContentItem(
        guid="g", name="app", title=None, bundle=live, mode="python-api", owner="o", role="owner", url="u",
        fields={"last_deployed_time": deployed, **fields},
    )  # fmt: skip
    return ServerFacts(
        version=None, user=User(guid="o", name="ada", role="publisher"), content=item, found_by="name", repository=LINK,
        bundles=bundles, variables=(), vanity=None, wanted_name="app", wanted_link=LINK,
    )  # fmt: skip


def bundle(number: int, commit: str, created: str = "2026-01-01T11:00:00Z") -> Bundle:
    return Bundle(id=str(number), active=False, source_commit=commit, created=created)


@pytest.mark.parametrize(
    ("found", "configured", "by_hand"),
    [
        ("C", ["A", "B"], True),  # nobody ever said C
        ("A", ["A", "B"], False),  # B was not released yet
        ("C", [None, "B"], False),  # nobody had said anything when the live commit was released
        ("C", [], False),  # nobody knows
        (None, ["B"], True),  # reset on the server
    ],
)
def test_who_changed_a_title(found: str | None, configured: Sequence[str | None], by_hand: bool) -> None:
    now = App(name="app", title="B")
    (difference,) = differences(now, facts(title=found), [replace(now, title=title) for title in configured])
    assert (difference.of, difference.found, difference.by_hand) == ("title", found, by_hand)


@pytest.mark.parametrize("path", [".", "./", "", "/"])
def test_a_directory_has_several_spellings(path: str) -> None:
    there = replace(facts(), repository=replace(LINK, directory=path))
    assert differences(App(name="app"), there) == ()


def test_a_hidden_directory_is_another_one() -> None:
    there = replace(facts(), repository=replace(LINK, directory=".app"), wanted_link=replace(LINK, directory="app"))
    (difference,) = differences(App(name="app", path="app"), there)
    assert difference.is_link


OURS = bundle(2, "ours")


@pytest.mark.parametrize(
    ("bundles", "live", "deployed", "in_history", "left"),
    [
        ((OURS, bundle(1, "old")), "1", "2026-01-01T12:00:00Z", True, True),  # rolled back
        ((OURS, bundle(1, "old")), "1", "2026-01-01T10:00:00Z", True, False),  # killed before it activated ours
        ((OURS, bundle(1, "old")), "2", "2026-01-01T12:00:00Z", True, False),  # ours is live
        ((bundle(3, "new"), OURS), "3", "2026-01-01T12:00:00Z", True, False),  # git revert
        ((bundle(3, "new"), OURS), "3", "2026-01-01T12:00:00Z", False, True),  # a draft of a pull request, activated
        ((bundle(3, "new"), bundle(1, "old")), "3", "2026-01-01T12:00:00Z", False, False),  # ours never was there
        ((OURS, bundle(1, "old")), "1", "yesterday", True, False),  # a time that nobody can read proves nothing
        ((OURS, bundle(1, "old")), None, "2026-01-01T12:00:00Z", True, False),  # nothing is live
    ],
)
def test_which_bundle_was_left(
    bundles: tuple[Bundle, ...], live: str | None, deployed: str, in_history: bool, left: bool
) -> None:
    found = activated_instead(
        facts(*bundles, live=live, deployed=deployed),
        is_ours=lambda one: one.source_commit == "ours",
        in_history=lambda _: in_history,
    )
    assert (found is not None) is left


def test_a_rollback_of_this_clone_needs_no_clock() -> None:
    same_second = facts(bundle(2, "ours"), bundle(1, "old"), live="1", deployed="2026-01-01T11:00:00Z")
    found = activated_instead(
        same_second, is_ours=lambda one: one.id == "2", in_history=lambda _: True, rolled_back="2"
    )
    assert found is not None


def test_unreadable_configurations_of_the_past_are_no_drift(workshop: Workshop, tmp_path: Path) -> None:
    """A commit whose pyproject.toml is broken must not stop today's release."""
    configure(workshop, SETTINGS)
    guid = guid_of(released(workshop))
    workshop.commit("broken", **{"pyproject.toml": "[tool.connect-tasks\n"})
    configure(workshop, SETTINGS.replace("Sales by region", "Sales"))
    released(workshop)
    assert held(workshop, guid)["title"] == "Sales"
