"""The site, as `nox -s docs` has built it strictly: an anchor for each code, and nothing of the network to be read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from connect_tasks.errors.explained import kinds
from connect_tasks.verbs import NAMES

from .pages import ROOT

pytestmark = pytest.mark.site
_LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(https?:)?//|<link[^>]+href=["']?(https?:)?//|@import|url\(["']?http"""
)


@pytest.fixture(scope="module")
def site() -> Path:
    return ROOT / os.environ.get("CONNECT_TASKS_SITE", "site")


def test_each_code_and_each_verb_has_its_anchor(site: Path) -> None:
    for page, names in (("errors", [kind.code for kind in kinds()]), ("verbs", NAMES)):
        text = (site / "reference" / page / "index.html").read_text(encoding="utf-8")
        assert [name for name in names if f'id="{name}"' not in text] == []


def test_nothing_of_it_comes_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 15
    for path in pages:
        assert not _LOADED.search(path.read_text(encoding="utf-8")), path.name


def test_its_pictures_are_there(site: Path) -> None:
    for path in site.rglob("*.html"):
        for source in re.findall(r'<img[^>]+src="([^":]+)"', path.read_text(encoding="utf-8")):
            assert (path.parent / source).is_file(), f"{path.relative_to(site)}: {source}"
