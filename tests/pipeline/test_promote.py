"""From staging to production, on two servers side by side: the same tree of the app, proved on both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connect_tasks.emulator import Running, running

from .conftest import Ran, Workshop, make_workshop
from .hands import activate, call, guid_of, link_of, live_bundle, version

#: What a person types; both servers know the same key.
PROMOTE = ("promote", "--from", "staging", "--to", "production")


@pytest.fixture(scope="module")
def production(connect_server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("production")
    with running(data, api_key=connect_server.api_key, options=["--faults"]) as server:
        yield server


@pytest.fixture
def app_shop(connect_server: Running, production: Running, tmp_path: Path, private_home: Path) -> Workshop:
    """The remote is beside staging; production clones from there, as both would from a git host."""
    made = make_workshop(connect_server, tmp_path, "promoted")
    configure(made, production)
    return made


@pytest.fixture
def shop(connect_server: Running, production: Running, tmp_path: Path, private_home: Path) -> Workshop:
    """The same with a page: two servers hold the same tree, whatever is in it."""
    made = make_workshop(connect_server, tmp_path, "promoted", page=True)
    configure(made, production)
    return made


def configure(shop: Workshop, production: Running, *, at_production: str = "", at_staging: str = "") -> None:
    shop.commit(
        "targets",
        **{
            "pyproject.toml": shop.table
            + f'[tool.connect-tasks.targets.staging]\nserver = "{shop.server.url}"\n{at_staging}'
            + f'[tool.connect-tasks.targets.production]\nserver = "{production.url}"\n{at_production}'
        },
    )


def at(shop: Workshop, server: Running) -> Workshop:
    """The same workshop as seen by the other server's API."""
    return replace(shop, server=server)


def staged(shop: Workshop, number: int | None = None) -> Ran:
    if number is not None:
        version(shop, number)
    ran = shop.run("release", "--target", "staging")
    assert ran.status == 0, ran.said
    return ran


def test_what_is_live_on_staging_goes_live_on_production(app_shop: Workshop, production: Running) -> None:
    source = staged(app_shop)
    head, remote = app_shop.head, app_shop.remote()
    ran = app_shop.run(*PROMOTE)
    assert (ran.status, ran.report["result"]) == (0, "changed"), ran.said
    assert (ran.report["target"], ran.report["live_commit"]) == ("production", source.report["live_commit"])
    assert ran.report["url"].startswith(production.url)
    there = at(app_shop, production)
    guid = guid_of(ran)
    (bundle,) = call(there, "GET", f"v1/content/{guid}/bundles")
    assert (bundle["active"], bundle["metadata"]["source_commit"]) == (True, head)
    assert app_shop.page(source.report["url"]) == there.page(ran.report["url"]) == "version 1"
    assert (app_shop.head, app_shop.remote()) == (head, remote)  # nothing was committed or pushed for it
    assert link_of(there, guid)["polling"] is False
    tree = app_shop.git("rev-parse", "HEAD:")[:10]
    proof = next(stage["detail"] for stage in ran.report["stages"] if stage["name"] == "proof")
    assert proof.count(f"tree {tree}") == 2
    assert not any("not promised" in note for note in ran.report["notes"])
    assert "test" not in [stage["name"] for stage in ran.report["stages"]]  # staging's release left the evidence

    again = app_shop.run(*PROMOTE)
    assert (again.status, again.report["result"]) == (0, "noop"), again.said
    assert app_shop.run("status").status == 0  # both targets


def test_then_production_goes_back_and_staging_stays(shop: Workshop, production: Running) -> None:
    staged(shop)
    first = shop.run(*PROMOTE)
    staged(shop, 2)
    second = shop.run(*PROMOTE)
    assert second.status == 0, second.said
    ran = shop.run("rollback", "--target", "production")
    assert (ran.status, ran.report["bundle"]) == (0, first.report["bundle"]), ran.said
    assert at(shop, production).page(first.report["url"]) == "version 1"
    assert shop.run("status", "--target", "staging").report["state"]["sync"] == "in sync"
    assert shop.run("status", "--target", "production").report["state"]["sync"] == "rolled back"
    held = shop.run(*PROMOTE)  # a promotion is a deploy: it does not undo a rollback either
    assert (held.status, held.code) == (1, "CT808"), held.said
    assert "nox -s release -- --target production --force" in held.report["error"]["hint"]
    assert shop.run(*PROMOTE, "--force").status == 0
    assert at(shop, production).page(first.report["url"]) == "version 2"


def refused(shop: Workshop, production: Running, *words: str) -> Ran:
    """A promotion that must stop before production hears of it."""
    there = at(shop, production)
    writes = there.writes()
    ran = shop.run(*PROMOTE)
    assert (ran.status, ran.code) == (1, "CT810"), ran.said
    for word in words:
        assert word in ran.report["error"]["message"]
    assert ran.report["error"]["hint"]
    assert there.writes() == writes
    return ran


def test_a_sick_source_is_not_promoted(shop: Workshop, production: Running) -> None:
    guid = guid_of(staged(shop))
    call(shop, "POST", "__emulator__/fault", {"pattern": f"GET /content/{guid}/", "status": 500, "times": None})
    try:
        refused(shop, production, "staging is not healthy", "status 500")
    finally:
        call(shop, "DELETE", "__emulator__/fault")
    assert shop.run(*PROMOTE).status == 0


