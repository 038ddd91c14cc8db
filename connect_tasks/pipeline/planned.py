"""A plan for people and for machines: what would change, and what would be said to the remote and the server. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .actions import (
    Action,
    Activate,
    CommitGenerated,
    CommitToDeployBranch,
    CreateContent,
    LinkRepository,
    PrepareBundle,
    PushCommits,
    PushDeployBranch,
    PushSideBranch,
    SendVariables,
    SetVanity,
    StopPolling,
    UpdateContent,
)

#: Stands in calls for the item that does not exist yet.
NEW = "{guid}"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a release of one app would do. `diffs`: generated file -> unified diff against what is committed."""

    actions: Sequence[Action]
    diffs: Mapping[str, str]
    guid: str | None = None
    drafts: bool | None = None  # whether the server knows drafts; None where it does not say

    def as_json(self) -> dict[str, Any]:
        """`{"actions": [{"stage", "kind", "text"}], "diffs", "commit", "push", "carried", "calls"}`."""
        return {
            "actions": [
                {"stage": action.stage, "kind": type(action).__name__, "text": str(action)} for action in self.actions
            ],
            "diffs": dict(self.diffs),
            "commit": self.commit_message,
            "push": self.push,
            "carried": list(self.carried),
            "calls": list(self.calls),
        }

    @property
    def commit_message(self) -> str | None:
        for action in self.actions:
            if isinstance(action, CommitGenerated):
                return action.message
            if isinstance(action, CommitToDeployBranch):
                return action.wanted.message
        return None

    @property
    def push(self) -> str | None:
        """Remote and refspec; what is to be committed first is HEAD then."""
        for action in self.actions:
            if isinstance(action, PushCommits):
                tag = f" {action.tag.refspec}" if action.tag else ""
                return f"{action.remote} HEAD:refs/heads/{action.branch}{tag}"
            if isinstance(action, PushDeployBranch):
                branch = f"refs/heads/{action.wanted.branch}"
                return f"{action.remote} {branch}:{branch}"
            if isinstance(action, PushSideBranch):
                return f"{action.remote} HEAD to a side branch, to be merged into {action.branch}"
        return None

    @property
    def carried(self) -> tuple[str, ...]:
        """The user's own unpushed commits, "sha subject"."""
        return next((action.carried for action in self.actions if isinstance(action, PushCommits)), ())

    @property
    def calls(self) -> tuple[str, ...]:
        """The writing calls of the server's API, in order."""
        return tuple(call for action in self.actions for call in self._calls(action))

    def _calls(self, action: Action) -> Iterator[str]:
        item = f"v1/content/{self.guid or NEW}"
        if isinstance(action, CreateContent):
            yield "POST v1/content"
        elif isinstance(action, UpdateContent):
            yield f"PATCH {item}"
        elif isinstance(action, LinkRepository):
            yield f"{'PATCH' if action.exists else 'PUT'} {item}/repository"
        elif isinstance(action, StopPolling):
            yield f"PATCH {item}/repository"
        elif isinstance(action, SetVanity):
            yield f"PUT {item}/vanity"
        elif isinstance(action, SendVariables):
            yield f"PATCH {item}/environment"
        elif isinstance(action, PrepareBundle):
            if action.adopt is None:
                yield f"POST {item}/repository/bundle"
            if self.drafts is not False:
                yield f"POST {item}/deploy"  # as a draft
        elif isinstance(action, Activate):
            yield f"POST {item}/deploy"

    def lines(self) -> Iterator[str]:
        """The plan as people read it."""
        for action in self.actions:
            yield f"{action.stage:<8} {action}"
            if isinstance(action, CommitGenerated):
                for line in action.message.splitlines()[1:]:
                    yield f"{'':<8}   {line}".rstrip()
        if self.push:
            yield f"git push {self.push}"
        yield from (f"call     {call}" for call in self.calls)
        for diff in self.diffs.values():
            yield from diff.splitlines()
