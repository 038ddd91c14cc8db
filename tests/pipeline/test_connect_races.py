"""Somebody else pushes to our branch between our push and the deploy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connect_tasks.emulator import Running
from connect_tasks.pipeline import activation

from .conftest import Workshop, make_workshop
from .test_connect_faults import WAYS, server_of

__all__ = ["server_of"]

#: In the remote, right after our push: a commit that changes FILE to TEXT.
RACE = """#!/bin/sh
unset GIT_DIR
cd "{bare}" || exit 1
mv hooks/post-receive hooks/post-receive.done
export GIT_INDEX_FILE=race.index
git read-tree main
blob=$(echo "{text}" | git hash-object -w --stdin)
git update-index --add --cacheinfo 100644,$blob,{file}
tree=$(git write-tree)
commit=$(git -c user.name=Bob -c user.email=bob@example.org commit-tree -p main -m "meanwhile" $tree)
git update-ref refs/heads/main $commit
"""


@pytest.fixture(params=WAYS)
def shop(
    request: pytest.FixtureRequest, server_of: Callable[[str], Running], tmp_path: Path, private_home: Path
) -> Workshop:
    made = make_workshop(server_of(request.param), tmp_path, f"race-{request.param}")
    made.write("notes/readme.txt", "nothing of the app's")
    made.git("mv", "app.py", "requirements.in", "test_app.py", ".python-version", "notes")
    made.git("mv", "notes", "app")
    table = (made.root / "pyproject.toml").read_text().replace("]\n", ']\npath = "app"\n', 1)
    made.commit(**{"pyproject.toml": table})
    made.git("push", "--quiet", "origin", "main")
    return made


def race(shop: Workshop, file: str, text: str) -> None:
    hook = shop.bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(RACE.format(bare=shop.bare, file=file, text=text))
    hook.chmod(0o755)


def test_another_app_is_no_matter(shop: Workshop) -> None:
    race(shop, "elsewhere/app.py", "another")
    ran = shop.run("release")
    assert ran.status == 0, ran.said
    assert shop.remote() != shop.head  # they did push
    assert ran.report["live_commit"] == (shop.head if "race-commit" in shop.name else shop.remote())
    assert shop.page(ran.report["url"]) == "version 1"


def test_our_app_is_said(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "RECORD_LAG", 0.2)
    race(shop, "app/more.txt", "another version of ours")
    ran = shop.run("release")
    if "race-commit" in shop.name:
        assert ran.status == 0, ran.said
        assert ran.report["live_commit"] == shop.head
        return
    assert (ran.status, ran.code) == (1, "CT802"), ran.said
    theirs = shop.remote()
    assert theirs is not None
    assert theirs[:10] in ran.report["error"]["message"]
    assert shop.head[:10] in ran.report["error"]["message"]
