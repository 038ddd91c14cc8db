"""The site builds strictly, has an anchor for each code, and needs nothing of the network to be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connect_tasks.errors.explained import kinds

from .pages import ROOT

pytest.importorskip("material", reason="the dependency group `docs` is not installed")
_LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(https?:)?//|<link[^>]+href=["']?(https?:)?//|@import|url\(["']?http"""
)


def test_it_builds(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    errors = (tmp_path / "reference" / "errors" / "index.html").read_text(encoding="utf-8")
    assert [kind.code for kind in kinds() if f'id="{kind.code}"' not in errors] == []
    for path in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        assert not _LOADED.search(path.read_text(encoding="utf-8")), path.name
