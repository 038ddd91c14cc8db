"""A release by way of a generated branch, of a pull request, with a tag; and what is kept of the user's own edits."""

from __future__ import annotations

import json

from .conftest import BARE_APP, TABLE, Workshop

DEPLOY_BRANCH = TABLE + 'deploy_branch = "deploy/production"\nexclude = ["test_*.py", "*.md"]\n'


def test_a_deploy_branch_holds_what_ships_and_main_stays(workshop: Workshop) -> None:
    source = workshop.commit(**{"pyproject.toml": DEPLOY_BRANCH, "README.md": "about\n"})
    workshop.git("push", "--quiet", "origin", "main")
    index = (workshop.root / ".git/index").read_bytes()
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    assert (workshop.head, workshop.remote()) == (source, source)
    assert workshop.git("status", "--porcelain") == ""
    assert (workshop.root / ".git/index").read_bytes() == index
    tip = workshop.remote("refs/heads/deploy/production")
    assert ran.report["live_commit"] == ran.report["pushed"] == tip
    files = set(workshop.git("ls-tree", "-r", "--name-only", tip or "").splitlines())
    assert files == {
        ".python-version",
        "app.py",
        "manifest.json",
        "pyproject.toml",
        "requirements.in",
        "requirements.txt",
    }
    assert set(json.loads(workshop.git("show", f"{tip}:manifest.json"))["files"]) == files - {"manifest.json"}
    assert f"Source-Commit: {source}" in workshop.git("show", "--no-patch", "--format=%B", tip or "")

    again = workshop.run("release")
    assert again.report["result"] == "noop", again.said
    assert workshop.remote("refs/heads/deploy/production") == tip


def test_the_next_deploy_commit_stands_on_the_last(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": DEPLOY_BRANCH})
    assert workshop.run("release").status == 0
    first = workshop.remote("refs/heads/deploy/production")
    workshop.commit(app_py=BARE_APP + "# more\n")
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    second = workshop.remote("refs/heads/deploy/production")
    assert workshop.git("rev-parse", f"{second}^") == first


def test_the_stages_of_a_deploy_branch_one_by_one(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": DEPLOY_BRANCH})
    for verb in ("freeze", "manifest", "test", "commit", "push", "deploy"):
        ran = workshop.run(verb)
        assert ran.status == 0, (verb, ran.said)
    assert ran.report["live_commit"] == workshop.remote("refs/heads/deploy/production")


def test_a_branch_that_is_not_ours_is_never_written(workshop: Workshop) -> None:
    workshop.git("push", "--quiet", "origin", "HEAD:refs/heads/deploy/production")
    theirs = workshop.remote("refs/heads/deploy/production")
    workshop.commit(**{"pyproject.toml": DEPLOY_BRANCH})
    ran = workshop.run("release")
    assert ran.status == 1
    assert "is not a deploy branch of ours" in ran.report["error"]["message"]
    assert workshop.remote("refs/heads/deploy/production") == theirs


def test_a_pull_request_waits_for_a_person(workshop: Workshop) -> None:
    before, writes = workshop.remote(), workshop.writes()
    ran = workshop.run("release", "--pull-request")
    assert ran.status == 0, ran.said
    assert workshop.remote() == before
    assert [entry for entry in workshop.writes()[len(writes) :] if "__api__" in entry] == []
    assert any("merge it into main" in note for note in ran.report["notes"])
    side = [ref for ref in workshop.git("ls-remote", "--heads", "origin").split() if "connect-tasks/" in ref]
    assert len(side) == 1
    workshop.git(
        "push", "--quiet", "origin", f"{workshop.git('ls-remote', 'origin', side[0]).split()[0]}:refs/heads/main"
    )
    workshop.git("pull", "--quiet", "--ff-only", "origin", "main")
    merged = workshop.run("release")
    assert merged.status == 0, merged.said
    assert merged.report["live_commit"] == workshop.remote()


def test_a_tag_lands_with_the_branch(workshop: Workshop) -> None:
    workshop.commit(**{"pyproject.toml": TABLE + 'tag = "app-{number}"\n'})
    ran = workshop.run("release")
    assert ran.status == 0, ran.said
    assert workshop.remote("refs/tags/app-1^{commit}") == ran.report["live_commit"] == workshop.head
    assert ran.report["commits"] == []  # nothing was live before

    mine = f"{workshop.commit('Sell [more]', notes_txt='x')[:10]} Sell [more]"
    planned = workshop.run("plan")
    again = workshop.run("release")

    assert planned.report["commits"] == again.report["commits"] == [mine]  # its own release commit is no news
    assert f"since {ran.report['live_commit'][:10]}, which is live:\n   * {mine}" in planned.said
    assert workshop.git("tag", "--list", "--format=%(contents)", "app-2").splitlines()[-1] == f"* {mine}"
    assert workshop.remote("refs/tags/app-2^{commit}") == again.report["live_commit"]


def test_hand_edits_of_generated_files_are_kept_and_shown(workshop: Workshop) -> None:
    assert workshop.run("release").status == 0
    manifest = workshop.root / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 1, "locale": "de_DE"', 1))
    edited = manifest.read_text()
    ran = workshop.run("manifest")
    assert ran.status == 0, ran.said
    assert "refs/connect-tasks/backup/" in ran.said
    ref = workshop.git("for-each-ref", "--format=%(refname)", "refs/connect-tasks/backup")
    assert workshop.git("show", f"{ref}:manifest.json") == edited.strip()


def test_a_secret_among_the_files_stops_the_release(workshop: Workshop) -> None:
    workshop.commit(**{".env": "DATABASE_PASSWORD=hunter2hunter2\n"})
    head = workshop.head
    ran = workshop.run("release")
    assert ran.status == 1
    assert ".env" in ran.report["error"]["message"]
    assert "hunter2" not in ran.said
    assert workshop.head == head
