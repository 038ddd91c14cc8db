"""Where an app stands on its way from the work tree to the page, as a value. Pure.

"In sync" means: the app's tree at the live commit is the one at HEAD, and the item on the server is as configured.
Other apps landing in the same branch change nothing, and uncommitted work is not pending: it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from .server_drift import Difference

#: Characters of a commit, and of the name of an app with its target, in the line for people.
SHORT, NAMES = 10, 24


class Sync(str, Enum):
    """One word for what is live against HEAD."""

    IN_SYNC = "in sync"
    PENDING = "pending"  # HEAD holds another tree of the app
    DRIFT = "drift"  # the same tree, but the item differs from the configuration
    ROLLED_BACK = "rolled back"  # HEAD's tree was live before somebody activated another bundle
    ABSENT = "not deployed"
    UNKNOWN = "unknown"  # the live commit is not to be had

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Held:
    """A commit at one place on the way; `same`: does it hold the app as HEAD does? None where that can't be told."""

    commit: str | None
    same: bool | None = None

    @property
    def short(self) -> str:
        return self.commit[:SHORT] if self.commit else "-"

    def __str__(self) -> str:
        if self.commit is None:
            return self.short
        return self.short + {True: "", False: " differs", None: " unknown here"}[self.same]


@dataclass(frozen=True, kw_only=True)
class LiveState:
    """An app on a target. `changed` and `untracked` are paths of the work tree, relative to the app's directory."""

    app: str
    target: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    committed: Held
    pushed: Held
    fetched: Held  # what the server's git has seen last
    live: Held
    bundle: str | None
    left_behind: str | None  # the bundle of HEAD's tree that another one was activated after
    differences: tuple[Difference, ...]
    sick: str | None  # what is wrong with the live page
    url: str | None
    visited: bool = True  # else its page's health is not known

    @property
    def sync(self) -> Sync:
        if self.bundle is None:
            return Sync.ABSENT
        if self.live.same is None:
            return Sync.UNKNOWN
        if not self.live.same:
            return Sync.ROLLED_BACK if self.left_behind else Sync.PENDING
        return Sync.DRIFT if self.differences else Sync.IN_SYNC

    @property
    def health(self) -> str:
        if self.bundle is None:
            return "-"
        if not self.visited:
            return "unseen"
        return "unhealthy" if self.sick else "healthy"

    @property
    def is_good(self) -> bool:
        return self.sync is Sync.IN_SYNC and self.sick is None

    def __str__(self) -> str:
        """One line: the app and its target, sync, health, and the way of the commit."""
        name = f"{self.app} {self.target or ''}".rstrip()
        way = (
            f"work tree {self.work_tree}, committed {self.committed}, pushed {self.pushed}, "
            f"fetched {self.fetched}, live {self.live}"
        )
        bundle = f" as bundle {self.bundle}" if self.bundle else ""
        return f"{name:<{NAMES}}  {self.sync!s:<12}  {self.health:<9}  {way}{bundle}"

    @property
    def work_tree(self) -> str:
        counts = {"changed": len(self.changed), "untracked": len(self.untracked)}
        return " and ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "clean"

    def as_json(self) -> dict[str, Any]:
        return {
            "work_tree": {"changed": list(self.changed), "untracked": list(self.untracked)},
            "committed": self.committed.commit,
            "pushed": self.pushed.commit,
            "fetched": self.fetched.commit,
            "live": self.live.commit,
            "bundle": self.bundle,
            "left_behind": self.left_behind,
            "sync": str(self.sync),
            "health": self.health,
            "sick": self.sick,
            "differences": [str(difference) for difference in self.differences],
        }
