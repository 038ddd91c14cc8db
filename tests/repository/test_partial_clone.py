"""A partial clone fetches what it lacks in one exchange, not blob by blob."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Clone
from .conftest import git as run_git
from .http_remote import http_remote


@pytest.mark.parametrize("app_path", ["apps/sales"])
@pytest.mark.parametrize("filtered", ["blob:none", "tree:0"])
def test_many_missing_blobs_are_one_exchange(
    clone: Clone, clone_of: Callable[..., Clone], remote: Path, tmp_path: Path, filtered: str
) -> None:
    for number in range(40):
        (clone.directory / f"{number}.py").write_text(f"{number}\n")
    clone("add", "-A")
    clone("commit", "-qm", "many")
    clone("push", "-q")
    run_git("config", "uploadpack.allowFilter", "true", cwd=remote)
    run_git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=remote)
    with http_remote(tmp_path) as server:
        door = clone_of("part", f"--filter={filtered}", "--no-checkout", url=f"{server.url}/remote.git").git
        tree = door.tree("HEAD", "apps/sales")
        before = len(server.seen)
        checksums = door.checksums(blob.oid for blob in tree.values())
        assert checksums == clone.git.checksums(blob.oid for blob in tree.values())
        assert len(server.seen) - before <= 3
