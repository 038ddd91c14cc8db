"""Every way in which we refuse or fail, as a tree of exceptions.

A `Problem` is one line for a person: what, where, why, and the next command. It carries a stable code `CT###`, so that
it can be looked up, and the exit code of the verbs. Ranges: 1xx usage and configuration, 2xx the repository, 3xx Python
and dependencies, 4xx manifest, entrypoint and content of the app, 5xx tests, 6xx commit and push, 7xx the server, 8xx
deploy and verification, 9xx this computer.
"""

from __future__ import annotations

from typing import ClassVar


class Problem(Exception):
    """Something a person can mend. `where` is a file, a line or a URL; `hint` is the next command."""

    code: ClassVar[str] = "CT000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return f"{self.code}: {self.message}{where}"


class Problems(Problem):
    """Several problems found in one pass; people mend them all at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            raise ValueError("an empty group of problems")
        self.problems = problems
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.message + more, where=first.where, hint=first.hint)
        self.code = first.code  # type: ignore[misc]  # the group speaks with the voice of its first member
        self.exit_code = max(problem.exit_code for problem in problems)  # type: ignore[misc]  # same


def raise_all(problems: list[Problem]) -> None:
    """Raise nothing, the only problem, or all of them together."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(tuple(problems))


# 1xx: usage and configuration -----------------------------------------------------------------------------------------


class UsageWrong(Problem):
    """An argument that the verb does not know, or one without its value."""

    code = "CT100"
    exit_code = 4


class ConfigurationMissing(Problem):
    """No `[tool.connect-tasks]` table, and no `--path`."""

    code = "CT101"
    exit_code = 4


class ConfigurationInvalid(Problem):
    """A value of the wrong kind, an unknown key, a path that leaves the repository."""

    code = "CT102"
    exit_code = 4


class AppUnknown(Problem):
    """`--app NAME` names no app, or several apps exist and none was named."""

    code = "CT103"
    exit_code = 4


class TargetUnknown(Problem):
    """`--target NAME` names no target."""

    code = "CT104"
    exit_code = 4


class SessionNameTaken(Problem):
    """A session asked for by name exists in the noxfile already."""

    code = "CT105"
    exit_code = 4


# 2xx: the repository
# ---------------------------------------------------------------------------------------------------


class NotARepository(Problem):
    """The directory is not inside a git work tree."""

    code = "CT200"


class RemoteMissing(Problem):
    """The configured remote does not exist."""

    code = "CT201"


class OnAnotherBranch(Problem):
    """HEAD is neither on the configured branch nor detached at or ahead of its remote tip."""

    code = "CT202"


class UncommittedChanges(Problem):
    """Tracked files of the app's directory differ from HEAD."""

    code = "CT203"


class NoCommits(Problem):
    """HEAD points to no commit."""

    code = "CT204"


class AppEmpty(Problem):
    """The commit holds no file below the app's directory."""

    code = "CT205"


class RepositoryUntrusted(Problem):
    """git itself refuses the directory, since it belongs to somebody else (`safe.directory`)."""

    code = "CT206"


class OperationInProgress(Problem):
    """A merge, rebase, cherry-pick, revert or bisect is half done, or paths are unmerged."""

    code = "CT207"


class BehindRemote(Problem):
    """The remote branch holds commits that HEAD lacks and that a replay can't leave aside."""

    code = "CT208"


class IdentityMissing(Problem):
    """git does not know who commits."""

    code = "CT209"


class RepositoryLocked(Problem):
    """Another process holds the index or a ref of the repository."""

    code = "CT210"


class LockHeld(Problem):
    """Another run of ours holds the lock."""

    code = "CT211"
    exit_code = 5


class GeneratedFileHidden(Problem):
    """A generated file is ignored, filtered, or hidden from git by skip-worktree or assume-unchanged."""

    code = "CT212"


class ContentNotInGit(Problem):
    """A submodule or an LFS pointer: Connect's clone would lack the content."""

    code = "CT213"


class NameRefused(Problem):
    """A branch, remote or path that could be taken for an option, or that some computer can't hold."""

    code = "CT214"