def test_a_source_that_is_elsewhere_is_not_promoted(shop: Workshop, production: Running) -> None:
    live = staged(shop).report["live_commit"]
    version(shop, 2)
    refused(shop, production, f"staging is at commit {live[:10]}")
    staged(shop)
    assert shop.run("rollback", "--target", "staging").status == 0
    refused(shop, production, f"staging is at commit {live[:10]}")


def test_a_source_where_nothing_is_live(shop: Workshop, production: Running) -> None:
    refused(shop, production, "nothing of", "staging")


def test_a_target_cannot_be_promoted_to_itself(shop: Workshop, production: Running) -> None:
    staged(shop)
    ran = shop.run("promote", "--from", "staging", "--to", "staging")
    assert (ran.status, ran.code) == (1, "CT810")
    assert "one content item" in ran.report["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--from", "staging"), "--to"),
        (("--to", "production"), "--from"),
        (("--from", "stagin", "--to", "production"), "staging"),
        (("--from", "staging", "--to", "prod"), "production"),
    ],
)
def test_a_target_that_is_missing_or_misspelt(shop: Workshop, arguments: tuple[str, ...], word: str) -> None:
    done = shop.process("promote", *arguments)
    assert done.returncode == 4
    assert word in done.stdout + done.stderr


def test_a_target_that_would_ship_other_files_is_told(app_shop: Workshop, production: Running) -> None:
    """One commit has one manifest: with files of its own a target needs a branch of its own, and another release."""
    configure(app_shop, production, at_production='exclude = ["test_*.py"]\n')
    staged(app_shop)
    ran = app_shop.run(*PROMOTE)
    assert (ran.status, ran.code) == (1, "CT402"), ran.said


def test_branches_may_differ_as_long_as_the_tree_is_the_same(shop: Workshop, production: Running) -> None:
    """staging follows main, production a branch of its own that main is merged into: two commits, one tree."""
    configure(shop, production, at_staging='branch = "main"\n', at_production='branch = "production"\n')
    source = staged(shop)
    shop.git("switch", "--quiet", "--create", "production")
    shop.git("commit", "--quiet", "--allow-empty", "--message", "ready for production")
    shop.git("push", "--quiet", "origin", "production")
    ran = shop.run(*PROMOTE)
    assert ran.status == 0, ran.said
    assert ran.report["live_commit"] == shop.head != source.report["live_commit"]
    proof = next(stage["detail"] for stage in ran.report["stages"] if stage["name"] == "proof")
    assert source.report["live_commit"][:10] in proof
    assert shop.head[:10] in proof


def test_a_generated_branch_is_proved_by_its_trailer(app_shop: Workshop, production: Running) -> None:
    """What production clones is filtered: its tree is another one, and the trailer names the commit it was made of."""
    exclude = 'exclude = ["test_*.py"]\n'
    branch = 'deploy_branch = "deploy/production"\n'
    configure(app_shop, production, at_staging=exclude, at_production=exclude + branch)
    head = staged(app_shop).report["live_commit"]
    unpushed = app_shop.run(*PROMOTE)
    assert (unpushed.status, unpushed.code) == (1, "CT805"), unpushed.said  # a promotion deploys, and pushes nothing
    assert app_shop.run("push", "--target", "production").status == 0
    ran = app_shop.run(*PROMOTE)
    assert ran.status == 0, ran.said
    tip = app_shop.remote("refs/heads/deploy/production")
    assert ran.report["live_commit"] == tip
    assert f"Source-Commit: {head}" in app_shop.git("show", "--no-patch", "--format=%B", str(tip))


def test_with_polling_the_report_says_what_is_not_promised(shop: Workshop, production: Running) -> None:
    configure(shop, production, at_production="polling = true\n", at_staging="polling = true\n")
    staged(shop)
    ran = shop.run(*PROMOTE)
    assert ran.status == 0, ran.said
    told = [note for note in ran.report["notes"] if "not promised" in note]
    assert any("production polls main" in note and "whether staging has shown it or not" in note for note in told)
    assert any("staging polls main" in note for note in told)
    assert all(note in ran.said for note in told)
    there = at(shop, production)
    assert link_of(there, guid_of(ran))["polling"] is True
    assert live_bundle(there, guid_of(ran)) == ran.report["bundle"]


def test_somebody_is_quicker_than_the_proof(
    shop: Workshop, production: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof reads both servers' records again, and does not believe the deploy that went before."""
    from connect_tasks.stages import promote

    staged(shop)
    first = shop.run(*PROMOTE)
    staged(shop, 2)

    def deploy(*arguments: Any) -> None:
        deployed(*arguments)
        activate(at(shop, production), guid_of(first), first.report["bundle"])

    deployed = promote.deploy
    monkeypatch.setattr(promote, "deploy", deploy)
    ran = shop.run(*PROMOTE)
    assert (ran.status, ran.code) == (1, "CT802"), ran.said
    assert "production holds tree" in ran.report["error"]["message"]
