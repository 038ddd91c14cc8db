"""The plan of a release as data: what `plan` prints is what `release` performs, the same objects.

An action says what will be done, not how; `perform` does it. Each names its stage, and reads as one line for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..repository.deploy_branch import DeployCommit
from ..repository.release_tag import ReleaseTag
from ..server.connect import RepositorySettings


@dataclass(frozen=True, kw_only=True)
class RunTests:
    """Run the app's tests on an export of `tree`, in an environment of the frozen requirements."""

    stage: ClassVar[str] = "test"
    tree: str
    command: str

    def __str__(self) -> str:
        return f"test tree {self.tree[:10]} with {self.command}"


@dataclass(frozen=True, kw_only=True)
class CommitGenerated:
    """Commit the generated files, and nothing else; the app's directory is then `tree`."""

    stage: ClassVar[str] = "commit"
    files: Mapping[str, bytes]  # relative to the app's directory
    message: str
    tree: str

    def __str__(self) -> str:
        subject = self.message.splitlines()[0]
        return f'commit {" and ".join(sorted(self.files))}: "{subject}"'


@dataclass(frozen=True, kw_only=True)
class PushCommits:
    """Push the branch: our commit, and the user's own unpushed ones, which are named."""

    stage: ClassVar[str] = "push"
    remote: str
    branch: str
    carried: tuple[str, ...] = ()  # "sha subject" of the user's unpushed commits
    tag: ReleaseTag | None = None

    def __str__(self) -> str:
        carried = f", with {len(self.carried)} of your own commits: {'; '.join(self.carried)}" if self.carried else ""
        tag = f" and the tag {self.tag.name}" if self.tag else ""
        return f"push to {self.remote} {self.branch}{tag}{carried}"


@dataclass(frozen=True, kw_only=True)
class CommitToDeployBranch:
    """Put what ships on the generated branch; HEAD, index and work tree stay where they are."""

    stage: ClassVar[str] = "commit"
    wanted: DeployCommit

    def __str__(self) -> str:
        return f"commit tree {self.wanted.tree[:10]} to {self.wanted.branch}, made from {self.wanted.source[:10]}"


@dataclass(frozen=True, kw_only=True)
class PushDeployBranch:
    """Push the generated branch, with a lease on the tip that it takes over from."""

    stage: ClassVar[str] = "push"
    remote: str
    wanted: DeployCommit
    base: str | None  # the remote's tip

    def __str__(self) -> str:
        return f"push to {self.remote} {self.wanted.branch}"


@dataclass(frozen=True, kw_only=True)
class PushSideBranch:
    """Push our commit to a side branch, for a person to merge; nothing is deployed before that."""

    stage: ClassVar[str] = "push"
    remote: str
    branch: str  # the one to merge into

    def __str__(self) -> str:
        return f"push to a side branch of {self.remote}, to be merged into {self.branch}"


@dataclass(frozen=True, kw_only=True)
class CreateContent:
    """Make the content item: once in the life of an app."""

    stage: ClassVar[str] = "deploy"
    name: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f'create the content item "{self.name}"'


@dataclass(frozen=True, kw_only=True)
class UpdateContent:
    """Let declared settings converge."""

    stage: ClassVar[str] = "deploy"
    fields: Mapping[str, object]

    def __str__(self) -> str:
        return "set " + ", ".join(f"{key} = {value!r}" for key, value in sorted(self.fields.items()))


@dataclass(frozen=True, kw_only=True)
class LinkRepository:
    """Tell the server which repository, branch and directory to take."""

    stage: ClassVar[str] = "deploy"
    settings: RepositorySettings
    exists: bool

    def __str__(self) -> str:
        link = self.settings
        polling = "polling on" if link.polling else "polling off"
        return f"link to {link.repository}, branch {link.branch}, directory {link.directory}, {polling}"


@dataclass(frozen=True, kw_only=True)
class StopPolling:
    """Switch polling off before the push: it would put the commit live before anybody has visited it."""

    stage: ClassVar[str] = "polling"
    settings: RepositorySettings  # as found
    because: str = "it would deploy each push unverified"

    def __str__(self) -> str:
        return "switch the server's polling off"


@dataclass(frozen=True, kw_only=True)
class SetVanity:
    """Give the item its own path on the server."""

    stage: ClassVar[str] = "deploy"
    path: str

    def __str__(self) -> str:
        return f"set the vanity path {self.path}"


@dataclass(frozen=True, kw_only=True)
class SendVariables:
    """Send environment variables: the names are the plan's, the values stay in our environment until then."""

    stage: ClassVar[str] = "deploy"
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"send the environment variables {', '.join(self.names)}"


@dataclass(frozen=True, kw_only=True)
class PrepareBundle:
    """Have the server build a bundle of the pushed commit, as a draft where it knows drafts."""

    stage: ClassVar[str] = "deploy"
    adopt: str | None = None  # a bundle of this very commit that exists already

    def __str__(self) -> str:
        return f"deploy bundle {self.adopt} as a draft" if self.adopt else "build a bundle of the commit, as a draft"


@dataclass(frozen=True, kw_only=True)
class VisitDraft:
    """Visit the draft's page; a sick draft never becomes live."""

    stage: ClassVar[str] = "deploy"

    def __str__(self) -> str:
        return "visit the draft"


@dataclass(frozen=True, kw_only=True)
class Activate:
    """Make the bundle the live one."""

    stage: ClassVar[str] = "deploy"

    def __str__(self) -> str:
        return "activate the bundle"


@dataclass(frozen=True, kw_only=True)
class VerifyLive:
    """Visit the live page and read the live commit back; on failure the previous bundle is activated again."""

    stage: ClassVar[str] = "verify"

    def __str__(self) -> str:
        return "visit the live page and read the live commit back"


#: What is asked of Connect.
ServerAction = (
    StopPolling
    | CreateContent
    | UpdateContent
    | LinkRepository
    | SetVanity
    | SendVariables
    | PrepareBundle
    | VisitDraft
    | Activate
    | VerifyLive
)
Action = (
    RunTests | CommitGenerated | CommitToDeployBranch | PushCommits | PushDeployBranch | PushSideBranch | ServerAction
)


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """How far a release has come: each action takes one and gives the next."""

    app_tree: str  # the tree id of the app's directory that ships
    commit: str | None = None
    pushed: str | None = None
    guid: str | None = None
    bundle: str | None = None
    previous: str | None = None  # the bundle that was live before us
    way: str | None = None  # commit | draft | branch: how the exact commit is made sure
    prepared: bool = False  # the bundle's deploy task has succeeded
    live_commit: str | None = None
    notes: tuple[str, ...] = ()