class GitTooOld(Problem):
    """The installed git lacks what we need."""

    code = "CT215"


class GitFailed(Problem):
    """A git command failed in a way that we did not foresee; its own words are in the message."""

    code = "CT216"


# 3xx: Python and dependencies
# ------------------------------------------------------------------------------------------


class PythonMissing(Problem):
    """No interpreter on this computer satisfies the app's Python."""

    code = "CT300"


class DependenciesMissing(Problem):
    """The app's directory holds no dependency declaration that we know."""

    code = "CT301"


class ResolutionFailed(Problem):
    """uv could not resolve or install the dependencies."""

    code = "CT302"


class RequirementRefused(Problem):
    """A line of a requirements file that must not be shipped (credentials, editable, local path)."""

    code = "CT303"


class RequirementsConflict(ResolutionFailed):
    """The index was read, and no set of releases satisfies what is required."""

    code = "CT304"


class RequirementsMissing(Problem):
    """There is no requirements.txt to describe or to install."""

    code = "CT305"


# 4xx: manifest, entrypoint, content of the app
# --------------------------------------------------------------------------


class ModeUnknown(Problem):
    """The app mode can't be detected or is not one that Connect knows."""

    code = "CT400"


class EntrypointWrong(Problem):
    """The entrypoint can't be imported, or is not an app of the declared mode."""

    code = "CT401"


class ManifestStale(Problem):
    """manifest.json does not describe the files beside it."""

    code = "CT402"


class ManifestRefused(Problem):
    """rsconnect-python would not write a manifest; its own words are in the message."""

    code = "CT403"


class ManifestInvalid(Problem):
    """manifest.json is not a manifest: merge markers, broken JSON, keys that nobody knows."""

    code = "CT404"


class ContentRefused(Problem):
    """A file of the app that must not be shipped: a secret, a pointer to content elsewhere, one over the size limit."""

    code = "CT405"


class Drift(Problem):
    """`check` found differences between the committed files and their commit."""

    code = "CT490"
    exit_code = 2


# 5xx: tests
# ---------------------------------------------------------------------------------------------------------------


class TestsFailed(Problem):
    """The app's own tests failed."""

    __test__ = False  # the name is the field's; pytest must not collect it
    code = "CT500"


class TestPathMissing(Problem):
    """A declared test path does not exist in the commit."""

    __test__ = False  # the name is the field's; pytest must not collect it
    code = "CT501"


# 6xx: commit and push
# -------------------------------------------------------------------------------------------------------


class CommitFailed(Problem):
    """git refused to commit: a hook, the signer, a missing identity."""

    code = "CT600"


class PushRejected(Problem):
    """The remote refused our push; its own words are in the message."""

    code = "CT601"


