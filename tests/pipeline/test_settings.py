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

from .conftest import Workshop
from .hands import activate, call, guid_of, link_of, live_bundle, next_second, released, version

SETTINGS = 'title = "Sales by region"\ndescription = "Figures of the week."\naccess_type = "logged_in"\n'
PROCESS = "process = { min_processes = 1, max_processes = 3, load_factor = 0.25 }\n"


@pytest.fixture
def app(workshop: Workshop) -> Workshop:
    """The settings of processes, and variables that count, are an app's."""
    return workshop


@pytest.fixture
def shop(page: Workshop) -> Workshop:
    """A page: most settings are any item's."""
    return page


def configure(shop: Workshop, text: str) -> str:
    return shop.commit("configuration", **{"pyproject.toml": shop.table + text})


def held(shop: Workshop, guid: str) -> dict[str, object]:
    return dict(call(shop, "GET", f"v1/content/{guid}"))


def by_hand(shop: Workshop, guid: str, **fields: object) -> None:
    call(shop, "PATCH", f"v1/content/{guid}", fields)


def variables(shop: Workshop, guid: str) -> list[str]:
    return sorted(call(shop, "GET", f"v1/content/{guid}/environment"))


def test_a_new_item_has_the_declared_settings(app: Workshop) -> None:
    path = f"/{app.name[-6:]}/sales/"
    configure(app, SETTINGS + PROCESS + f'vanity = "{path}"\n')
    guid = guid_of(released(app))
    item = held(app, guid)
    assert (item["title"], item["description"], item["access_type"]) == (
        "Sales by region",
        "Figures of the week.",
        "logged_in",
    )
    assert (item["min_processes"], item["max_processes"], item["load_factor"]) == (1, 3, 0.25)
    assert call(app, "GET", f"v1/content/{guid}/vanity")["path"] == path
    writes = app.writes()
    assert app.run("release").report["result"] == "noop"
    assert app.writes() == writes


def test_a_changed_configuration_converges_without_a_deploy(shop: Workshop) -> None:
    """The configuration may lie outside the app's directory: then a new title is no new version of the app."""
    apps = '[tool.connect-tasks.apps.sales]\npath = "app"\ntitle = "{title}"\n'
    (shop.root / "app").mkdir()
    shop.git("mv", "index.html", "app/index.html")
    configure(shop, apps.format(title="Sales"))
    guid = guid_of(released(shop))
    configure(shop, apps.format(title="Sales by region"))
    ran = released(shop)
    assert held(shop, guid)["title"] == "Sales by region"
    assert len(call(shop, "GET", f"v1/content/{guid}/bundles")) == 1
    assert "settings only" in next(stage["detail"] for stage in ran.report["stages"] if stage["name"] == "deploy")
    # The server holds what a commit between the live one and HEAD said: a title of ours, and no drift.
    configure(shop, apps.format(title="Turnover"))
    released(shop)
    assert held(shop, guid)["title"] == "Turnover"
    # And this is a title that nobody ever said.
    by_hand(shop, guid, title="Mine")
    assert shop.run("release").report["result"] == "noop"
    assert held(shop, guid)["title"] == "Mine"


def test_what_was_changed_by_hand_is_shown_and_left(app: Workshop) -> None:
    configure(app, SETTINGS + PROCESS)
    guid = guid_of(released(app))
    by_hand(app, guid, title="Sales, renamed", min_processes=2)
    writes = app.writes()
    ran = app.run("release")
    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert app.writes() == writes
    notes = " ".join(ran.report["notes"])
    assert "title is 'Sales, renamed' on the server, not 'Sales by region' (changed by hand)" in notes
    assert "min_processes is 2" in notes
    assert "--force" in notes
    assert "Sales, renamed" in ran.said
    released(app, 2)  # a deploy leaves it, too
    assert held(app, guid)["title"] == "Sales, renamed"
    forced = app.run("release", "--force")
    assert forced.status == 0, forced.said
    assert (held(app, guid)["title"], held(app, guid)["min_processes"]) == ("Sales by region", 1)


def test_a_vanity_path_converges_and_drifts_like_the_rest(shop: Workshop) -> None:
    first, second, mine = (f"/{shop.name[-6:]}/{word}/" for word in ("first", "second", "mine"))
    configure(shop, f'vanity = "{first}"\n')
    guid = guid_of(released(shop))
    configure(shop, f'vanity = "{second}"\n')
    released(shop)
    assert call(shop, "GET", f"v1/content/{guid}/vanity")["path"] == second
    call(shop, "PUT", f"v1/content/{guid}/vanity", {"path": mine})
    ran = shop.run("release")
    assert ran.report["result"] == "noop", ran.said
    assert any(f"vanity is '{mine}'" in note for note in ran.report["notes"])
    assert call(shop, "GET", f"v1/content/{guid}/vanity")["path"] == mine


