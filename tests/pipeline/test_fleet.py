"""Many apps in one repository: those that changed are released, in one pass, and one's failure is its own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import BARE_APP, BARE_TEST, PAGE_TABLE, Workshop
from .hands import call
from .test_plan import state_of

NAMES = ("desk", "lamp", "shop", "till")


def make_estate(workshop: Workshop, names: tuple[str, ...] = NAMES, *, more: str = "", each: str = "") -> Workshop:
    """The workshop's one app, or page, replaced by several below apps/."""
    pages = is_page(workshop)
    for name in ("index.html",) if pages else ("app.py", "test_app.py", "requirements.in"):
        (workshop.root / name).unlink()
    tables = (f'[tool.connect-tasks.apps.{name}]\npath = "apps/{name}"\n{each}' for name in names)
    workshop.write("pyproject.toml", workshop.table + more + "".join(tables))
    for name in names:
        change(workshop, name, 1)
        if not pages:
            workshop.write(f"apps/{name}/requirements.in", "")
    workshop.commit("the estate")
    workshop.git("push", "--quiet", "origin", "main")
    return workshop


def is_page(workshop: Workshop) -> bool:
    return workshop.table == PAGE_TABLE


def change(workshop: Workshop, name: str, version: int) -> None:
    if is_page(workshop):
        workshop.write(f"apps/{name}/index.html", f"version {version} of {name}")
        return
    workshop.write(f"apps/{name}/app.py", BARE_APP.replace("version 1", f"version {version} of {name}"))
    workshop.write(f"apps/{name}/test_app.py", BARE_TEST.replace("version 1", f"version {version} of {name}"))


@pytest.fixture
def estate(workshop: Workshop) -> Workshop:
    return make_estate(workshop)


@pytest.fixture
def pair(workshop: Workshop) -> Workshop:
    return make_estate(workshop, NAMES[:2])


@pytest.fixture
def pages(page: Workshop) -> Workshop:
    """Two pages: which of several has changed is no matter of Python."""
    return make_estate(page, NAMES[:2])


def results(report: dict) -> dict[str, str]:
    return {one["app"]: one["result"] for one in report["apps"]}


def fetched(workshop: Workshop) -> list[str]:
    """Every call that the server has seen, git's too."""
    log = workshop.api("__emulator__/requests")
    entries = log["requests"] if isinstance(log, dict) else log
    return [f"{entry['method']} {entry['path']}" for entry in entries if "__emulator__" not in entry["path"]]


def test_all_are_released_with_one_commit_and_one_push_then_only_what_changed(estate: Workshop) -> None:
    before, head = estate.writes(), estate.head
    first = estate.run("release", "--jobs", "2")
    assert first.status == 0, first.said
    assert results(first.report) == dict.fromkeys(NAMES, "changed")
    assert "   changed 4\n" in first.said
    assert estate.git("rev-list", f"{head}..HEAD").split() == [estate.head]
    assert [call for call in estate.writes()[len(before) :] if "git-receive-pack" in call] == [
        f"POST /git/{estate.name}.git/git-receive-pack"
    ]
    assert estate.git("log", "-1", "--format=%s") == "Release 4 apps: desk, lamp, shop, till"
    for one in first.report["apps"]:
        assert estate.page(one["url"]) == f"version 1 of {one['app']}"
        assert one["commit"] == one["pushed"] == one["live_commit"] == estate.head == estate.remote()
    assert estate.git("status", "--porcelain") == ""

    quiet, seen, writes = estate.head, len(fetched(estate)), estate.writes()
    again = estate.run("release")
    assert again.status == 0
    assert "   ok 4\n" in again.said
    assert (estate.head, estate.writes()) == (quiet, writes)
    api = [call for call in fetched(estate)[seen:] if "/__api__/" in call]
    assert api == ["GET /__api__/v1/user", "GET /__api__/v1/content"]  # for four apps as for four hundred

    change(estate, "lamp", 2)
    change(estate, "till", 2)
    estate.commit("two of them")
    seen = len(fetched(estate))
    second = estate.run("release", "-j", "2")
    assert second.status == 0, second.said
    assert {name for name, result in results(second.report).items() if result == "changed"} == {"lamp", "till"}
    assert "   ok 2 changed 2\n" in second.said
    assert "lamp: the app changed since" in second.said
    pushes = [call for call in fetched(estate)[seen:] if "POST" in call and "git-receive-pack" in call]
    assert len(pushes) == 1
    pages = {one["app"]: estate.page(one["url"]) for one in second.report["apps"]}
    assert (pages["lamp"], pages["desk"]) == ("version 2 of lamp", "version 1 of desk")


