"""Lines of others in a CI system's log: folded away under the stage that they are of, in the system's own notation.

Forms: GitHub's workflow commands `group` and `endgroup`, GitLab's `section_start` and `section_end`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Folding:
    """`start(name, title, now)` and `end(name, now)` -> a line each; `name` is unique in the log, `now` in seconds."""

    start: Callable[[str, str, float], str]
    end: Callable[[str, float], str]


def folding_of(environ: Mapping[str, str]) -> Folding | None:
    """That of the CI system that we run in; None where there is none, or none that folds."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return Folding(start=lambda _, title, __: f"::group::{title}", end=lambda *_: "::endgroup::")
    if environ.get("GITLAB_CI") == "true":
        return Folding(start=_section_start, end=lambda name, now: f"\x1b[0Ksection_end:{now:.0f}:{name}\r\x1b[0K")
    return None


def _section_start(name: str, title: str, now: float) -> str:
    return f"\x1b[0Ksection_start:{now:.0f}:{name}[collapsed=true]\r\x1b[0K{title}"
