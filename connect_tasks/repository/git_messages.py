"""What git says, turned into problems a person can mend (pure). The messages are English: see git_environment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..computer_failures import cure_of
from ..errors import GitFailed, NotARepository, Problem, RemoteUnreachable, RepositoryUntrusted
from ..process import Completed

#: Escape sequences (of colours and cursors, of window titles), control characters, and who logs in where.
_NOISE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]|(?<=://)[^/\s@'\"]+@"
)


def own_words(said: str) -> str:
    """What a program said, as one line: no escape codes, no progress, no credentials, no advice that is git's and not
    ours."""
    lines = [_NOISE.sub("", line.rstrip("\r").split("\r")[-1]).strip() for line in said.split("\n")]
    return "; ".join(line for line in lines if line and not line.startswith("hint:"))


def named(paths: Iterable[str], limit: int = 5) -> str:
    """A few paths for one line of a message; what would move a terminal's cursor is spelled out."""
    shown = [_printable(path) for path in paths]
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in text
    )


def failed(completed: Completed) -> GitFailed:
    """The problem for a git command that should not have failed."""
    verb = next((part for part in completed.argv[1:] if not part.startswith("-")), "")
    return GitFailed(
        f"git {verb} failed: {own_words(completed.error_text) or f'status {completed.status}'}",
        hint=cure_of(completed.error_text) or "git fsck",
    )


def no_repository(path: Path, stderr: str) -> Problem:
    """Why git opens no repository at `path`."""
    if "dubious ownership" in stderr or "unsafe repository" in stderr:
        owned = re.search(r"safe\.directory (\S.*)", stderr)
        return RepositoryUntrusted(
            f"git does not trust {path}: it belongs to another user",
            hint=f"git config --global --add safe.directory {owned[1] if owned else path}",
        )
    if "must be run in a work tree" in stderr:
        return NotARepository(f"{path} is a bare repository, without files", hint="git worktree add ../checkout")
    if "not a git repository" in stderr:
        return NotARepository(
            f"{path} is not inside a git repository", hint="nox -s init, which begins one and sets the app up"
        )
    return NotARepository(f"git can't open {path}: {own_words(stderr)}", hint=f"git -C {path} status")


#: What a remote's refusal sounds like -> what to do, first match wins.
_REMEDIES = (
    (
        r"could not read (Username|Password)|Authentication failed|HTTP Basic|401|terminal prompts disabled",
        "git credential fill, or set GIT_ASKPASS",
    ),
    (
        r"\b403\b|[Pp]ermission to \S+ denied|access denied|read[- ]only|not allowed to push",
        "ask for the right to push, or use another account",
    ),
    (r"Host key verification failed", "ssh-keyscan HOST >> ~/.ssh/known_hosts, after checking the key"),
    (r"Permission denied \(", "ssh-add, or git config core.sshCommand 'ssh -i KEY'"),
    (
        r"does not appear to be a git repository|[Rr]epository.* not found|\b404\b|does not exist",
        "git remote set-url {remote} URL",
    ),
    (
        r"Could not resolve host|Connection refused|timed out|unreachable|[Cc]onnection reset|early EOF|hung up",
        "git ls-remote {remote}",
    ),
    (r"certificate", "git config http.sslCAInfo FILE"),
)


def unreachable(remote: str, completed: Completed) -> RemoteUnreachable:
    """The problem for a call to a remote that brought no answer about a branch."""
    return unreachable_because(remote, own_words(completed.error_text) or f"status {completed.status}")


def unreachable_because(remote: str, words: str) -> RemoteUnreachable:
    """The same, from the words already read."""
    hint = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, words)), "git ls-remote {remote}")
    return RemoteUnreachable(f"the remote {remote} can't be used: {words}", hint=hint.format(remote=remote))