def test_one_that_fails_does_not_stop_the_others(pair: Workshop) -> None:
    assert pair.run("release").status == 0
    pair.write("apps/desk/app.py", BARE_APP.replace("version 1", "version 9"))  # its test wants another one
    change(pair, "lamp", 2)
    pair.commit("one of them is broken")
    ran = pair.run("release")
    assert ran.status == 1
    desk, lamp = ran.report["apps"]
    assert (desk["result"], desk["error"]["code"]) == ("failed", "CT500")
    assert lamp["result"] == "changed"
    assert pair.page(lamp["url"]) == "version 2 of lamp"
    assert "   changed 1 failed 1\n" in ran.said
    assert "desk: " in ran.said
    assert pair.git("show", "--format=", "--name-only", "HEAD").split() == ["apps/lamp/manifest.json"]
    change(pair, "desk", 3)
    pair.commit("mended")
    mended = pair.run("release")
    assert results(mended.report) == {"desk": "changed", "lamp": "noop"}


@pytest.mark.slow
def test_a_commit_each_and_still_one_push(workshop: Workshop) -> None:
    estate = make_estate(workshop, NAMES[:3], more='commits = "each"\n')
    before, head = estate.writes(), estate.head
    ran = estate.run("release", "-j", "3")
    assert ran.status == 0, ran.said
    subjects = estate.git("log", "--format=%s", f"{head}..HEAD").splitlines()
    assert sorted(subjects) == ["Release desk", "Release lamp", "Release shop"]
    assert sum("git-receive-pack" in call for call in estate.writes()[len(before) :]) == 1
    assert {one["live_commit"] for one in ran.report["apps"]} == {estate.remote()}


@pytest.mark.parametrize("commits", ["together", pytest.param("each", marks=pytest.mark.slow)])
def test_a_lost_race_is_replayed_for_all_of_them(page: Workshop, tmp_path: Path, commits: str) -> None:
    estate = make_estate(page, NAMES[:3], more=f'commits = "{commits}"\n')
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", estate.root, other], env=estate.environ, check=True)
    rival = replace(estate, root=other)
    rival.git("remote", "set-url", "origin", estate.server.git_url(estate.name))
    rival.git("config", f"http.{estate.server.url}/.extraHeader", f"Authorization: Key {estate.server.api_key}")
    hook = estate.root / ".git" / "hooks" / "pre-push"
    once = f"test -e {tmp_path}/once && exit 0; touch {tmp_path}/once"
    push = f"cd {other} && echo more > notes.txt && git add . && git commit -qm theirs && git push -q origin main"
    hook.write_text(f"#!/bin/sh\n{once}; unset GIT_DIR; {push}\n")
    hook.chmod(0o755)
    ran = estate.run("release", "-j", "2")
    assert ran.status == 0, ran.said
    assert estate.git("log", "--format=%s", "origin/main").splitlines()[-3:-2] == ["theirs"]
    for one in ran.report["apps"]:
        assert one["pushed"] == one["live_commit"] == estate.remote()
        assert estate.page(one["url"]) == f"version 1 of {one['app']}"
    estate.git("pull", "--quiet", "--ff-only", "origin", "main")
    assert estate.git("status", "--porcelain") == ""
    assert results(estate.run("release").report) == dict.fromkeys(NAMES[:3], "noop")


