"""Many releases at once, in processes of their own: of one app and of several, from one clone, many, and linked work
trees, to one target and to two. All end in sync; nothing is doubled, nothing of anybody's is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connect_tasks.emulator import Running

from ..pipeline.conftest import Workshop, make_workshop
from .stage import call, files_in, git_in

APPS = ("one", "two")
TABLE = '[tool.connect-tasks]\nbranch = "main"\n' + "".join(
    f'[tool.connect-tasks.apps.{name}]\npath = "{name}"\ncontent_name = "NAME-{name}"\nmode = "html"\n'
    f'entrypoint = "index.html"\nverify = {{ contains = "version" }}\n'
    for name in APPS
)
#: 5: another run holds the lock (it waits for a minute first); 75: to be tried again.
MAY_FAIL = {1, 5, 75}


@pytest.fixture
def shop(connect_server: Running, tmp_path: Path, private_home: Path) -> Workshop:
    """Two apps in one branch, both live, and a new version of each."""
    made = make_workshop(connect_server, tmp_path, "at-once")
    made.git("rm", "-q", "app.py", "test_app.py", "requirements.in", ".python-version")
    made.write("pyproject.toml", TABLE.replace("NAME", made.name))
    for number in (1, 2):
        for name in APPS:
            made.write(f"{name}/index.html", f"version {number} of {name}")
        made.commit(f"version {number}")
        made.git("push", "-q", "origin", "main")
        if number == 1:
            for name in APPS:
                assert made.run("release", "--app", name).status == 0
            made.git("push", "-q", "origin", "main")
    made.write("notes.txt", "staged\n")
    made.git("add", "notes.txt")
    made.write("notes.txt", "edited\n")
    return made


def start(shop: Workshop, root: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "connect_tasks", "release", *arguments],
        cwd=root, env={**shop.environ, **environ}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def ended(children: list[subprocess.Popen[str]]) -> list[int]:
    """Their statuses; what failed said why and what to do."""
    statuses, told = [], []
    for child in children:
        said, _ = child.communicate(timeout=150)
        assert "Traceback" not in said, said
        assert "CT999" not in said, said
        assert child.returncode == 0 or (child.returncode in MAY_FAIL and "next:" in said), said
        statuses.append(child.returncode)
        told.append(said)
    assert 0 in statuses, told
    return statuses


def clones(shop: Workshop, number: int) -> list[Path]:
    roots = [shop.root.parent / f"clone{index}" for index in range(number)]
    for root in roots:
        git_in(shop.root.parent, "clone", "-q", shop.server.git_url(shop.name), str(root))
        key = shop.git("config", f"http.{shop.server.url}/.extraHeader")
        git_in(root, "config", f"http.{shop.server.url}/.extraHeader", key)
    return roots


def worktrees(shop: Workshop, number: int) -> list[Path]:
    roots = [shop.root.parent / f"tree{index}" for index in range(number)]
    for root in roots:
        shop.git("worktree", "add", "-q", "--detach", str(root), "HEAD")
    return roots


def same_clone(shop: Workshop, number: int) -> list[Path]:
    return [shop.root] * number


def is_in_sync(shop: Workshop, server: Running, roots: list[Path], apps: tuple[str, ...], *, each: int = 1) -> None:
    """One item an app, live from the branch's tree of it, seen by visitors, with one bundle for each commit.

    `each`: clones know nothing of each other's locks, and the API has no request of which the second is refused: two
    that ask at the same moment for a bundle of the same commit get one each.
    """
    there = Workshop(root=shop.root, server=server, name=shop.name, environ=shop.environ)
    for name in apps:
        (item,) = call(there, "GET", f"__api__/v1/content?name={shop.name}-{name}")
        bundles = call(there, "GET", f"__api__/v1/content/{item['guid']}/bundles")
        commits = [bundle["metadata"]["source_commit"] for bundle in bundles]
        assert all(commits.count(commit) <= each for commit in commits), f"too many bundles of one commit: {commits}"
        live = next(one["metadata"]["source_commit"] for one in bundles if one["id"] == item["bundle_id"])
        tree = git_in(shop.bare, "rev-parse", f"main:{name}")
        assert git_in(shop.bare, "rev-parse", f"{live}:{name}") == tree
        assert there.page(f"{server.url}/content/{item['guid']}/") == f"version 2 of {name}"
    for root in roots:
        assert not list(root.rglob(".connect-tasks-*"))
    released = git_in(shop.bare, "log", "--format=%s", "main").splitlines()
    for name in APPS:
        assert released.count(f"Release {name}") <= 2, released


@pytest.mark.parametrize(
    "of", [same_clone, *(pytest.param(way, marks=pytest.mark.slow) for way in (worktrees, clones))]
)
def test_the_same_and_other_apps_at_once(shop: Workshop, of: Callable[[Workshop, int], list[Path]]) -> None:
    roots = of(shop, 4)
    before = files_in(shop.root)
    ended([start(shop, root, "--app", APPS[index % 2]) for index, root in enumerate(roots)])
    for name in APPS:  # whoever failed runs it again; here each clone's last one
        for root in dict.fromkeys(roots):
            git_in(root, "pull", "-q", "--ff-only", "origin", "main")
            assert ended([start(shop, root, "--app", name)]) == [0]
    is_in_sync(shop, shop.server, roots, APPS, each=2 if of is clones else 1)
    generated = {f"{name}/manifest.json" for name in APPS}
    now = files_in(shop.root)
    assert {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)} <= generated
    assert shop.git("diff", "--cached", "--name-only") == "notes.txt"
    assert shop.git("diff", "--name-only") == "notes.txt"


@pytest.mark.slow
def test_two_targets_at_once(shop: Workshop, other_server: Running) -> None:
    other = {"CONNECT_SERVER": other_server.url, "CONNECT_API_KEY": other_server.api_key}
    children = [start(shop, shop.root, "--app", "one"), start(shop, shop.root, "--app", "one", **other)]
    statuses = ended(children)
    for status, environ in zip(statuses, ({}, other), strict=True):
        if status:
            assert ended([start(shop, shop.root, "--app", "one", **environ)]) == [0]
    is_in_sync(shop, shop.server, [shop.root], ("one",))
    is_in_sync(shop, other_server, [shop.root], ("one",))
