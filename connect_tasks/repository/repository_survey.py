"""Everything about the repository that a release must know, and all that could stop it, found in one pass before
anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..configuration import App
from ..errors import (
    BehindRemote,
    CommandTimedOut,
    NoCommits,
    OnAnotherBranch,
    Problem,
    RemoteMissing,
    UncommittedChanges,
)
from .deploy_branch import branch_problems
from .git import Git, Head
from .git_messages import named, unreachable_because
from .git_status import Changes
from .push_verdict import Verdict, read_push
from .replay import NotReplayable, Replay, check_replay
from .tree import FILE, GENERATED, Blob
from .work_tree_checks import setting_problems, work_tree_problems

NO_CHANGES = Changes()


@dataclass(frozen=True, kw_only=True)
class RepositoryFacts:
    """What was found. The caller raises `problems` together with those of the server (`errors.raise_all`)."""

    head: Head
    branch: str | None  # the one that people work on
    remote: str
    remote_url: str | None = None
    remote_tip: str | None = None  # of `branch`; None: the remote has no such branch yet
    deploy_tip: str | None = None  # of the deploy branch, where the app has one
    unpushed: tuple[tuple[str, str], ...] = ()  # (commit, subject) of what HEAD has and the remote lacks, newest first
    changes: Changes = NO_CHANGES  # below the app's directory
    app_at_tip: str | None = None  # the id of the app's tree at the tip of what Connect tracks
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def dirty(self) -> tuple[str, ...]:
        """Tracked files of the app that differ from HEAD; the generated ones are ours."""
        return tuple(path for path in self.changes.tracked if path not in GENERATED)

    @property
    def untracked(self) -> tuple[str, ...]:
        return tuple(path for path in self.changes.untracked if path not in GENERATED)


@dataclass(frozen=True, kw_only=True)
class Contact:
    """What the remote answered: the tips of the branches that we asked for, and what stands against a push."""

    tips: Mapping[str, str | None]  # None: it has no such branch
    problem: Problem | None = None


def ask_remote(git: Git, remote: str, branches: Sequence[str], *, head: Head, pushing: str | None) -> Contact:
    """Fetch branches, and try whether `pushing` (one of them or another) may be pushed to; all at once, since a remote
    answers in its own time."""
    names = dict.fromkeys([*branches, *([pushing] if pushing else [])])
    with ThreadPoolExecutor(max_workers=4) as pool:
        asked = {
            name: pool.submit(_try_to_push if name == pushing else _fetch, git, remote, name, head) for name in names
        }
        answers = {name: future.result() for name, future in asked.items()}
    # the first: several calls to one remote that can't be used have one reason
    problem = next((problem for _, problem in answers.values() if problem is not None), None)
    return Contact(tips={name: tip for name, (tip, _) in answers.items()}, problem=problem)


def tracked_branches(app: App, head: Head) -> tuple[str, ...]:
    """The branches of the remote that a release of the app reads; the last one is pushed to."""
    return tuple(name for name in (app.branch or head.branch, app.deploy_branch) if name is not None)


def survey(
    git: Git,
    app: App,
    *,
    network: bool = True,
    allow_dirty: bool = False,
    writing: bool = True,
    contact: Contact | None = None,
    changes: Changes | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> RepositoryFacts:
    """Collect the facts; nothing is written but the remote-tracking refs. Without `network` the remote is not asked.
    Without `writing`, for who neither commits nor pushes, no identity and no right to push is needed.

    `contact` and `changes`: what the remote and `git status` say, where they were asked for many apps at once.
    `meanwhile` is done while the remote answers.
    """
    head = git.head()
    branch = app.branch or head.branch
    url = git.remote_url(app.remote)
    problems = [*remote_problems(git, app.remote, url), *setting_problems(app)]
    names = tracked_branches(app, head) if network and not problems else ()
    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = None
        if names and contact is None:
            asked = pool.submit(ask_remote, git, app.remote, names, head=head, pushing=names[-1] if writing else None)
        status = pool.submit(git.changes, app.path) if changes is None else None
        problems += work_tree_problems(git, app, committing=writing)
        if asked is not None:
            meanwhile()
            contact = asked.result()
        if status is not None:
            changes = status.result()
    tips = contact.tips if contact and names else {}
    problems += [contact.problem] if contact and contact.problem and names else []
    tip, deploy_tip = (tips.get(str(name)) for name in (branch, app.deploy_branch))
    if head.commit is None:
        problems.append(
            NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
        )
    tracked = deploy_tip if app.deploy_branch else tip
    known = bool(tips) and head.commit is not None
    facts = RepositoryFacts(
        head=head,
        branch=branch,
        remote=app.remote,
        remote_url=url,
        remote_tip=tip,
        deploy_tip=deploy_tip,
        changes=changes or NO_CHANGES,
        app_at_tip=git.tree_id(tracked, app.path) if tracked else None,
        unpushed=git.subjects(str(head.commit), *([f"^{tip}"] if tip else [])) if known and tip != head.commit else (),
    )
    problems += [*_branch_problems(git, app, facts), *([] if allow_dirty else _dirty_problems(app, facts))]
    return replace(facts, problems=tuple(problems), warnings=tuple(_warnings(git, app, facts)))


def remote_problems(git: Git, remote: str, url: str | None) -> list[Problem]:
    if url is not None:
        return []
    known = ", ".join(git.remotes())
    hint = f'remote = "..." in [tool.connect-tasks] (there is: {known})' if known else f"git remote add {remote} URL"
    return [RemoteMissing(f"the repository has no remote {remote!r}", hint=hint)]


def _fetch(git: Git, remote: str, branch: str, _head: Head) -> tuple[str | None, Problem | None]:
    try:
        return git.fetch(remote, branch), None
    except Problem as problem:
        return None, problem


def _try_to_push(git: Git, remote: str, branch: str, head: Head) -> tuple[str | None, Problem | None]:
    """May we push? The answer names the remote's tip, so that nothing is fetched where we have it: one exchange in
    place of two, which on this computer's server takes both sides 0.1 s of processor time."""
    if head.commit is None:
        return _fetch(git, remote, branch, head)
    ref, known = f"refs/heads/{branch}", git.resolve(f"refs/remotes/{remote}/{branch}")
    # `--no-verify`, else the user's pre-push hook runs, even when all is up to date. Proves who we are, not what the
    # branch's rules allow.
    options = ("--dry-run", "--no-verify", "--porcelain", "--no-follow-tags", "--no-recurse-submodules")
    try:
        done = git.run_remote("-c", "core.abbrev=40", "push", *options, "--", remote, f"{head.commit}:{ref}")
    except CommandTimedOut as problem:
        return None, problem
    answer = read_push(done, ref)
    if answer.verdict not in {Verdict.LANDED, Verdict.RACE_LOST}:
        return None, unreachable_because(remote, answer.words)
    tip = answer.left_behind or (head.commit if answer.up_to_date else None)
    if known is not None and tip is not None and known.startswith(tip) and not git.pushes_elsewhere(remote):
        return known, None
    return _fetch(git, remote, branch, head)