def test_a_plan_of_many_changes_nothing_and_names_those_that_changed(pair: Workshop) -> None:
    assert pair.run("release").status == 0
    change(pair, "lamp", 2)
    pair.commit("version 2")
    before = state_of(pair)
    planned = pair.run("plan")
    assert planned.status == 2, planned.said
    assert state_of(pair) == before
    desk, lamp = planned.report["apps"]
    assert desk["plan"]["actions"] == []
    assert [action["kind"] for action in lamp["plan"]["actions"]][:3] == ["RunTests", "CommitGenerated", "PushCommits"]
    assert pair.run("plan", "--changed-since", "HEAD").status == 0
    assert pair.run("plan", "--changed-since", "HEAD~1").status == 2
    wrong = pair.run("plan", "--changed-since", "nowhere")
    assert (wrong.status, wrong.report["apps"][0]["error"]["code"]) == (4, "CT100")


def test_the_matrix_holds_what_changed_and_nothing_else(pages: Workshop) -> None:
    empty = [pages.process("plan", "--matrix", form) for form in ("github", "gitlab", "json")]
    assert [done.returncode for done in empty] == [0, 0, 0], empty[0].stderr
    assert [row["app"] for row in json.loads(empty[0].stdout)["include"]] == ["desk", "lamp"]
    assert pages.run("release").status == 0
    change(pages, "lamp", 2)
    pages.commit("version 2")
    github, gitlab, plain = (pages.process("plan", "--matrix", form) for form in ("github", "gitlab", "json"))
    assert json.loads(github.stdout) == {"include": [{"app": "lamp", "path": "apps/lamp", "target": ""}]}
    jobs = json.loads(gitlab.stdout)
    assert jobs["release lamp"] == {"extends": ".connect-tasks", "variables": {"CONNECT_TASKS_APP": "lamp"}}
    (row,) = json.loads(plain.stdout)
    assert row["because"].startswith("the app changed since ")
    assert pages.run("release").status == 0
    assert json.loads(pages.process("plan", "--matrix", "github").stdout) == {"include": []}


def test_a_fresh_clone_without_records_knows_what_is_live(pages: Workshop, tmp_path: Path) -> None:
    """As each CI job is: no journal, no record, `fetch-depth: 1`, HEAD detached."""
    assert pages.run("release").status == 0
    url = pages.server.git_url(pages.name)
    header = f"http.{pages.server.url}/.extraHeader=Authorization: Key {pages.server.api_key}"
    job = tmp_path / "job"
    clone = ["git", "-c", header, "clone", "--quiet", "--depth", "1", "--branch", "main", url, str(job)]
    subprocess.run(clone, env=pages.environ, check=True)
    fresh = replace(pages, root=job, environ={**pages.environ, "CI": "true"})
    fresh.git("config", f"http.{pages.server.url}/.extraHeader", f"Authorization: Key {pages.server.api_key}")
    seen = len(fetched(pages))
    assert results(fresh.run("release").report) == {"desk": "noop", "lamp": "noop"}
    api = [call for call in fetched(pages)[seen:] if "/__api__/" in call]
    assert api == ["GET /__api__/v1/user", "GET /__api__/v1/content"]  # the cache knows the bundles' commits
    for name in ("pyproject.toml",):
        text = (job / name).read_text()
        fresh.write(name, text.replace('path = "apps/lamp"', 'path = "apps/lamp"\ntitle = "A lamp"'))
    fresh.commit("a title")
    assert [row["app"] for row in json.loads(fresh.process("plan", "--matrix", "json").stdout)] == ["lamp"]


def test_a_shared_path_brings_its_apps_along(page: Workshop) -> None:
    estate = make_estate(page, NAMES[:2], more='shared = ["common"]\n')
    assert estate.run("release").status == 0
    estate.write("common/base.txt", "1\n")
    estate.commit("shared")
    matrix = json.loads(estate.process("plan", "--matrix", "json").stdout)
    assert {row["because"] for row in matrix} == {"a shared path changed"}
    looked = estate.run("release")
    assert results(looked.report) == {"desk": "noop", "lamp": "noop"}, looked.said
    assert json.loads(estate.process("plan", "--matrix", "json").stdout) == []  # looked at, and found the same