def test_a_newly_declared_setting_is_set(shop: Workshop) -> None:
    """Nobody had declared it, so nobody can have drifted from it."""
    guid = guid_of(released(shop))
    by_hand(shop, guid, title="From the dashboard")
    configure(shop, SETTINGS)
    released(shop)
    assert held(shop, guid)["title"] == "Sales by region"


@pytest.mark.parametrize("change", [{"branch": "other"}, {"directory": "elsewhere"}])
def test_a_link_that_was_changed_by_hand_stops_a_deploy(shop: Workshop, change: dict[str, str]) -> None:
    """A bundle would be made of another directory, or the next poll would take another branch."""
    first = released(shop)
    guid = guid_of(first)
    call(shop, "PATCH", f"v1/content/{guid}/repository", change)
    noop = shop.run("release")
    (field,) = change
    assert (noop.status, noop.report["result"]) == (0, "noop"), noop.said
    assert any(f"{field} is '{change[field]}' on the server" in note for note in noop.report["notes"])
    version(shop, 2)
    writes = shop.writes()
    ran = shop.run("release")
    assert (ran.status, ran.code) == (1, "CT807"), ran.said
    assert change[field] in ran.report["error"]["message"]
    assert shop.writes() == writes  # nothing was pushed either
    assert link_of(shop, guid)[field] == change[field]
    forced = shop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert link_of(shop, guid)[field] == {"branch": "main", "directory": "."}[field]
    assert shop.page(forced.report["url"]) == "version 2"


def test_a_branch_that_the_configuration_changes_is_no_drift(shop: Workshop) -> None:
    configure(shop, 'branch = "main"\n')
    guid = guid_of(released(shop))
    shop.git("switch", "--quiet", "--create", "stable")
    configure(shop, 'branch = "stable"\n')
    released(shop)
    assert link_of(shop, guid)["branch"] == "stable"


def test_another_branch_without_a_word_in_the_configuration_stops(shop: Workshop) -> None:
    """The branch is HEAD's where none is configured: a release from a feature branch must not relink production."""
    guid = guid_of(released(shop))
    shop.git("switch", "--quiet", "--create", "feature")
    version(shop, 2)
    ran = shop.run("release")
    assert (ran.status, ran.code) == (1, "CT807"), ran.said
    assert "branch is 'main' on the server, not 'feature'" in ran.report["error"]["message"]
    assert link_of(shop, guid)["branch"] == "main"
    assert shop.remote("refs/heads/feature") is None


# environment variables ------------------------------------------------------------------------------------------------

SHOWING = """import os


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"version of " + os.environ.get("COLOUR", "nothing").encode()]
"""


def test_variables_are_there_before_the_first_activation(app: Workshop) -> None:
    """The page demands the value: had it come late, the draft's visit would have failed."""
    table = app.table.replace('contains = "version"', 'contains = "version of blue"')
    app.commit(app_py=SHOWING, test_app_py="", **{"pyproject.toml": table + 'env = ["COLOUR"]\n'})
    app.environ["COLOUR"] = "blue"
    ran = released(app)
    guid = guid_of(ran)
    assert variables(app, guid) == ["COLOUR"]
    # A no-op compares names: values are not to be had from the server, and a new one waits for the next deploy.
    app.environ["COLOUR"] = "green"
    writes = app.writes()
    assert app.run("release").report["result"] == "noop"
    assert app.writes() == writes
    table = table.replace("blue", "green")
    app.commit(**{"pyproject.toml": table + 'env = ["COLOUR"]\n'})
    assert app.page(released(app).report["url"]) == "version of green"


def test_a_variable_that_was_removed_by_hand_is_left_until_the_next_deploy(shop: Workshop) -> None:
    configure(shop, 'env = ["COLOUR"]\n')
    shop.environ["COLOUR"] = "blue-as-the-sky"
    guid = guid_of(released(shop))
    call(shop, "PATCH", f"v1/content/{guid}/environment", [{"name": "COLOUR", "value": None}])
    ran = shop.run("release")
    assert (ran.status, ran.report["result"]) == (0, "noop"), ran.said
    assert any("variable COLOUR is absent" in note for note in ran.report["notes"])
    assert variables(shop, guid) == []
    deploying = released(shop, 2)  # sends all that are declared
    assert variables(shop, guid) == ["COLOUR"]
    assert not any("COLOUR" in note for note in deploying.report["notes"])
    assert "blue-as-the-sky" not in ran.said + deploying.said


