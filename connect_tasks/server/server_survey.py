"""The server's side of the facts: everything there that could stop a release is found before the first write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from ..configuration import App
from ..errors import ContentNotGitBacked, Problem, RoleTooLow
from .clone_address import repository_name
from .connect import Bundle, Connect, ContentItem, RepositorySettings, User, git_disabled
from .content_lookup import Found, find_content, may_change, not_ours_to_change
from .deployment_records import DeploymentRecord

#: Connect knows drafts since this version (rsconnect-python's own threshold).
DRAFTS_SINCE = Version("2025.06.0")

UNVERIFIED = (
    "ATTENTION: the server's certificate is not verified, as it was saved by rsconnect add --insecure: anybody on the "
    "way can read the key; CONNECT_CA_CERTIFICATE=/path/to/ca.pem and rsconnect add --cacert are the safe ways"
)


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """What the server says of an app, read and not changed."""

    version: str | None
    user: User
    content: ContentItem | None
    found_by: str | None
    repository: RepositorySettings | None
    bundles: tuple[Bundle, ...]  # newest first
    variables: tuple[str, ...]  # names of the environment variables
    vanity: str | None
    wanted_name: str
    wanted_link: RepositorySettings
    notes: tuple[str, ...] = ()  # of the search for the item

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


def survey_server(
    connect: Connect, app: App, *, repository: str, branch: str, records: Sequence[DeploymentRecord] = ()
) -> ServerFacts:
    """Read all that a deploy of `app` needs to know.

    `repository` and `branch` are what the item shall be linked to, `records` what other tools wrote down. Raises what
    the door and `find_content` raise, and `GitDisabled`, `RoleTooLow`, `ContentNotGitBacked`.
    """
    settings = connect.settings  # first: it answers without a key, so a dead server is not taken for a wrong key
    if connect.has_git is False:
        raise git_disabled(connect.url)
    user = connect.user()
    link = RepositorySettings(repository=repository, branch=branch, directory=app.path, polling=app.polling)
    if not user.may_publish:
        raise RoleTooLow(
            f"the key's owner {user.name} is a {user.role} on this server and may not publish",
            where=connect.url,
            hint="ask an administrator for the publisher role, or use a publisher's key in CONNECT_API_KEY",
        )
    name = content_name(app, repository)
    found = find_content(connect, app, user, name=name, link=link, records=records)
    content = found.content
    if content is not None and not may_change(content, user):
        raise not_ours_to_change(connect, content, user, found.by or "its name")
    linked = connect.repository(content.guid) if content else None
    bundles = connect.bundles(content.guid) if content else ()
    if content is not None and linked is None and bundles:
        raise _not_git_backed(found, content, link)
    version = settings.get("version")
    return ServerFacts(
        version=version if isinstance(version, str) and version else None,
        user=user,
        content=content,
        found_by=found.by,
        repository=linked,
        bundles=bundles,
        variables=connect.environment_names(content.guid) if content and app.env else (),
        vanity=connect.vanity(content.guid) if content and app.vanity else None,
        wanted_name=name,
        wanted_link=link,
        notes=(*found.notes, *((UNVERIFIED,) if connect.address.insecure else ())),
    )


def content_name(app: App, repository: str) -> str:
    """The item's name: configured, or made of what is the same in every clone. 3 to 64 of `[A-Za-z0-9_-]`."""
    if app.content_name:
        return app.content_name
    words = [repository_name(repository), *(part for part in app.path.split("/") if part not in {"", "."})]
    slug = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in "-".join(words))
    return slug.strip("-")[:64].ljust(3, "_")


def _not_git_backed(found: Found, item: ContentItem, link: RepositorySettings) -> Problem:
    """To convert an item that was uploaded to is a decision; to leave it, what led to it has to go."""
    convert = (
        f"rsconnect deploy git --app-id {item.guid} --repository {link.repository} --branch {link.branch} "
        f"--subdirectory {link.directory} --no-polling converts it"
    )
    leave = {
        "guid": "another `guid`, or none, leaves it",
        "name": "`content_name` in [tool.connect-tasks] leaves it and makes another",
    }.get(found.by or "", f"without its entry in {found.by} it is left, and another item is found or made")
    return ContentNotGitBacked(
        f'the content item "{item.name}" (found by {found.by}) holds uploaded bundles and is not git-backed; '
        "it is not converted silently",
        where=item.dashboard or item.url,
        hint=f"{convert}; {leave}",
    )
