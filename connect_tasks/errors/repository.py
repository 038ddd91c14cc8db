"""2xx: the repository."""

from __future__ import annotations

from .problem import Problem


class NotARepository(Problem):
    """The directory is not inside a git work tree.

    Why: Connect clones a commit; without git there is nothing that it could clone.

    Next: run it inside the clone, or begin one with `nox -s init`, which sets the app up besides.
    """

    code = "CT200"


class RemoteMissing(Problem):
    """The configured remote does not exist.

    Why: a release is pushed, and Connect clones from where it was pushed to.

    Next: `git remote add origin URL`, or name the right one with `remote = "..."`.
    """

    code = "CT201"


class OnAnotherBranch(Problem):
    """HEAD is neither on the configured branch nor detached at or ahead of its remote tip.

    Why: what you look at is not what would be released.

    Next: `git switch BRANCH`, or set `branch = "..."` to the one that you release from.
    """

    code = "CT202"


class UncommittedChanges(Problem):
    """Tracked files of the app's directory differ from HEAD.

    Why: Connect clones the commit. Your edits would not be in it, though the app that you see has them.

    Next: `git commit` them, or `release -- --allow-dirty` to ship HEAD without them.
    """

    code = "CT203"


class NoCommits(Problem):
    """HEAD points to no commit.

    Why: a new repository holds no tree that could be exported, tested or cloned.

    Next: `git add . && git commit`.
    """

    code = "CT204"


class AppEmpty(Problem):
    """The commit holds no file below the app's directory.

    Why: `path` points beside the app, or the app was never added to git.

    Next: `git add PATH && git commit`, or correct `path` in `[tool.connect-tasks]`.
    """

    code = "CT205"


class RepositoryUntrusted(Problem):
    """git itself refuses the directory, since it belongs to somebody else (`safe.directory`).

    Why: hooks and settings of a foreign repository would run as you; containers of CI run into this.

    Next: `git config --global --add safe.directory DIRECTORY`, if you trust it.
    """

    code = "CT206"


class OperationInProgress(Problem):
    """A merge, rebase, cherry-pick, revert or bisect is half done, or paths are unmerged.

    Why: HEAD and index are between two states; a commit of ours would become part of the operation.

    Next: `git status` says how to finish it or abandon it.
    """

    code = "CT207"


class BehindRemote(Problem):
    """The remote branch holds commits that HEAD lacks and that a replay can't leave aside.

    Why: they touch the same app, so what you tested is not what the branch would hold after a merge.

    Next: `git pull --ff-only` (or `git rebase`), then the same command again.
    """

    code = "CT208"


class IdentityMissing(Problem):
    """git does not know who commits.

    Why: the commit of the generated files bears your name; on a fresh machine or in CI there is none.

    Next: `git config user.email you@example.com && git config user.name "You"`.
    """

    code = "CT209"


class RepositoryLocked(Problem):
    """Another process holds the index or a ref of the repository.

    Why: an editor or another git is at work, or one died and left its lock file.

    Next: wait and run the same command again; if no git runs any more, remove the lock file that is named.
    """

    code = "CT210"


class LockHeld(Problem):
    """Another run of ours holds the lock.

    Why: two releases of one app at the same time would undo each other. The lock dies with the process that holds it.

    Next: wait for the run that is named, then run the same command again.
    """

    code = "CT211"
    exit_code = 5


class GeneratedFileHidden(Problem):
    """A generated file is ignored, filtered, or hidden from git by skip-worktree or assume-unchanged.

    Why: the commit would lack `requirements.txt` or `manifest.json`, or hold other bytes than were written.

    Next: `git check-ignore -v FILE` names the rule; `git update-index --no-skip-worktree --no-assume-unchanged FILE`.
    """

    code = "CT212"


class ContentNotInGit(Problem):
    """A submodule or an LFS pointer: Connect's clone would lack the content.

    Why: Connect clones without submodules and without LFS, and the app would find a pointer in place of its file.

    Next: commit the content itself, or leave it out with `exclude`.
    """

    code = "CT213"


class NameRefused(Problem):
    """A branch, remote or path that could be taken for an option, or that some computer can't hold.

    Why: a name that begins with `-` is an option to some program, and `con.txt` is no file on Windows.

    Next: rename what the message names: `git mv OLD NEW`, or `git branch -m OLD NEW`.
    """

    code = "CT214"


class GitTooOld(Problem):
    """The installed git lacks what we need.

    Why: the push with a verdict from the remote, and the private index, need git 2.30 or later.

    Next: install a newer git; `git --version` says which one is found first.
    """

    code = "CT215"


class GitFailed(Problem):
    """A git command failed in a way that we did not foresee; its own words are in the message.

    Why: disk full, damaged objects, permissions: whatever git says.

    Next: `git fsck` and `git status`, then the same command again.
    """

    code = "CT216"