class HookRewrote(CommitFailed):
    """A commit hook changed the generated files; nothing was committed. `contents` is what it wrote, by path in the
    app's directory."""

    code = "CT602"

    def __init__(
        self, message: str, *, contents: dict[str, bytes], where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.contents = contents


class RemoteUnreachable(Problem):
    """The remote can't be reached or does not let us in."""

    code = "CT603"


class PushRaceLost(Problem):
    """The remote branch moved on and our commit can't be replayed; it is kept and named."""

    code = "CT604"


class BranchNotOurs(Problem):
    """The deploy branch exists and its tip does not carry our trailer."""

    code = "CT605"


class TagTaken(Problem):
    """The tag exists and names another commit."""

    code = "CT606"


# 7xx: the server
# --------------------------------------------------------------------------------------------------------------


class ServerMissing(Problem):
    """No server in the configuration, in CONNECT_SERVER, or among the saved ones."""

    code = "CT700"
    exit_code = 4


class KeyMissing(Problem):
    """CONNECT_API_KEY is not set and no saved server carries a key."""

    code = "CT701"
    exit_code = 4


class ServerUnreachable(Problem):
    """No answer, or not the whole of one: refused, unknown host, time-out, TLS.

    `passing`: it may be gone in a moment, and the request may have been acted upon; else it never reached the server.
    """

    code = "CT702"

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, passing: bool = True
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.passing = passing


class KeyRejected(Problem):
    """The server does not accept the key."""

    code = "CT703"


class ServerRefused(Problem):
    """The server answered with an error, or with something that Connect never answers.

    `status` is its HTTP status and `api_code` Connect's own number, where it sent them; `retry_after`: how many seconds
    it asks us to wait.
    """

    code = "CT704"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        status: int | None = None,
        api_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status
        self.api_code = api_code
        self.retry_after = retry_after


class RoleTooLow(Problem):
    """The key's owner may not publish, or not change this content item."""

    code = "CT705"


class ContentMissing(Problem):
    """The configured content GUID does not exist on this server."""

    code = "CT706"


class ContentNotGitBacked(Problem):
    """The item found holds uploaded bundles; it is not converted silently."""

    code = "CT707"


class RepositoryAddressMissing(Problem):
    """Connect clones over http(s), and no such address follows from the remote."""

    code = "CT708"
    exit_code = 4


class VariableMissing(Problem):
    """A declared environment variable has no value here."""

    code = "CT709"


class CertificateMissing(Problem):
    """CONNECT_CA_CERTIFICATE names no file."""

    code = "CT710"
    exit_code = 4


class PythonNotOnServer(Problem):
    """No Python of the server satisfies the app."""

    code = "CT711"


class ContentAmbiguous(Problem):
    """Several content items on the server could be the app's."""

    code = "CT712"


class GitDisabled(Problem):
    """The server has no git-backed content: its administrator has switched it off, or it is too old."""

    code = "CT713"


# 8xx: deploy and verification
# ----------------------------------------------------------------------------------------------------


class DeployFailed(Problem):
    """The deploy task ended with an error."""

    code = "CT800"


class PageUnhealthy(Problem):
    """The page does not answer as `verify` demands."""

    code = "CT801"


class CommitNotLive(Problem):
    """The server's record of the commit is not ours."""

    code = "CT802"


class TaskUnfinished(Problem):
    """The deploy task runs longer than `deploy_timeout`, or the server has lost sight of it."""

    code = "CT803"


class EvidenceMissing(Problem):
    """No test pass is on record for the tree that would be deployed."""

    code = "CT804"


class NotPushed(Problem):
    """The remote branch does not hold the commit that would be deployed."""

    code = "CT805"


class NotCommitted(Problem):
    """The generated files of the work tree are not in HEAD."""

    code = "CT806"


class ServerDrift(Problem):
    """The item was linked to another place by hand; a release would deploy from there."""

    code = "CT807"


class AnotherBundleLive(Problem):
    """What would be deployed was live, or ready, before somebody activated another bundle."""

    code = "CT808"


class NothingToReturnTo(Problem):
    """There is no kept bundle to roll back to, or the named one is gone."""

    code = "CT809"


class SourceNotProven(Problem):
    """What shall be promoted is not live, not healthy, or not the app as it is at HEAD."""

    code = "CT810"


class NotInSync(Problem):
    """`status`: what is live is not what HEAD holds, or the item differs from the configuration."""

    code = "CT890"
    exit_code = 2


class LiveUnhealthy(Problem):
    """`status`: the live page does not answer as `verify` demands."""

    code = "CT891"
    exit_code = 3


# 9xx: this computer
# ----------------------------------------------------------------------------------------------------------------


class CommandTimedOut(Problem):
    """A program we started did not end within its limit."""

    code = "CT900"


class CommandMissing(Problem):
    """A program we need is not installed."""

    code = "CT901"


class ReportUnwritten(Problem):
    """The JSON report could not be written; what was done is done."""

    code = "CT902"


class EmulatorMissing(Problem):
    """The local Connect server's libraries are not installed, or it did not start."""

    code = "CT903"


class RunTooLong(Problem):
    """The whole run took longer than `run_timeout`."""

    code = "CT904"


class Interrupted(Problem):
    """Ctrl-C, or a CI system's cancel."""

    code = "CT990"
    exit_code = 130


class InternalError(Problem):
    """A fault of ours."""

    code = "CT999"
