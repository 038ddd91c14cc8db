"""6xx: commit and push."""

from __future__ import annotations

from .problem import Problem


class CommitFailed(Problem):
    """git refused to commit: a hook, the signer, a missing identity; or HEAD moved meanwhile.

    Why: your hooks and your signing are honoured, and only the tree that was tested is committed.

    Next: mend what git's own words in the message name, then run the same command again.
    """

    code = "CT600"


class PushRejected(Problem):
    """The remote refused our push; its own words are in the message.

    Why: a protected branch, a hook of the server, a missing right. Nothing is ever forced.

    Next: `nox -s release -- --pull-request` where the branch takes pull requests only; else ask its owner.
    """

    code = "CT601"


class HookRewrote(CommitFailed):
    """A commit hook changed the generated files; nothing was committed.

    `contents` is what it wrote, by path in the app's directory.

    Why: formatters do that. The manifest holds a checksum of requirements.txt, which would be wrong at once; what the
    hook made is adopted one time, and a hook that is never content stops here.

    Next: let the hook skip `requirements.txt` and `manifest.json` (`exclude:` in .pre-commit-config.yaml).
    """

    code = "CT602"

    def __init__(
        self, message: str, *, contents: dict[str, bytes], where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.contents = contents


class RemoteUnreachable(Problem):
    """The remote can't be reached or does not let us in.

    Why: no network, a proxy, a changed host key, a token that has run out.

    Next: `git ls-remote REMOTE` shows git's own complaint without anything of ours around it.
    """

    code = "CT603"


class PushRaceLost(Problem):
    """The remote branch moved on and our commit can't be replayed; it is kept and named.

    Why: somebody changed the same app at the same time: what was tested is no longer what would ship.

    Next: `git pull --rebase`, then the same command again.
    """

    code = "CT604"


class BranchNotOurs(Problem):
    """The deploy branch exists and its tip does not carry our trailer.

    Why: a generated branch is overwritten; one that a person works on must never be.

    Next: name another branch in `deploy_branch`, or remove that one: `git push REMOTE :BRANCH`.
    """

    code = "CT605"


class TagTaken(Problem):
    """The tag exists and names another commit.

    Why: a tag that moves is no record of a release.

    Next: `git fetch --tags`, then another `tag` template, for instance `"{app}/{date}-{number}"`.
    """

    code = "CT606"
