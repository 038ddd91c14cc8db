"""ssh, and what of ours may be seen by others while git runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from connect_tasks.repository.git import Git

from .conftest import Clone, release
from .http_remote import http_remote
from .test_generated_commit import commit
from .test_git_push import pushed

pytestmark = pytest.mark.parametrize("app_path", ["apps/sales"])

#: Takes the place of ssh: notes its options and runs the command on this computer.
SSH = '#!/bin/sh\necho "$*" >> "{log}"\nwhile [ "$1" = -o ]; do shift 2; done\nshift\nexec sh -c "$*"\n'


@pytest.fixture
def over_ssh(clone_of: Callable[..., Clone], remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(SSH.format(log=tmp_path / "log"))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    clone = clone_of("clone", url=f"ssh://git.example.org{remote}")
    (tmp_path / "log").unlink()
    return clone


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def test_ssh_never_asks(over_ssh: Clone, tmp_path: Path) -> None:
    assert release(over_ssh).commit == over_ssh.remote_tip()
    assert calls(tmp_path)
    assert all("-o BatchMode=yes" in call for call in calls(tmp_path))


@pytest.mark.parametrize("way", ["GIT_SSH_COMMAND", "core.sshCommand", "SSH_ASKPASS"])
def test_the_users_own_ssh_command_is_left_alone(
    over_ssh: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "core.sshCommand":
        over_ssh("config", way, "ssh -o User=ada")
    else:
        monkeypatch.setenv(way, "ssh -o User=ada")
    assert release(over_ssh).commit == over_ssh.remote_tip()
    assert calls(tmp_path)
    assert not any("BatchMode" in call for call in calls(tmp_path))
    assert all("User=ada" in call for call in calls(tmp_path)) == (way != "SSH_ASKPASS")


def test_settings_with_secrets_travel_by_environment(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git before git, which notes what anybody could read of it in the list of processes."""
    real = shutil.which("git")
    shim = tmp_path / "bin/git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/log"\nexec {real} "$@"\n')
    shim.chmod(0o755)
    with http_remote(tmp_path) as server:
        server.password, server.readers_too = "s3cret", True
        clone("remote", "set-url", "origin", f"{server.url}/remote.git")
        monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
        extra = {
            f"http.{server.url}/.extraHeader": "Authorization: Basic Y2k6czNjcmV0",
            "user.name": 'it\'s "Ada" & co!',
        }
        result = release(clone, door=Git.discover(clone.root, os.environ, extra))
    assert clone.remote_tip() == result.commit
    assert clone("log", "-1", "--format=%an") == 'it\'s "Ada" & co!'
    logged = (tmp_path / "log").read_text()
    assert "push --porcelain" in logged
    assert "Y2k6czNjcmV0" not in logged
    assert "s3cret" not in logged


def test_a_pre_push_hook_with_a_background_child_does_not_hold_us(clone: Clone, tmp_path: Path) -> None:
    clone.hook("pre-push", f"sleep 30 & echo $! > {tmp_path}/child")
    sha = commit(clone).commit
    try:
        assert pushed(clone, sha, timeout=20).commit == sha
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


def test_hooks_in_a_directory_of_their_own(clone: Clone, tmp_path: Path) -> None:
    clone("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    commit(clone)
    assert (tmp_path / "ran").exists()
