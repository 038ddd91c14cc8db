"""The pages that people read, and what is fenced in them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r'^```(\w+)?(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """A fenced block: its page, the line where it begins, its language and title."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def generator() -> ModuleType:
    """docs/generated.py, which makes the reference."""
    spec = importlib.util.spec_from_file_location("docs_generated", ROOT / "docs" / "generated.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> dict[str, str]:
    """Every page, by its name: those written by hand and those that are generated."""
    by_hand = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    written = {path.relative_to(ROOT).as_posix(): _included(path.read_text(encoding="utf-8")) for path in by_hand}
    return written | {f"docs/{name}": render() for name, (_, render) in generator().PAGES.items()}


def _included(text: str) -> str:
    """With the files that a page shows in their place, as the site does it."""
    return _INCLUDE.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8").rstrip("\n"), text)


def snippets(*languages: str) -> list[Snippet]:
    """The fenced blocks of these languages, all of them if none is named."""
    return [each for each in _all() if not languages or each.language in languages]


def spans() -> Iterator[tuple[str, str]]:
    """(page, text) of all that stands between single backticks."""
    for name, text in pages().items():
        for match in _SPAN.finditer(_FENCE.sub("", text)):
            yield name, match[1]


def _all() -> Iterator[Snippet]:
    for name, text in pages().items():
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Snippet(page=name, line=line, language=match[1] or "", title=match[2] or "", text=match[3])