def test_a_newly_declared_variable_is_sent(shop: Workshop) -> None:
    configure(shop, 'env = ["COLOUR"]\n')
    shop.environ |= {"COLOUR": "blue", "SIZE": "large"}
    guid = guid_of(released(shop))
    call(shop, "PATCH", f"v1/content/{guid}/environment", [{"name": "EXTRA", "value": "by hand"}])
    configure(shop, 'env = ["COLOUR", "SIZE"]\n')
    released(shop)
    assert variables(shop, guid) == ["COLOUR", "EXTRA", "SIZE"]  # whose name is not ours to know stays


# another bundle -------------------------------------------------------------------------------------------------------


def test_a_bundle_that_was_activated_by_hand_meanwhile_is_left(shop: Workshop) -> None:
    first = released(shop)
    second = released(shop, 2)
    guid = guid_of(first)
    next_second()
    activate(shop, guid, first.report["bundle"])
    writes = shop.writes()
    ran = shop.run("release")
    assert (ran.status, ran.code) == (1, "CT808"), ran.said
    message = ran.report["error"]["message"]
    assert f"bundle {first.report['bundle']} was activated after bundle {second.report['bundle']}" in message
    assert "version 2" in message or "Release" in message  # the subject of the commit that was left
    assert shop.writes() == writes
    assert live_bundle(shop, guid) == first.report["bundle"]
    forced = shop.run("release", "--force")
    assert forced.status == 0, forced.said
    assert shop.page(forced.report["url"]) == "version 2"
    assert forced.report["bundle"] == second.report["bundle"]  # the bundle of this commit is there already


@pytest.mark.parametrize("by_hand", [False, True], ids=["nobody else", "by hand"])
def test_an_unfinished_release_goes_on_unless_somebody_has_decided_otherwise(shop: Workshop, by_hand: bool) -> None:
    first, _ = released(shop), released(shop, 2)
    guid = guid_of(first)
    version(shop, 3)
    fault = {"pattern": f"POST .*/{guid}/deploy", "status": 403, "offset": 1, "times": None}  # a draft, no activation
    call(shop, "POST", "__emulator__/fault", fault)
    assert shop.run("release").code == "CT704"
    call(shop, "DELETE", "__emulator__/fault")
    next_second()
    if by_hand:
        activate(shop, guid, first.report["bundle"])
    ran = shop.run("release")
    assert (ran.status, ran.code) == ((1, "CT808") if by_hand else (0, None)), ran.said
    assert shop.page(first.report["url"]) == ("version 1" if by_hand else "version 3")


def test_a_run_that_went_back_by_itself_may_be_repeated(shop: Workshop) -> None:
    """The live page was sick, and the bundle before it was activated again: that was us, and the cause may be gone."""
    guid = guid_of(released(shop))
    version(shop, 2)
    live_page = {"pattern": f"GET /content/{guid}/$", "status": 500, "times": None}
    call(shop, "POST", "__emulator__/fault", live_page)
    ran = shop.run("release")
    call(shop, "DELETE", "__emulator__/fault")
    assert (ran.status, ran.code) == (1, "CT801")
    assert "live again" in ran.report["error"]["message"]
    assert shop.page(released(shop).report["url"]) == "version 2"


def test_a_fix_is_released_as_usual_after_that(shop: Workshop) -> None:
    first = released(shop)
    released(shop, 2)
    next_second()
    activate(shop, guid_of(first), first.report["bundle"])
    assert shop.page(released(shop, 3).report["url"]) == "version 3"


def test_going_back_by_git_is_no_drift(shop: Workshop) -> None:
    """The tree of an older bundle ships again: that bundle was replaced by a release, not by hand."""
    first = released(shop)
    released(shop, 2)
    next_second()
    shop.git("revert", "--no-edit", "HEAD~1" if "manifest" in shop.git("log", "-1", "--stat") else "HEAD")
    ran = released(shop)
    assert shop.page(ran.report["url"]) == "version 1"
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


def test_unreadable_configurations_of_the_past_are_no_drift(shop: Workshop, tmp_path: Path) -> None:
    """A commit whose pyproject.toml is broken must not stop today's release."""
    configure(shop, SETTINGS)
    guid = guid_of(released(shop))
    shop.commit("broken", **{"pyproject.toml": "[tool.connect-tasks\n"})
    configure(shop, SETTINGS.replace("Sales by region", "Sales"))
    released(shop)
    assert held(shop, guid)["title"] == "Sales"