def _branch_problems(git: Git, app: App, facts: RepositoryFacts) -> list[Problem]:
    head, tip, branch = facts.head, facts.remote_tip, facts.branch
    problems = branch_problems(git, app.deploy_branch, facts.deploy_tip) if app.deploy_branch else []
    if head.commit is None or (app.deploy_branch and not app.branch):
        return problems
    if branch is None:
        return [
            OnAnotherBranch(
                "HEAD is detached and no branch is configured", hint='branch = "main" in [tool.connect-tasks]'
            )
        ]
    if head.branch is not None and head.branch != branch:
        message = f"HEAD is on {head.branch}, the app is released from {branch}"
        return [*problems, OnAnotherBranch(message, hint=f"git switch {branch}")]
    if tip is None or git.is_ancestor(tip, head.commit):
        return problems
    if head.detached:
        message = (
            f"HEAD is detached at {head.commit[:10]}, which is not at or ahead of {facts.remote}/{branch} ({tip[:10]})"
        )
        return [*problems, OnAnotherBranch(message, hint=f"git switch {branch} && git pull --ff-only")]
    if app.deploy_branch:  # the branch of people is not pushed
        return problems
    return [*problems, *_behind_problems(git, app, facts)]


def _behind_problems(git: Git, app: App, facts: RepositoryFacts) -> list[Problem]:
    """The remote has commits that HEAD lacks: no matter where our commit can be replayed on them, or where they hold
    our app already."""
    head, tip = facts.head.commit, facts.remote_tip
    if head is None or tip is None or _candidate_tree(git, app, head) == facts.app_at_tip:
        return []
    if git.is_ancestor(head, tip):
        if git.tree_id(head, app.path) == facts.app_at_tip:
            return []
        return [
            BehindRemote(
                f"{facts.remote}/{facts.branch} is at {tip[:10]}, where {app.path} has changed; HEAD is at {head[:10]}",
                hint=f"git pull --ff-only {facts.remote} {facts.branch}",
            )
        ]
    try:
        check_replay(git, head, tip, Replay(directory=app.path))
    except NotReplayable as no:
        return [
            BehindRemote(
                f"HEAD ({head[:10]}) and {facts.remote}/{facts.branch} ({tip[:10]}) have parted: {no.reason}",
                hint=f"git pull --rebase {facts.remote} {facts.branch}",
            )
        ]
    return []


def _candidate_tree(git: Git, app: App, head: str) -> str:
    """The app's tree with the generated files as they stand in the work tree."""
    tree = git.tree(head, app.path)
    prefix = "" if app.path == "." else app.path + "/"
    there = {name: git.root / app.path / name for name in GENERATED if (git.root / app.path / name).is_file()}
    blobs: dict[str, Blob | None] = {
        name: Blob(tree[name].mode if name in tree else FILE, git.store(prefix + name, path.read_bytes()))
        for name, path in there.items()
    }
    return git.overlay(head, app.path, blobs)


def _dirty_problems(app: App, facts: RepositoryFacts) -> list[Problem]:
    if not facts.dirty:
        return []
    message = f"files of {app.path} differ from HEAD and would not ship: {named(facts.dirty)}"
    return [UncommittedChanges(message, hint="git commit them, or --allow-dirty to ship HEAD without them")]


def _warnings(git: Git, app: App, facts: RepositoryFacts) -> list[str]:
    warnings = []
    if facts.untracked:
        warnings.append(f"not in git, so not shipped: {named(facts.untracked)}")
    if (git.common_dir / "shallow").exists():
        warnings.append("the clone is shallow: commits before its end are not listed")
    if app.deploy_branch and facts.unpushed and facts.branch:
        warnings.append(f"{app.deploy_branch} names a source that {facts.remote}/{facts.branch} does not have yet")
    return warnings
