"""Which of many apps changed since what is live: one fetch, one `git status`, one list of the server's items.

No process and no call for an app that stands still, however many there are: `git cat-file` answers for all trees at
once, and which commit a live bundle was made of is remembered, since it never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ..configuration import App
from ..errors import NoCommits, Problem, UsageWrong
from ..repository.git import Git, Head, at
from ..repository.git_status import Changes
from ..repository.repository_survey import Contact, ask_remote, remote_problems, tracked_branches
from ..world import World
from .configuration_then import ConfiguredThen
from .fleet_live import Listed, Live, fetch_missing, find_lives, list_servers, listed_differences
from .standstill import Record, asks_for_more, digest_of, digest_of_shared, read_record, shared_places

NO_CHANGES = Changes()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One app. `because`: why a release has to look at it; None where it is live as it stands. `problem`: why that
    can't be told."""

    app: App
    because: str | None = None
    live: Live | None = None
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What was found of all apps in one pass."""

    head: Head
    findings: tuple[Finding, ...]
    contacts: Mapping[str, Contact] = field(default_factory=dict)  # by remote
    changes: Mapping[str, Changes] = field(default_factory=dict)  # of the work tree, by an app's directory


def survey_fleet(apps: Sequence[App], world: World) -> Fleet:
    """Find the apps that changed: since what is live, or with `--changed-since` since that. Raises `NoCommits`,
    `UsageWrong`."""
    head = world.git.head()
    if head.commit is None:
        raise NoCommits("the repository has no commit yet", where=str(world.git.root), hint="git add . && git commit")
    since = world.options.changed_since
    if since is not None:
        return Fleet(head=head, findings=_changed_since(apps, world, since))
    with ThreadPoolExecutor(3) as pool:
        status = pool.submit(world.git.changes)
        asked = pool.submit(_contacts, apps, world.git, head)
        servers, without = list_servers(apps, world)
        contacts, changes = asked.result(), by_directory(apps, status.result())
    findings = {id(app): Finding(app=app, problem=without[id(app)]) for app in apps if id(app) in without}
    for app in apps:
        problem = contacts[app.remote].problem
        if problem is not None and id(app) not in findings:
            findings[id(app)] = Finding(app=app, problem=problem)
    left = [app for app in apps if id(app) not in findings]
    for finding in _compared(left, world, head, servers, contacts, changes):
        findings[id(finding.app)] = finding
    return Fleet(head=head, findings=tuple(findings[id(app)] for app in apps), contacts=contacts, changes=changes)


# what is asked --------------------------------------------------------------------------------------------------------


def _contacts(apps: Sequence[App], git: Git, head: Head) -> dict[str, Contact]:
    """Each remote's branches, fetched. Whether we may push is asked later, if there is something to push."""
    branches: dict[str, dict[str, None]] = {}
    for app in apps:
        branches.setdefault(app.remote, {}).update(dict.fromkeys(tracked_branches(app, head)))
    contacts = {}
    for remote, names in branches.items():
        missing = remote_problems(git, remote, git.remote_url(remote))
        contacts[remote] = (
            Contact(tips={}, problem=missing[0])
            if missing
            else ask_remote(git, remote, tuple(names), head=head, pushing=None)
        )
    return contacts


def by_directory(apps: Iterable[App], changes: Changes) -> dict[str, Changes]:
    """The work tree's changes of each app that has some."""
    if changes == NO_CHANGES:
        return {}
    found = {}
    for directory in {app.path for app in apps}:
        prefix = "" if directory == "." else f"{directory}/"
        parts = {
            name: tuple(path[len(prefix) :] for path in getattr(changes, name) if path.startswith(prefix))
            for name in ("staged", "unstaged", "unmerged", "untracked")
        }
        if any(parts.values()):
            found[directory] = Changes(**parts)
    return found


# what it means --------------------------------------------------------------------------------------------------------


