"""What a release brings: the commits that touch the app, since the one that is live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .deploy_branch import source_of
from .git import Git, full_path
from .tree import GENERATED

#: Commits that are listed, and those of them that a terminal shows.
LISTED, SHOWN = 100, 10


@dataclass(frozen=True, kw_only=True)
class ReleaseNotes:
    """`since`: the commit that is live; None: nothing is, or this clone lacks it. `commits`: "sha subject", newest
    first."""

    since: str | None = None
    commits: tuple[str, ...] = ()

    def lines(self, limit: int = LISTED) -> Iterator[str]:
        """For people: a heading and a line for each; nothing where there are none."""
        if self.since is None or not self.commits:
            return
        yield f"since {self.since[:10]}, which is live:"
        yield from (f"* {commit}" for commit in self.commits[:limit])
        if len(self.commits) > limit:
            yield f"* and {len(self.commits) - limit} more"


NOTHING_NEW = ReleaseNotes()


def notes_since(git: Git, live: str | None, head: str, directory: str) -> ReleaseNotes:
    """From the live commit (of a deploy branch: from what it was made of) to `head`; what touches the generated files
    alone is ours, and no news."""
    since = live and git.resolve(live) and (source_of(git, live) or live)
    if not since or git.resolve(since) is None:
        return NOTHING_NEW
    place = ":(top)" if directory == "." else f":(top,literal){directory}"
    ours = (f":(top,literal,exclude){full_path(directory, name)}" for name in sorted(GENERATED))
    found = git.subjects(head, f"^{since}", paths=(place, *ours), limit=LISTED)
    return ReleaseNotes(since=since, commits=tuple(f"{commit[:10]} {subject}" for commit, subject in found))
