"""How the app was configured at the commit that is live, and since: the repository is the state file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..configuration import App, load, resolve
from ..errors import CommandTimedOut, Problem
from ..repository.deploy_branch import source_of
from ..repository.git import Git, full_path
from ..server.server_drift import Difference, differences
from ..server.server_survey import ServerFacts

FILE = "pyproject.toml"
#: Versions of the configuration that are read; more than these between two releases of one app are rare.
VERSIONS = 50


def find_differences(
    git: Git, app: App, server: ServerFacts, *, remote: str, scratch: Callable[[], Path]
) -> tuple[Difference, ...]:
    """What the server holds otherwise than `app` says; the history is read only where there is something to explain.

    `scratch` makes an empty directory.
    """
    found = differences(app, server)
    live = server.live_commit
    if not found or live is None or not at_hand(git, remote, live):
        return found
    source = source_of(git, live) or live  # a generated branch holds no configuration
    return differences(app, server, configured_since(git, app, source, scratch()))


def configured_since(git: Git, app: App, live: str, scratch: Path) -> tuple[App, ...]:
    """`app` as it was declared at the commit `live` and at each one since that changed the configuration, oldest first.

    Empty where nothing is known: the commit is not in this clone, or had no configuration that can be read. `scratch`
    is an empty directory of ours.
    """
    if git.resolve(live) is None:
        return ()
    paths = {FILE, full_path(app.path, FILE), full_path(app.path, ".posit/publish")}
    since = git.ask(
        "--literal-pathspecs", "log", "--format=%H", f"--max-count={VERSIONS}", f"{live}..HEAD", "--", *sorted(paths)
    )
    commits = [*(since.text.split() if since.ok else ()), live][::-1]
    found = [_configured(git, app, commit, scratch / commit) for commit in commits]
    return tuple(then for then in found if then is not None) if found[0] is not None else ()


def at_hand(git: Git, remote: str, commit: str) -> bool:
    """Whether a commit is in this clone, after an attempt to fetch it: a shallow clone or another branch lacks it."""
    if git.resolve(commit) is not None:
        return True
    try:
        git.run_remote("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, commit)
    except CommandTimedOut:
        return False
    return git.resolve(commit) is not None


def _configured(git: Git, app: App, commit: str, place: Path) -> App | None:
    blobs = dict(_blobs(git, app, commit))
    contents = git.read(blobs.values())
    for path, oid in blobs.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents[oid])
    try:
        return resolve(load(place, [app.path] if app.path != "." else []), app.name, app.target, {})
    except Problem:
        return None


def _blobs(git: Git, app: App, commit: str) -> Iterator[tuple[str, str]]:
    """The files that a configuration is read from: ours, and those of other tools beside the app."""
    root = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{FILE}")
    if root.ok:
        yield FILE, root.text.strip()
    for path, blob in git.tree(commit, app.path).items():
        if path == FILE or (path.startswith(".posit/publish/") and path.endswith(".toml")):
            yield full_path(app.path, path), blob.oid
