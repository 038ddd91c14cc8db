"""Tags: annotated, atomic with the branch, and never moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from connect_tasks.errors import ConfigurationInvalid, NameRefused, PushRejected, TagTaken
from connect_tasks.repository.git_push import push
from connect_tasks.repository.release_tag import ReleaseTag, plan_tag
from connect_tasks.repository.replay import Replay

from .conftest import Clone
from .conftest import git as run_git
from .test_generated_commit import commit
from .test_git_push import land

TODAY = date(2026, 3, 1)


def plan(clone: Clone, sha: str, template: str = "{app}/{date}-{number}") -> ReleaseTag:
    tag = plan_tag(clone.git, replace(clone.app, tag=template), sha, message="Release sales\n", today=TODAY)
    assert tag is not None
    return tag


def ship(clone: Clone, sha: str, tag: ReleaseTag) -> str:
    replay = Replay(directory=clone.app.path)
    return push(clone.git, "origin", "main", sha, timeout=20, replay=replay, tag=tag).commit


def remote_tag(clone: Clone, name: str) -> str:
    return run_git("rev-parse", "-q", "--verify", f"refs/tags/{name}^{{commit}}", cwd=clone.remote, check=False)


def test_no_template_no_tag(clone: Clone) -> None:
    assert plan_tag(clone.git, clone.app, "HEAD", message="m", today=TODAY) is None


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "remote without atomic"])
def test_the_tag_lands_with_the_branch_and_again_is_fine(clone: Clone, atomic: bool) -> None:
    run_git("config", "receive.advertiseAtomic", str(atomic).lower(), cwd=clone.remote)
    sha = commit(clone).commit
    tag = plan(clone, sha)
    assert ship(clone, sha, tag) == clone.remote_tip() == remote_tag(clone, "sales/2026.03.01-1") == sha
    assert run_git("cat-file", "-t", "refs/tags/sales/2026.03.01-1", cwd=clone.remote) == "tag"
    assert plan(clone, sha).name == "sales/2026.03.01-1"
    before = clone.snapshot()
    ship(clone, sha, plan(clone, sha))
    assert clone.snapshot() == before
    assert plan(clone, clone("rev-parse", "HEAD^")).name == "sales/2026.03.01-2"


def test_numbers_taken_on_the_remote_alone_count(clone: Clone) -> None:
    run_git("tag", "-a", "-m", "x", "sales/2026.03.01-1", "main", cwd=clone.remote)
    assert plan(clone, commit(clone).commit).name == "sales/2026.03.01-2"


def test_a_tag_of_another_commit_is_an_error(clone: Clone) -> None:
    clone("tag", "v1")
    with pytest.raises(TagTaken, match="the tag v1 names"):
        plan(clone, commit(clone).commit, "v1")


def test_a_tag_that_appears_meanwhile_stops_the_push_of_both(clone: Clone) -> None:
    sha, main = commit(clone).commit, clone.remote_tip()
    tag = plan(clone, sha)
    run_git("tag", "-a", "-m", "x", tag.name, "main", cwd=clone.remote)
    with pytest.raises(TagTaken):
        ship(clone, sha, tag)
    assert clone.remote_tip() == main
    assert clone("tag") == ""


def test_a_refused_tag_is_taken_back_here(clone: Clone) -> None:
    hook = clone.remote / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo "tags are for managers" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    sha, main = commit(clone).commit, clone.remote_tip()
    with pytest.raises(PushRejected, match="tags are for managers"):
        ship(clone, sha, plan(clone, sha))
    assert clone.remote_tip() == main
    assert clone("tag") == ""


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_replayed_commit_takes_its_tag_along(clone: Clone, clone_of: Callable[..., Clone]) -> None:
    land(clone_of("other"), "docs/other.md")
    sha = commit(clone).commit
    tag = plan(clone, sha)
    landed = ship(clone, sha, tag)
    assert landed != sha
    assert remote_tag(clone, tag.name) == landed == clone("rev-parse", f"{tag.name}^{{commit}}")


def test_templates_that_can_not_be(clone: Clone) -> None:
    with pytest.raises(ConfigurationInvalid, match="version"):
        plan(clone, "HEAD", "{app}-{version}")
    with pytest.raises(NameRefused):
        plan(clone, "HEAD", "{app}..{date}")
    with pytest.raises(NameRefused):
        plan(clone, "HEAD", "--delete")
