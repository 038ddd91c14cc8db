"""How far many apps have come, by what is asked once for all of them: no call and no process for an app of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..configuration import App
from ..errors import NoCommits, Problem, RemoteUnreachable
from ..repository.deploy_branch import source_of
from ..repository.git import Git, at
from ..repository.git_status import Changes
from ..server.live_state import Held, LiveState
from ..server.stopwatch import Stopwatch
from ..world import World
from .configuration_history import configured_since
from .fleet import one_for_each_server
from .fleet_live import Listed, Live, fetch_missing, find_lives, list_servers, listed_differences
from .fleet_survey import NO_CHANGES, by_directory
from .standstill import read_record

Branch = tuple[str, str]  # of a remote: its name, the branch


def look_at_all(apps: Sequence[App], world: World) -> tuple[list[LiveState | Problem], tuple[str, ...]]:
    """The state of each app, or what stands against telling it; and what is to be noted.

    What the list of a server does not show is not in it: the link, variables, the page's health, a bundle that was left
    for another one. Raises `NoCommits`.
    """
    git = world.git
    head = git.head()
    if head.commit is None:
        raise NoCommits("the repository has no commit yet", where=str(git.root), hint="git add . && git commit")
    branches = {id(app): (app.remote, app.deploy_branch or app.branch or head.branch or "") for app in apps}
    shared = replace(world, connect=one_for_each_server(world.connect, Stopwatch()))
    with ThreadPoolExecutor(2) as pool:
        status, asked = pool.submit(git.changes), pool.submit(_tips, git, set(branches.values()))
        servers, without = list_servers(apps, shared)
        changes, (tips, notes) = by_directory(apps, status.result()), asked.result()
    listed = [app for app in apps if id(app) in servers]
    lives = find_lives(listed, shared, servers, {id(app): read_record(app, git) for app in listed})
    pushed = {id(app): tips.get(branches[id(app)]) for app in apps}
    fetch_missing(
        git, {(app.remote, commit) for app in apps for commit in (pushed[id(app)], _commit(lives.get(id(app))))}
    )
    held = _Held.of(apps, git, head.commit, pushed, lives)
    found: list[LiveState | Problem] = []
    for app in apps:
        if id(app) in without:
            found.append(without[id(app)])
            continue
        live = lives.get(id(app))
        state = _state(app, held, changes.get(app.path, NO_CHANGES), pushed[id(app)], live)
        found.append(_with_drift(state, app, world, live, servers[id(app)]) if live else state)
    return found, notes


def _commit(live: Live | None) -> str | None:
    return live.commit if live else None


def _tips(git: Git, branches: set[Branch]) -> tuple[dict[Branch, str | None], tuple[str, ...]]:
    """What each branch is at; a remote that is away is no obstacle, as for one app."""
    tips: dict[Branch, str | None] = {}
    notes: dict[str, None] = {}
    for remote, branch in sorted(branches):
        try:
            tips[remote, branch] = git.remote_tip(remote, branch) if branch else None
        except RemoteUnreachable as unreachable:
            notes[unreachable.message] = None
    return tips, tuple(notes)


class _Held:
    """Commits compared with HEAD by trees of apps, all of them looked up in one call."""

    def __init__(self, head: str, sources: Mapping[str, str], trees: Mapping[str, str | None]) -> None:
        self.head, self._sources, self._trees = head, sources, trees

    @classmethod
    def of(
        cls,
        apps: Sequence[App],
        git: Git,
        head: str,
        pushed: Mapping[int, str | None],
        lives: Mapping[int, Live],
    ) -> _Held:
        wanted = [(app, commit) for app in apps for commit in (pushed[id(app)], _commit(lives.get(id(app)))) if commit]
        there = git.look_up_all(f"{commit}^{{commit}}" for _, commit in wanted)
        generated = {c for app, c in wanted if app.deploy_branch and there.get(f"{c}^{{commit}}")}
        sources = {commit: source_of(git, commit) or commit for commit in generated}
        names = [at(head, app.path) for app in apps]
        names += [at(sources.get(commit, commit), app.path) for app, commit in wanted]
        return cls(head, sources, {**there, **git.look_up_all(names)})

    def __call__(self, app: App, commit: str | None) -> Held:
        if commit is None or commit == self.head:
            return Held(commit=commit, same=commit is not None)
        if self._trees.get(f"{commit}^{{commit}}") is None:
            return Held(commit=commit)
        there = self._trees.get(at(self._sources.get(commit, commit), app.path))
        return Held(commit=commit, same=there == self._trees.get(at(self.head, app.path)))


def _state(app: App, held: _Held, changes: Changes, pushed: str | None, live: Live | None) -> LiveState:
    return LiveState(
        app=app.name,
        target=app.target,
        changed=tuple(changes.tracked),
        untracked=tuple(changes.untracked),
        committed=Held(commit=held.head, same=True),
        pushed=held(app, pushed),
        fetched=Held(commit=None),
        live=held(app, _commit(live)),
        bundle=live.item.bundle if live else None,
        left_behind=None,
        differences=(),
        sick=None,
        url=live.url if live else None,
        visited=False,
    )


def _with_drift(state: LiveState, app: App, world: World, live: Live, server: Listed) -> LiveState:
    """The history is read only where there is something to explain."""
    found = listed_differences(app, live.item, server)
    if found and live.commit is not None and state.live.same is not None:
        source = source_of(world.git, live.commit) or live.commit
        found = listed_differences(
            app, live.item, server, configured_since(world.git, app, source, world.place("configured"))
        )
    return replace(state, differences=tuple(found))