@pytest.mark.slow
def test_a_hook_that_rewrites_pins_sends_each_app_by_itself(workshop: Workshop) -> None:
    estate = make_estate(workshop, NAMES[:2])
    hook = estate.root / ".git" / "hooks" / "pre-commit"
    rewrite = 'for file in $(git diff --cached --name-only -- "*requirements.txt"); do echo "# ours" >> $file; done'
    hook.write_text(
        f'#!/bin/sh\ngrep -q "# ours" $(git diff --cached --name-only -- "*requirements.txt") /dev/null && exit 0\n'
        f'{rewrite}; git add $(git diff --cached --name-only -- "*requirements.txt"); exit 0\n'
    )
    hook.chmod(0o755)
    ran = estate.run("release")
    assert ran.status == 0, ran.said
    assert results(ran.report) == {"desk": "changed", "lamp": "changed"}
    for name in NAMES[:2]:
        assert "# ours" in estate.git("show", f"origin/main:apps/{name}/requirements.txt")


def test_an_unreachable_server_is_said_once(pages: Workshop) -> None:
    pages.environ["CONNECT_SERVER"] = "http://127.0.0.1:1"
    ran = pages.run("release")
    assert ran.status not in {0, 2}
    assert {one["error"]["code"] for one in ran.report["apps"]} == {"CT702"}
    assert ran.said.count("CT702: ") == 1


def test_what_the_list_shows_of_drift_is_seen(pages: Workshop) -> None:
    """Settings and the item's own path, in the same two calls; link and variables cost a call for each app."""
    own = f"v-{pages.name[-6:]}"
    pages.write(
        "pyproject.toml", (pages.root / "pyproject.toml").read_text() + f'title = "The lamp"\nvanity = "/{own}/"\n'
    )
    pages.commit("lamp has a title and a path")
    first = pages.run("release")
    assert first.status == 0, first.said
    assert json.loads(pages.process("plan", "--matrix", "json").stdout) == []
    guid = first.report["apps"][1]["url"].rstrip("/").rsplit("/", 1)[-1]
    call(pages, "PUT", f"v1/content/{guid}/vanity", {"path": f"/{own}-moved/"})
    seen = len(fetched(pages))
    (row,) = json.loads(pages.process("plan", "--matrix", "json").stdout)
    assert (row["app"], row["because"]) == ("lamp", "vanity on the server is not as declared")
    api = [one for one in fetched(pages)[seen:] if "/__api__/" in one]
    assert api == ["GET /__api__/v1/user", "GET /__api__/v1/content"]


def test_tables_beside_the_apps_are_found(page: Workshop) -> None:
    """No list of apps anywhere: each has a table of its own, and what stands in the root's is shared."""
    estate = make_estate(page, NAMES[:2])
    estate.write("pyproject.toml", estate.table)
    for name in NAMES[:2]:
        estate.write(f"apps/{name}/pyproject.toml", f'[tool.connect-tasks]\ntitle = "The {name}"\n')
    estate.write("docs/pyproject.toml", '[project]\nname = "docs"\n')
    estate.commit("tables of their own")
    matrix = json.loads(estate.process("plan", "--matrix", "json").stdout)
    assert [(row["app"], row["path"]) for row in matrix] == [("desk", "apps/desk"), ("lamp", "apps/lamp")]
    first = estate.run("release")
    assert first.status == 0, first.said
    again = results(estate.run("release").report)
    assert again == {"desk": "noop", "lamp": "noop"}
    for record in (estate.root / ".git/connect-tasks/released").iterdir():
        record.unlink()  # as in another clone
    estate.write("pyproject.toml", estate.table + "\n[tool.other]\nkey = 1\n")
    estate.commit("not for them")
    assert json.loads(estate.process("plan", "--matrix", "json").stdout) == []
    guid = first.report["apps"][1]["url"].rstrip("/").rsplit("/", 1)[-1]
    call(estate, "PATCH", f"v1/content/{guid}", {"title": "By hand"})
    assert [row["app"] for row in json.loads(estate.process("plan", "--matrix", "json").stdout)] == ["lamp"]
    ran = estate.run("release", "--app", "lamp")
    assert "title is 'By hand' on the server, not 'The lamp' (changed by hand)" in ran.said
    assert call(estate, "GET", f"v1/content/{guid}")["title"] == "By hand"
