"""A branch of generated commits: the app's files as they ship, and nothing else.

Only such a branch is ever built by plumbing or pushed with a lease, and only while it is ours: it does not exist yet,
or its tip carries our trailer. HEAD, the index and the work tree stay where they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..configuration import App
from ..errors import BranchNotOurs, CommitFailed, Problem, PushRaceLost, raise_all
from .git import Git
from .git_messages import own_words
from .git_push import Pushed
from .push_rounds import PushRounds
from .tree import Blob

#: The trailer that makes a branch ours, and that tells which commit of people was shipped.
TRAILER = "Source-Commit"


@dataclass(frozen=True, kw_only=True)
class DeployCommit:
    """What a deploy branch is to hold: `tree` (of the app's directory, as shipped) at `directory`, made from `source`.

    `message` is without the trailer. `orphan`: a commit without a past, instead of one on top of the last.
    """

    branch: str
    directory: str
    tree: str
    source: str
    message: str
    orphan: bool = False


@dataclass(frozen=True, kw_only=True)
class OnDeployBranch:
    """The commit that ships; `created` False where the branch held the same tree already. `base` is the remote tip that
    it takes over from, None where the remote has no such branch."""

    commit: str
    created: bool
    base: str | None


def filtered_tree(git: Git, tree: str, keep: frozenset[str]) -> str:
    """The id of a tree with only the paths in `keep`."""
    drop: dict[str, Blob | None] = {path: None for path in git.tree(tree, ".") if path not in keep}
    return git.overlay(tree, ".", drop) if drop else tree


def commit_to_deploy_branch(
    git: Git, wanted: DeployCommit, *, remote_tip: str | None, timeout: float
) -> OnDeployBranch:
    """Make the commit and let the local branch name it (compare and swap); none where the remote's tip ships the tree.

    `remote_tip` is the remote's branch as fetched. Other directories of the branch (other apps) are kept. `timeout`
    (seconds) is for the signer. Raises BranchNotOurs, CommitFailed.
    """
    ref = f"refs/heads/{wanted.branch}"
    local = git.resolve(ref)
    raise_all(branch_problems(git, wanted.branch, remote_tip))
    if remote_tip is not None and git.tree_id(remote_tip, wanted.directory) == wanted.tree:
        commit, created = remote_tip, False
    elif local is not None and _is_wanted(git, local, wanted, remote_tip):
        commit, created = local, False  # made by a run that could not push
    else:
        commit, created = _make(git, wanted, remote_tip, timeout=timeout), True
    if commit != local and (created or local is not None):
        reason = f"connect-tasks: ship {wanted.source[:10]}"
        moved = git.run("update-ref", "-m", reason, ref, commit, local or "0" * len(commit))
        if not moved.ok:
            raise CommitFailed(
                f"{wanted.branch} moved while the commit was made: {own_words(moved.error_text)}",
                hint="run the same command again",
            )
    return OnDeployBranch(commit=commit, created=created, base=remote_tip)


def branch_problems(git: Git, branch: str, remote_tip: str | None) -> list[Problem]:
    """Why this branch may not be written: it is not ours, here or on the remote, or somebody works on it."""
    problems: list[Problem] = []
    for where, tip in (("the remote's", remote_tip), ("the local", git.resolve(f"refs/heads/{branch}"))):
        if tip is not None and source_of(git, tip) is None:
            problems.append(
                BranchNotOurs(
                    f"{where} branch {branch} is not a deploy branch of ours: its tip {tip[:10]} has no {TRAILER}",
                    hint=f'deploy_branch = "deploy/{branch.replace("/", "-")}" in [tool.connect-tasks]',
                )
            )
    if _is_checked_out(git, branch):
        problems.append(BranchNotOurs(f"{branch} is checked out: nobody works on a deploy branch", hint="git switch -"))
    return problems


def push_deploy_branch(
    git: Git, remote: str, wanted: DeployCommit, made: OnDeployBranch, *, timeout: float, verify: bool = True
) -> Pushed:
    """Bring the commit to the remote's deploy branch, with a lease on the tip that it takes over from.

    When another run was faster, the commit is made again on top of that run's, unless that one shipped a later source
    of the same app. Raises PushRejected, PushRaceLost, BranchNotOurs, RemoteUnreachable.
    """
    if made.commit == made.base:
        return Pushed(commit=made.commit)

    def remake(tip: str, left: float) -> str:
        theirs = source_of(git, tip)
        moved = made.base is None or git.tree_id(tip, wanted.directory) != git.tree_id(made.base, wanted.directory)
        if moved and theirs not in {None, wanted.source} and git.is_ancestor(wanted.source, str(theirs)):
            raise PushRaceLost(
                f"{remote}/{wanted.branch} ships {str(theirs)[:10]} meanwhile, newer than {wanted.source[:10]}",
                where=f"remote {tip}, ours {made.commit}",
                hint=f"git pull --ff-only {remote}, then run the same command again",
            )
        return commit_to_deploy_branch(git, wanted, remote_tip=tip, timeout=left).commit

    rounds = PushRounds(
        git=git,
        remote=remote,
        branch=wanted.branch,
        commit=made.commit,
        timeout=timeout,
        remake=remake,
        lease=made.base or "",
        verify=verify,
    )
    landed = rounds.run()
    replayed = made.commit if landed.commit != made.commit else None
    return Pushed(commit=landed.commit, replayed_from=replayed, note=landed.note, remote_said=landed.remote_said)


def source_of(git: Git, commit: str) -> str | None:
    """The commit of people that a deploy commit was made from; None when it is not a deploy commit."""
    message = git.commit_data(commit).partition(b"\n\n")[2].decode("utf-8", "replace")
    trailers = message.rstrip().rpartition("\n\n")[2]
    found = re.findall(rf"^{TRAILER}: ([0-9a-f]{{40,64}})$", trailers, re.MULTILINE)
    return str(found[-1]) if found else None


def deploy_commit_for(app: App, *, tree: str, source: str, message: str, orphan: bool = False) -> DeployCommit:
    """The same from an app. Raises BranchNotOurs when it has no deploy branch."""
    if app.deploy_branch is None:
        raise BranchNotOurs(f"{app.name} has no deploy branch", hint='deploy_branch = "deploy/production"')
    return DeployCommit(
        branch=app.deploy_branch, directory=app.path, tree=tree, source=source, message=message, orphan=orphan
    )


def _is_wanted(git: Git, commit: str, wanted: DeployCommit, remote_tip: str | None) -> bool:
    """Whether an unpushed commit of an earlier run is what this run would make."""
    parent = None if wanted.orphan else remote_tip
    return (
        git.resolve(f"{commit}^") == parent
        and source_of(git, commit) == wanted.source
        and git.tree_id(commit, wanted.directory) == wanted.tree
    )


def _make(git: Git, wanted: DeployCommit, tip: str | None, *, timeout: float) -> str:
    tree = git.graft(tip, wanted.directory, wanted.tree)
    parents = () if wanted.orphan or tip is None else ("-p", tip)
    signed = ("-S",) if git.flag("commit.gpgSign") else ()  # commit-tree does not read it
    message = f"{wanted.message.rstrip()}\n\n{TRAILER}: {wanted.source}\n"
    done = git.run("commit-tree", *signed, *parents, tree, input=message.encode(), timeout=timeout)
    if not done.ok:
        raise CommitFailed(
            f"the deploy commit failed: {own_words(done.error_text)}", hint="git config --get user.signingkey"
        )
    return git.line(done)


def _is_checked_out(git: Git, branch: str) -> bool:
    if (git.common_dir / "worktrees").is_dir():
        return f"branch refs/heads/{branch}" in git.line(git.ask("worktree", "list", "--porcelain")).splitlines()
    return git.head().branch == branch
