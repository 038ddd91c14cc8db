"""What must not be shipped: secrets, and files that are too large. Allowed again only by name, in `allow`.

Connect takes every file of the app's directory, whatever the manifest lists, and a secret that was pushed is public: so
this is asked before the commit.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..configuration import App
from ..errors import ContentRefused, GitFailed
from ..repository.git import Git
from ..repository.tree import SUBMODULE, SYMLINK, Tree
from .connect_manifest import shipped

#: Names under which people keep secrets, whatever is inside today.
_SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".envrc", ".renviron", ".netrc", "_netrc", ".pypirc", ".pgpass"),
    *(".git-credentials", ".htpasswd", ".dockercfg", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    *("*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.gpg"),
    *("credentials.json", "client_secret*.json", "service[-_]account*.json", ".streamlit/secrets.toml"),
    *(".aws/credentials", ".docker/config.json", ".rsconnect-python/servers.json"),
)
#: Files that only show which names are needed.
_EXAMPLES = ("example", "sample", "template", "dist", "defaults")
#: PEM files hold certificates and public keys too.
_PUBLIC_PEM, _PRIVATE_PEM = (b"BEGIN CERTIFICATE", b"BEGIN PUBLIC KEY"), b"PRIVATE KEY"
#: detect-secrets' detectors that know a format: on 40 MB of packages they raised no false alarm. Left out: high entropy
#: and keywords (guesses), passwords in URLs (documentation is full of them; those in requirements are refused by
#: `requirements_file`), and the four of IBM's, which took two thirds of the time.
_DETECTORS = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
#: Larger files are data; secrets stand in what people write.
_LARGEST_SCANNED = 1024 * 1024
#: To be raised whenever the rules for contents change: blobs found clean by older rules are looked at again.
_RULES = 1


@dataclass(frozen=True, kw_only=True)
class ContentFindings:
    """What stops the release, and what is only worth a line."""

    problems: tuple[ContentRefused, ...] = ()
    warnings: tuple[str, ...] = ()


def inspect_content(app: App, tree: Tree, git: Git, *, cache_directory: Path | None = None) -> ContentFindings:
    """Look at every file that would reach the server: all of `tree`, or with a deploy branch what is filtered into it.

    With `cache_directory` the blobs that were found clean are remembered, and a release looks at new ones only.
    """
    paths = shipped(tree, app.include, app.exclude) if app.deploy_branch else tree
    allowed = _matcher(app.allow)
    asked = {path: tree[path] for path in sorted(paths) if not allowed(path) and tree[path].mode != SUBMODULE}
    sizes = blob_sizes(git, (blob.oid for blob in asked.values()))
    files = {path: blob.oid for path, blob in asked.items() if blob.mode != SYMLINK}
    links = {path: blob.oid for path, blob in asked.items() if blob.mode == SYMLINK}
    clean = _CleanBlobs(cache_directory)
    readable = {oid for oid in files.values() if sizes[oid] <= _LARGEST_SCANNED}
    named = {path: oid for path, oid in files.items() if has_secret_name(path)}
    new = readable - clean.known
    contents = git.read(new | set(links.values()) | (readable & set(named.values())))
    secrets = {oid: find_secrets(contents[oid]) for oid in sorted(new)}
    clean.add(oid for oid, found in secrets.items() if not found)
    problems = (
        *_too_large(app, files, sizes),
        *_named_like_secrets(app, named, contents),
        *_holding_secrets(app, {path: oid for path, oid in files.items() if path not in named}, secrets),
    )
    return ContentFindings(problems=problems, warnings=tuple(_leaving(app, links, contents)))


def _too_large(app: App, files: Mapping[str, str], sizes: Mapping[str, int]) -> Iterator[ContentRefused]:
    for path, oid in files.items():
        if sizes[oid] > app.max_file_size:
            yield _refused(app, path, f"has {sizes[oid]:,} bytes, more than max_file_size = {app.max_file_size:,}")


def _named_like_secrets(app: App, files: Mapping[str, str], contents: Mapping[str, bytes]) -> Iterator[ContentRefused]:
    for path, oid in files.items():
        if not (path.endswith(".pem") and is_public_pem(contents.get(oid, b""))):
            yield _refused(app, path, "is called like a file of secrets")


def _holding_secrets(
    app: App, files: Mapping[str, str], secrets: Mapping[str, tuple[tuple[int, str], ...]]
) -> Iterator[ContentRefused]:
    for path, oid in files.items():
        found = secrets.get(oid, ())
        for kind in dict.fromkeys(kind for _, kind in found):
            first, *others = (line for line, other in found if other == kind)
            also = f", also line{'s' * (len(others) > 1)} {', '.join(map(str, others))}" if others else ""
            yield _refused(app, path, f"holds what looks like a secret ({kind}){also}", first)


def _leaving(app: App, links: Mapping[str, str], contents: Mapping[str, bytes]) -> Iterator[str]:
    for path, oid in links.items():
        target = contents[oid].decode("utf-8", "replace")
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if reached.startswith("/") or reached.split("/")[0] == "..":
            yield f"{_in_repository(app, path)} is a symbolic link to {target}: Connect takes the app's directory alone"


def has_secret_name(path: str) -> bool:
    """True for `.env`, `prod.env`, `id_rsa`, `server.pem` and their like, not for `.env.example`."""
    lower = path.lower()
    name = posixpath.basename(lower)
    if set(name.split(".")[1:]) & set(_EXAMPLES):
        return False
    return any(fnmatchcase(name, pattern) or fnmatchcase("/" + lower, f"*/{pattern}") for pattern in _SECRET_NAMES)


def is_public_pem(content: bytes) -> bool:
    """True for a PEM file of certificates and public keys alone."""
    return any(mark in content for mark in _PUBLIC_PEM) and _PRIVATE_PEM not in content


def find_secrets(content: bytes) -> tuple[tuple[int, str], ...]:
    """(line, kind) of what a detector recognises, never the secret itself; a line may allow its own.

    `# pragma: allowlist secret` on the line (or `allowlist nextline secret` above it) is detect-secrets' own mark.
    """
    if b"\0" in content[:8000]:  # git's own test for a binary file
        return ()
    text = content.decode("utf-8", "replace")
    hits = [detector for detector in _detectors() if any(True for _ in detector.analyze_string(text))]
    if not hits:
        return ()
    lines = text.splitlines()
    return tuple(
        (number, str(detector.secret_type))
        for number, line in enumerate(lines, 1)
        for detector in hits
        if any(True for _ in detector.analyze_string(line)) and not _marked_as_allowed(lines, number)
    )


def blob_sizes(git: Git, oids: Iterable[str]) -> dict[str, int]:
    """Size in bytes of each blob, in one call."""
    wanted = sorted(set(oids))
    if not wanted:
        return {}
    request = "".join(f"{oid}\n" for oid in wanted).encode()
    done = git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", input=request)
    lines = [line.split(" ") for line in done.text.splitlines()]
    if not done.ok or any(not size.isdigit() for _, size in lines):
        raise GitFailed(f"git cat-file: {done.error_text.strip() or 'an object is missing'}", hint="git fsck")
    return {oid: int(size) for oid, size in lines}


class _CleanBlobs:
    """Object ids that were found without secrets; content never changes under its id."""

    def __init__(self, directory: Path | None) -> None:
        self._file = None if directory is None else directory / f"clean-blobs-{_RULES}.txt"
        lines = self._file.read_text(encoding="ascii").split() if self._file and self._file.is_file() else ()
        self.known = frozenset(lines)

    def add(self, oids: Iterable[str]) -> None:
        lines = "".join(f"{oid}\n" for oid in oids)
        if self._file is not None and lines:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="ascii") as file:
                file.write(lines)


def load_detectors() -> None:
    """Import what takes a while, ahead of its need."""
    _detectors()


@cache
def _detectors() -> tuple[Any, ...]:
    """detect-secrets' detectors, made once: the import takes 0.2 s, of which `requests` is most."""
    found = ((import_module(f"detect_secrets.plugins.{module}"), name) for module, name in _DETECTORS.items())
    return tuple(getattr(module, name)() for module, name in found)


def _marked_as_allowed(lines: list[str], number: int) -> bool:
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.util.code_snippet import get_code_snippet

    line = lines[number - 1]
    return bool(is_line_allowlisted("app.py", line, get_code_snippet(lines, number)))


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    if not patterns:
        return lambda _: False
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns).match_file


def _in_repository(app: App, path: str) -> str:
    return posixpath.normpath(posixpath.join(app.path, path))


def _refused(app: App, path: str, what: str, line: int | None = None) -> ContentRefused:
    place = _in_repository(app, path)
    hint = f'git rm --cached {place} and commit, or allow = ["{path}"] where it is meant to be public'
    return ContentRefused(f"{place} {what}", where=f"{place}:{line}" if line else None, hint=hint)
