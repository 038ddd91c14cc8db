"""`rehearse`: the whole release, and no trace of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from .conftest import Workshop


def snapshot(root: Path) -> dict[str, bytes]:
    """Every byte of a checkout, git's own files included."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_rehearsal_ends_with_a_live_page_and_leaves_no_trace(workshop: Workshop, tmp_path: Path) -> None:
    workshop.git("status")  # refreshes the index, so that the snapshot is of a settled one
    before, remote, writes = snapshot(workshop.root), workshop.remote(), workshop.writes()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    workshop.environ["TMPDIR"] = str(temporary)
    done = workshop.process("rehearse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"answers 200, commit [0-9a-f]{40} is live", done.stdout)
    assert (snapshot(workshop.root), workshop.remote(), workshop.writes()) == (before, remote, writes)
    assert list(temporary.iterdir()) == []


def test_what_was_not_rehearsed_is_named(workshop: Workshop) -> None:
    workshop.write("notes.txt", "not committed")
    hook = workshop.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    ran = workshop.run("rehearse")
    assert ran.status == 0, ran.said
    assert "uncommitted, so not rehearsed: notes.txt" in ran.said
    assert "hooks, not rehearsed: pre-commit" in ran.said


@pytest.mark.parametrize("state", ["detached", "shallow", "ssh remote", "no remote", "no identity", "no key"])
def test_any_checkout_can_be_rehearsed(workshop: Workshop, tmp_path: Path, state: str) -> None:
    if state == "detached":
        workshop.git("checkout", "--quiet", "--detach")
    elif state == "shallow":
        workshop.commit("second", **{"notes.txt": "x"})
        clone = tmp_path / "shallow"
        subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", f"file://{workshop.root}", str(clone)],
            env=workshop.environ, check=True,
        )  # fmt: skip
        workshop.root = clone
    elif state == "ssh remote":
        workshop.git("remote", "set-url", "origin", "git@git.example.org:team/app.git")
    elif state == "no remote":
        workshop.git("remote", "remove", "origin")
    elif state == "no identity":
        Path(workshop.environ["GIT_CONFIG_GLOBAL"]).write_text("")
    else:
        del workshop.environ["CONNECT_API_KEY"], workshop.environ["CONNECT_SERVER"]
    ran = workshop.run("rehearse")
    assert ran.status == 0, ran.said
    assert ran.report["live_commit"] == ran.report["commit"]


def test_keep_leaves_the_server_up(workshop: Workshop, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    workshop.environ["TMPDIR"] = str(temporary)
    done = workshop.process("rehearse", "--keep")
    kept = re.search(r"the server stays up: (\S+)  key (\S+)  \(stop it: kill (\d+)\)", done.stdout)
    assert kept, done.stdout + done.stderr
    url, key, pid = kept.groups()
    try:
        request = urllib.request.Request(f"{url}/__api__/v1/content", headers={"Authorization": f"Key {key}"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
    finally:
        os.kill(int(pid), signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(pid), 0)


def test_another_checkout_is_the_source(workshop: Workshop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    source, workshop.root = workshop.root, elsewhere
    ran = workshop.run("rehearse", "--source", str(source))
    assert ran.status == 0, ran.said


def test_a_failing_app_fails_the_rehearsal(workshop: Workshop) -> None:
    workshop.commit(app_py="import nothing_of_that_name\n")
    ran = workshop.run("rehearse")
    assert (ran.status, ran.code) == (1, "CT401")
    assert "nothing_of_that_name" in ran.report["error"]["message"]
