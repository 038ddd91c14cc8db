"""What the server remembers: one frozen dataclass per kind of thing, each a row of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Json = Any  # a value that json.dumps takes; mypy has no recursive type that stays readable


@dataclass(frozen=True, kw_only=True)
class Record:
    """A row: `kind` names its table, `key` identifies it there."""

    kind: ClassVar[str]
    identity: ClassVar[str] = "guid"

    @property
    def key(self) -> str:
        return str(getattr(self, self.identity))


@dataclass(frozen=True, kw_only=True)
class User(Record):
    kind = "user"
    guid: str
    username: str
    user_role: str  # administrator | publisher | viewer
    created_time: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    locked: bool = False

    @property
    def administrator(self) -> bool:
        return self.user_role == "administrator"

    @property
    def publisher(self) -> bool:
        return self.user_role in ("administrator", "publisher")


@dataclass(frozen=True, kw_only=True)
class ApiKey(Record):
    """Only the digest is kept: what lies on disk opens nothing."""

    kind = "api-key"
    identity = "digest"
    digest: str
    user_guid: str


@dataclass(frozen=True, kw_only=True)
class Content(Record):
    kind = "content"
    guid: str
    number: str
    owner_guid: str
    name: str
    created_time: str
    last_deployed_time: str
    title: str | None = None
    description: str = ""
    access_type: str = "acl"
    bundle_id: str | None = None
    app_mode: str = "unknown"
    content_category: str = ""
    py_version: str | None = None
    options: Mapping[str, Json] = field(default_factory=dict)  # writable fields that are only stored


@dataclass(frozen=True, kw_only=True)
class Repository(Record):
    kind = "repository"
    identity = "content_guid"
    content_guid: str
    repository: str
    branch: str = "main"
    directory: str = "."
    polling: bool = False
    last_error: str | None = None
    last_known_commit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bundle(Record):
    kind = "bundle"
    identity = "id"
    id: str
    content_guid: str
    created_time: str
    created_by: str
    size: int
    archive_md5: str
    archive_sha1: str
    metadata: Mapping[str, Json]
    manifest: Mapping[str, Json] | None  # None: the archive has none that can be read, for the reason below
    manifest_problem: str = ""
    directory: str | None = None  # of the repository that the server made it of; None for an upload
    # Set by the deploy that prepared it.
    py_version: str | None = None
    environment_key: str | None = None
    packages: tuple[Sequence[str], ...] = ()  # name, version
    prepared: bool = False


@dataclass(frozen=True, kw_only=True)
class Task(Record):
    kind = "task"
    identity = "id"
    id: str
    user_guid: str
    content_guid: str | None
    started_time: str
    title: str = ""  # what it does, for people
    finished: bool = False
    code: int = 0
    error: str = ""
    result: Mapping[str, Json] | None = None


@dataclass(frozen=True, kw_only=True)
class Variables(Record):
    """Environment variables of one content item."""

    kind = "variables"
    identity = "content_guid"
    content_guid: str
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Permission(Record):
    kind = "permission"
    identity = "id"
    id: str
    content_guid: str
    principal_guid: str
    principal_type: str  # user | group
    role: str  # viewer | owner (a collaborator)


@dataclass(frozen=True, kw_only=True)
class Vanity(Record):
    kind = "vanity"
    identity = "content_guid"
    content_guid: str
    path: str
    created_time: str


@dataclass(frozen=True, kw_only=True)
class Group(Record):
    kind = "group"
    guid: str
    name: str
    owner_guid: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tag(Record):
    kind = "tag"
    identity = "id"
    id: str
    name: str
    parent_id: str | None
    created_time: str
    content: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """A process that served content; kept after it ended, with its log."""

    kind = "job"
    identity = "job_key"
    job_key: str
    id: str
    content_guid: str
    bundle_id: str
    tag: str
    log: str
    start_time: str
    pid: int | None = None
    ppid: int | None = None
    end_time: str | None = None
    exit_code: int | None = None


KINDS: Mapping[str, type[Record]] = {
    kind.kind: kind
    for kind in (
        User,
        ApiKey,
        Content,
        Repository,
        Bundle,
        Task,
        Variables,
        Permission,
        Vanity,
        Group,
        Tag,
        Job,
    )
}
