"""Everything about the repository that a release must know, and all that could stop it, found in one pass before
anything is written."""

from __future__ import annotations

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


def survey(git: Git, app: App, *, network: bool = True, allow_dirty: bool = False) -> RepositoryFacts:
    """Collect the facts; nothing is written but the remote-tracking refs. Without `network` the remote is not asked."""
    head = git.head()
    branch = app.branch or head.branch
    url = git.remote_url(app.remote)
    problems = [*_remote_problems(git, app, url), *setting_problems(app)]
    names = [name for name in (branch, app.deploy_branch) if name is not None and network and not problems]
    with ThreadPoolExecutor(max_workers=4) as pool:  # a remote answers in its own time
        fetched = {name: pool.submit(_fetch, git, app.remote, name) for name in names}
        denied = pool.submit(_probe, git, app, names[-1], head) if names else None
        status = pool.submit(git.changes, app.path)
        problems += work_tree_problems(git, app)
        tips = {name: future.result() for name, future in fetched.items()}
        problems += _some_problem([*(problem for _, problem in tips.values()), denied.result() if denied else None])
        changes = status.result()
    tip, deploy_tip = (tips.get(str(name), (None, None))[0] for name in (branch, app.deploy_branch))
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
        changes=changes,
        app_at_tip=git.tree_id(tracked, app.path) if tracked else None,
        unpushed=git.subjects(str(head.commit), *([f"^{tip}"] if tip else [])) if known and tip != head.commit else (),
    )
    problems += [*_branch_problems(git, app, facts), *([] if allow_dirty else _dirty_problems(app, facts))]
    return replace(facts, problems=tuple(problems), warnings=tuple(_warnings(git, app, facts)))


def _some_problem(found: list[Problem | None]) -> list[Problem]:
    """The first: several calls to one remote that can't be used have one reason."""
    return [problem for problem in found if problem is not None][:1]


def _remote_problems(git: Git, app: App, url: str | None) -> list[Problem]:
    if url is not None:
        return []
    known = ", ".join(git.remotes())
    hint = (
        f'remote = "..." in [tool.connect-tasks] (there is: {known})' if known else f"git remote add {app.remote} URL"
    )
    return [RemoteMissing(f"the repository has no remote {app.remote!r}", hint=hint)]


def _fetch(git: Git, remote: str, branch: str) -> tuple[str | None, Problem | None]:
    try:
        return git.fetch(remote, branch), None
    except Problem as problem:
        return None, problem


def _probe(git: Git, app: App, branch: str, head: Head) -> Problem | None:
    """May we push? `--no-verify`, else the user's pre-push hook runs, even when all is up to date. Proves who we are,
    not what the branch's rules allow."""
    if head.commit is None:
        return None
    ref = f"refs/heads/{branch}"
    try:
        done = git.run_remote(
            "push",
            "--dry-run",
            "--no-verify",
            "--porcelain",
            "--no-follow-tags",
            "--no-recurse-submodules",
            "--",
            app.remote,
            f"HEAD:{ref}",
        )
    except CommandTimedOut as problem:
        return problem
    answer = read_push(done, ref)
    if answer.verdict in {Verdict.LANDED, Verdict.RACE_LOST}:
        return None
    return unreachable_because(app.remote, answer.words)


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