def _compared(
    apps: Sequence[App],
    world: World,
    head: Head,
    servers: Mapping[int, Listed],
    contacts: Mapping[str, Contact],
    changes: Mapping[str, Changes],
) -> list[Finding]:
    git = world.git
    records = {id(app): read_record(app, git) for app in apps}
    lives = find_lives(apps, world, servers, records)
    fetch_missing(git, {(app.remote, lives[id(app)].commit) for app in apps if id(app) in lives})
    tips = {id(app): contacts[app.remote].tips.get((tracked_branches(app, head) or ("",))[-1]) for app in apps}
    names: list[str] = []
    for app in apps:
        live = lives.get(id(app))
        for revision in ("HEAD", tips[id(app)], live.commit if live else None):
            names += [at(revision, path) for path in (app.path, *shared_places(app))] if revision else []
    found = git.look_up_all(names)
    then = ConfiguredThen(git=git, scratch=partial(world.place, "then"))
    asked = asks_for_more(world)
    findings = []
    for app in apps:
        live = lives.get(id(app))
        because = "asked for" if asked else None
        because = because or _here(app, head, changes.get(app.path, NO_CHANGES))
        because = because or _there(app, live, records[id(app)], found, tips[id(app)])
        because = because or (_configured(app, live, records[id(app)], world, then, servers[id(app)]) if live else None)
        findings.append(Finding(app=app, because=because, live=live))
    return findings


def _here(app: App, head: Head, changes: Changes) -> str | None:
    if app.branch is not None and head.branch is not None and app.branch != head.branch:
        return f"HEAD is on {head.branch}, not on {app.branch}"
    return "files differ from HEAD" if changes.tracked else None


def _there(
    app: App, live: Live | None, record: Record | None, found: Mapping[str, str | None], tip: str | None
) -> str | None:
    """By trees: of HEAD, of the remote's branch, of the live commit."""
    if live is None:
        return "nothing of it is live"
    if live.commit is None:
        return f"bundle {live.item.bundle} is live, made of an unknown commit"
    if record is not None and record.bundle != live.item.bundle:
        record = None
    here, there = found.get(at("HEAD", app.path)), found.get(at(live.commit, app.path))
    pushed = found.get(at(tip, app.path)) if tip else None
    if app.deploy_branch is not None:  # what is live is generated: only a record says from what
        if record is None or record.tree != here:
            return "the app changed, or was released from another clone"
        here = there
    if here is None or here != there:
        return f"the app changed since {live.commit[:10]}, which is live"
    if pushed != there:
        return f"{app.remote} does not hold the app as it is at HEAD"
    ours = [found.get(at("HEAD", place)) for place in shared_places(app)]
    theirs = [found.get(at(live.commit, place)) for place in shared_places(app)]
    if ours != theirs and not (record is not None and record.shared == digest_of_shared(ours)):
        return "a shared path changed"
    return None


def _configured(
    app: App, live: Live, record: Record | None, world: World, then: ConfiguredThen, server: Listed
) -> str | None:
    """By the configuration, now and when the live commit was released. A link or a variable that was changed by hand
    is no change of the app: `status` shows it."""
    for difference in listed_differences(app, live.item, server):
        return f"{difference.of} on the server is not as declared"
    if record is not None and record.bundle == live.item.bundle:
        return None if record.digest == digest_of(app, server.connect.url, world.environ) else "its settings changed"
    return None if then.same(app, str(live.commit)) else "its settings changed"


# since a commit -------------------------------------------------------------------------------------------------------


def _changed_since(apps: Sequence[App], world: World, since: str) -> tuple[Finding, ...]:
    git = world.git
    base = git.resolve(since)
    if base is None:
        hint = "git fetch, or name a commit, a branch or a tag of this clone"
        raise UsageWrong(f"--changed-since: there is no commit {since}", hint=hint)
    places = {id(app): (app.path, *shared_places(app)) for app in apps}
    found = git.look_up_all(
        at(revision, place) for app in apps for place in places[id(app)] for revision in ("HEAD", base)
    )
    then = ConfiguredThen(git=git, scratch=partial(world.place, "then"))

    def because(app: App) -> str | None:
        moved = [place for place in places[id(app)] if found.get(at("HEAD", place)) != found.get(at(base, place))]
        if moved:
            return f"{moved[0]} changed since {since}"
        return None if then.same(app, base) else f"its settings changed since {since}"

    return tuple(Finding(app=app, because=because(app)) for app in apps)
