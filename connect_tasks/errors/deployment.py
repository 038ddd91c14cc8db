"""8xx: deploy and verification."""

from __future__ import annotations

from .problem import Problem


class DeployFailed(Problem):
    """The deploy task ended with an error.

    Why: the server could not build the environment or start the app; its log is shown above the message. What was live
    before still is.

    Next: mend what the log names, commit, and release again.
    """

    code = "CT800"


class PageUnhealthy(Problem):
    """The page does not answer as `verify` demands.

    Why: the app starts and is sick: a missing variable, a database out of reach. A draft is not activated; what was
    activated before it was seen is taken back.

    Next: read the app's log on the server; `verify` in the configuration says what healthy means.
    """

    code = "CT801"


class CommitNotLive(Problem):
    """The server's record of the commit is not ours.

    Why: somebody pushed or deployed meanwhile, or the server's clone lags behind.

    Next: `nox -s status`, then the release again.
    """

    code = "CT802"


class TaskUnfinished(Problem):
    """The deploy task runs longer than `deploy_timeout`, or the server has lost sight of it.

    Why: building an environment can take long the first time. The task itself goes on.

    Next: run the release again to go on with it, or raise `deploy_timeout`.
    """

    code = "CT803"


class EvidenceMissing(Problem):
    """No test pass is on record for the tree that would be deployed.

    Why: what was tested must be what is deployed: the same tree, pins, Python and command.

    Next: `nox -s test`; between CI jobs carry it with `--evidence DIR`.
    """

    code = "CT804"


class NotPushed(Problem):
    """The remote branch does not hold the commit that would be deployed.

    Why: Connect clones from the remote, and would build something else.

    Next: `nox -s push deploy`.
    """

    code = "CT805"


class NotCommitted(Problem):
    """The generated files of the work tree are not in HEAD.

    Why: Connect would build from the older ones.

    Next: `nox -s commit push deploy`.
    """

    code = "CT806"


class ServerDrift(Problem):
    """The item was linked to another place by hand; a release would deploy from there.

    Why: repository, branch or directory on the server differ from the configuration, and from all that it ever held.

    Next: adopt the change in the configuration, or link the item again with `nox -s release -- --force`.
    """

    code = "CT807"


class AnotherBundleLive(Problem):
    """What would be deployed was live, or ready, before somebody activated another bundle.

    Why: after a rollback the bad version must not come back by habit or by schedule.

    Next: commit a fix and release that; or `nox -s release -- --force` to put this very version live again.
    """

    code = "CT808"


class NothingToReturnTo(Problem):
    """There is no kept bundle to roll back to, or the named one is gone.

    Why: servers keep a limited number of bundles; older ones are removed.

    Next: `git revert` the change, and release that.
    """

    code = "CT809"


class SourceNotProven(Problem):
    """What shall be promoted is not live, not healthy, or not the app as it is at HEAD.

    Why: promotion means that the very tree that was seen well on one target goes to the other.

    Next: release to the source target first, or check out what is live there.
    """

    code = "CT810"


class StageHookFailed(Problem):
    """A command of `hooks.before_STAGE` failed, and so the stage was not begun.

    Why: a command before a stage has a veto: whoever makes a backup first wants no deploy without one.

    Next: mend what it complains about, and run the same command again; it goes on where this one stopped.
    """

    code = "CT811"


class NotInSync(Problem):
    """`status`: what is live is not what HEAD holds, or the item differs from the configuration.

    Why: a change was not released yet, a deploy failed, or somebody changed the item by hand.

    Next: `nox -s release`.
    """

    code = "CT890"
    exit_code = 2


class LiveUnhealthy(Problem):
    """`status`: the live page does not answer as `verify` demands.

    Why: the app was well when it was released, and something around it has changed.

    Next: read the app's log on the server; `nox -s rollback` puts the version before live again.
    """

    code = "CT891"
    exit_code = 3


class ChecksFailed(Problem):
    """`doctor` found something that a release can't have.

    Why: each failed check says so itself, in the table.

    Next: the command beside the check; then `doctor` again.
    """

    code = "CT892"

    @classmethod
    def of(cls, hint: str | None, *, count: int, exit_code: int) -> ChecksFailed:
        """With the exit code of the worst check."""
        problem = cls(f"{count} check{'' if count == 1 else 's'} failed", hint=hint)
        problem.exit_code = exit_code  # type: ignore[misc]  # that of the configuration, where it is at fault
        return problem
