"""The server's side of the facts: everything there that could stop a release is found before the first write."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from packaging.version import InvalidVersion, Version

from .clone_address import repository_name
from .configuration import App
from .connect import Bundle, Connect, ContentItem, RepositorySettings, User, same_repository
from .errors import ContentMissing, ContentNotGitBacked, Problem, RoleTooLow, raise_all

#: Connect knows drafts since this version (rsconnect-python's own threshold).
DRAFTS_SINCE = Version("2025.06.0")
#: Items asked for their link when nothing better tells which one is ours.
LINKS_LOOKED_AT = 200
PARALLEL_READS = 8


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What the server says of an app, read and not changed."""

    version: str | None
    user: User
    content: ContentItem | None
    found_by: str | None
    repository: RepositorySettings | None
    bundles: tuple[Bundle, ...]  # newest first
    variables: tuple[str, ...]
    vanity: str | None
    wanted_name: str
    wanted_link: RepositorySettings

    @property
    def drafts(self) -> bool | None:
        """Whether the server knows drafts; None when it hides its version."""
        return drafts_known(self.version)

    @property
    def active(self) -> Bundle | None:
        live = self.content.bundle if self.content else None
        return next((bundle for bundle in self.bundles if bundle.active or bundle.id == live), None)

    @property
    def live_commit(self) -> str | None:
        """The commit of the live bundle; older servers record only the last one they fetched."""
        if self.active is None:
            return None
        if self.active.source_commit:
            return self.active.source_commit
        return self.repository.last_known_commit if self.repository else None


def drafts_known(version: str | None) -> bool | None:
    if version is None:
        return None
    try:
        return Version(version.split("-")[0]) >= DRAFTS_SINCE
    except InvalidVersion:
        return None


def survey_server(connect: Connect, app: App, *, repository: str, branch: str) -> ServerFacts:
    """Read all that a deploy of `app` needs to know.

    `repository` and `branch` are what the item shall be linked to. Raises what the door raises, and `RoleTooLow`,
    `ContentMissing`, `ContentNotGitBacked`.
    """
    settings = connect.settings  # first: it answers without a key, so a dead server is not taken for a wrong key
    user = connect.user()
    link = RepositorySettings(repository=repository, branch=branch, directory=app.path, polling=app.polling)
    if not user.may_publish:
        raise RoleTooLow(
            f"the key's owner {user.name} is a {user.role} on this server and may not publish",
            where=connect.url,
            hint="ask an administrator for the publisher role, or use a publisher's key in CONNECT_API_KEY",
        )
    name = content_name(app, repository)
    content, found_by = _find(connect, app, user, name, link)
    linked = connect.repository(content.guid) if content else None
    bundles = connect.bundles(content.guid) if content else ()
    raise_all(list(_objections(connect, content, linked, bundles, user)))
    version = settings.get("version")
    return ServerFacts(
        version=version if isinstance(version, str) and version else None,
        user=user,
        content=content,
        found_by=found_by,
        repository=linked,
        bundles=bundles,
        variables=connect.environment_names(content.guid) if content and app.env else (),
        vanity=connect.vanity(content.guid) if content and app.vanity else None,
        wanted_name=name,
        wanted_link=link,
    )


def content_name(app: App, repository: str) -> str:
    """The item's name: configured, or made of what is the same in every clone. 3 to 64 of `[A-Za-z0-9_-]`."""
    if app.content_name:
        return app.content_name
    words = [repository_name(repository), *(part for part in app.path.split("/") if part not in {"", "."})]
    slug = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in "-".join(words))
    return slug.strip("-")[:64].ljust(3, "_")


def _find(
    connect: Connect, app: App, user: User, name: str, link: RepositorySettings
) -> tuple[ContentItem | None, str | None]:
    if app.guid is not None:
        content = connect.content(app.guid)
        if content is None:
            raise ContentMissing(
                f"the server has no content item {app.guid}",
                where=connect.url,
                hint="correct or remove `guid` in [tool.connect-tasks]; without it the item is found or created",
            )
        return content, "guid"
    named = connect.list_content(name=name, owner=user.guid)
    if named:
        return named[0], "name"
    linked = next(_linked(connect, link), None)
    return (linked, "link") if linked else (None, None)


def _linked(connect: Connect, link: RepositorySettings) -> Iterator[ContentItem]:
    """Items that we may edit and that are linked to the same repository, branch and directory."""
    editable = [item for item in islice(connect.list_content(), LINKS_LOOKED_AT) if item.may_edit]
    if not editable:
        return
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        for item, found in zip(editable, pool.map(lambda item: connect.repository(item.guid), editable), strict=True):
            if found and same_link(found, link):
                yield item


def same_link(found: RepositorySettings, wanted: RepositorySettings) -> bool:
    """The same place in the same repository; polling is a setting, not a place."""
    return (
        same_repository(found.repository, wanted.repository)
        and found.branch == wanted.branch
        and found.directory.strip("./") == wanted.directory.strip("./")
    )


def _objections(
    connect: Connect,
    content: ContentItem | None,
    linked: RepositorySettings | None,
    bundles: tuple[Bundle, ...],
    user: User,
) -> Iterator[Problem]:
    if content is None:
        return
    if not content.may_edit and user.role != "administrator":
        yield RoleTooLow(
            f'the content item "{content.name}" belongs to {connect.user_name(content.owner)}, '
            f"and {user.name} may not change it",
            where=content.dashboard or content.url,
            hint="ask them to add you as a collaborator, or set another `guid`",
        )
    if linked is None and bundles:
        yield ContentNotGitBacked(
            f'the content item "{content.name}" holds uploaded bundles and is not git-backed',
            where=content.dashboard or content.url,
            hint="choose another name with `content_name`, or delete the item in Connect if it is not needed any more",
        )
