"""Signing is the user's own: honoured where it is set, and a signer that fails stops us with nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from connect_tasks.errors import CommitFailed
from connect_tasks.repository.git_push import push
from connect_tasks.repository.release_tag import plan_tag
from connect_tasks.repository.replay import Replay

from .conftest import GIT_VERSION, Clone
from .test_deploy_branch import BRANCH, ship, wanted
from .test_generated_commit import commit
from .test_git_push import land


@pytest.fixture(params=["ssh", "gpg"])
def signing(
    request: pytest.FixtureRequest, clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A clone whose user signs commits and tags."""
    clone("config", "commit.gpgSign", "true")
    clone("config", "tag.gpgSign", "true")
    if request.param == "ssh":
        if GIT_VERSION < (2, 34):
            pytest.skip("this git does not sign with ssh keys")
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (tmp_path / "signers").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
        clone("config", "gpg.format", "ssh")
        clone("config", "user.signingKey", str(key.with_suffix(".pub")))
        clone("config", "gpg.ssh.allowedSignersFile", str(tmp_path / "signers"))
        yield "ssh"
        return
    home = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path is short
    monkeypatch.setenv("GNUPGHOME", str(home))
    args = ["--batch", "--passphrase", "", "--quick-gen-key", "Ada <ada@example.org>", "ed25519", "sign"]
    subprocess.run(["gpg", "--quiet", *args], check=True, capture_output=True)
    clone("config", "user.signingKey", "ada@example.org")
    try:
        yield "gpg"
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(home)}, check=True)
        shutil.rmtree(home, ignore_errors=True)


def signed(clone: Clone, revision: str) -> bool:
    return clone("log", "-1", "--format=%G?", revision) == "G"


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_the_commit_its_tag_and_the_deploy_commit_are_signed(clone: Clone, signing: str) -> None:
    sha = commit(clone).commit
    assert signed(clone, sha)
    tag = plan_tag(clone.git, replace(clone.app, tag="v{number}"), sha, message="m", today=date(2026, 3, 1))
    push(clone.git, "origin", "main", sha, timeout=20, tag=tag)
    clone("verify-tag", "v1")
    ship(clone, wanted(clone))
    assert signed(clone, BRANCH)


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_replayed_commit_is_signed_again(clone: Clone, clone_of: Callable[..., Clone], signing: str) -> None:
    land(clone_of("other"), "docs/other.md")
    sha = commit(clone).commit
    landed = push(clone.git, "origin", "main", sha, timeout=20, replay=Replay(directory=clone.app.path))
    assert landed.replayed_from == sha
    assert signed(clone, landed.commit)


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_signer_that_fails_stops_before_the_push(clone: Clone, signing: str) -> None:
    clone("config", "user.signingKey", "/nowhere/key.pub" if signing == "ssh" else "nobody@example.org")
    before = clone.snapshot()
    with pytest.raises(CommitFailed, match="could not be signed") as told:
        commit(clone)
    assert "user.signingkey" in str(told.value.hint)
    assert clone.snapshot() == before
    with pytest.raises(CommitFailed, match="the deploy commit failed"):
        ship(clone, wanted(clone))
    assert clone.snapshot() == before


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_a_tag_that_can_not_be_signed_stops_the_push(clone: Clone, signing: str) -> None:
    sha, main = commit(clone).commit, clone.remote_tip()
    tag = plan_tag(clone.git, replace(clone.app, tag="v{number}"), sha, message="m", today=date(2026, 3, 1))
    clone("config", "user.signingKey", "/nowhere/key.pub" if signing == "ssh" else "nobody@example.org")
    with pytest.raises(CommitFailed, match="tag v1 could not be made: error: "):
        push(clone.git, "origin", "main", sha, timeout=20, tag=tag)
    assert clone.remote_tip() == main
    assert clone("tag") == ""


@pytest.mark.parametrize("app_path", ["apps/sales"])
def test_without_the_setting_nothing_is_signed(clone: Clone, signing: str) -> None:
    clone("config", "commit.gpgSign", "false")
    assert clone("log", "-1", "--format=%G?", commit(clone).commit) == "N"
