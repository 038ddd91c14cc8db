"""Clones with a user's unfinished work in them, ready to be released: what there is before, and what must be after.

A `State` is told without ids that change from run to run (commits, bundles), so that two runs can be compared; what is
generated is a function of what is released, so trees and files are compared by content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connect_tasks.atomic_file import PREFIX as HALF_WRITTEN
from connect_tasks.emulator import Running

from ..pipeline.conftest import BARE_APP, BARE_TEST, Workshop, make_workshop

PAGE = '[tool.connect-tasks]\npath = "app"\ncontent_name = "NAME"\nmode = "html"\nentrypoint = "index.html"\n'
WSGI = '[tool.connect-tasks]\npath = "app"\ncontent_name = "NAME"\nmode = "flask"\nentrypoint = "app:app"\n'
VERIFY = 'verify = { contains = "version" }\n'
GENERATED = ("app/manifest.json", "app/requirements.txt")
#: In the environment of each run, and nowhere else: it must never be seen again.
CANARY = "canary-7c0ffee5-of-the-variable"
#: Files of git's that say nothing: when something was done, or what was on its way.
FLEETING = re.compile(r"^(objects|logs)/|^(FETCH_HEAD|ORIG_HEAD|COMMIT_EDITMSG|index|gitk\.cache|packed-refs)$|^refs/")


#: The file by which `tempfile` finds out, for some 50 microseconds, whether it may write somewhere. It is Python's own.
PROBE = re.compile(r"[a-z0-9_]{8}")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A kind of release. `new`: each run is the first of a new item; else versions A and B take turns."""

    name: str
    table: str
    new: bool = False
    arguments: tuple[str, ...] = ()
    polled: bool = False  # somebody switches polling on before each run
    raced: bool = False  # somebody pushes another app's file before each run
    settles: bool = True  # the run puts a version live


SCENES = {
    scene.name: scene
    for scene in (
        Scene(name="update", table=PAGE + VERIFY),
        Scene(
            name="first",
            table=PAGE + VERIFY + 'vanity = "/NAME/"\ntitle = "A title"\nenv = ["SECRET_VALUE"]\n',
            new=True,
        ),
        Scene(name="deploy branch", table=PAGE + VERIFY + 'deploy_branch = "deploy/page"\n'),
        Scene(name="tag", table=PAGE + VERIFY + 'tag = "page-v{number}"\n'),
        Scene(name="polled", table=PAGE + VERIFY, polled=True),
        Scene(name="lost race", table=PAGE + VERIFY, raced=True),
        Scene(name="python", table=WSGI + VERIFY),
        Scene(name="pull request", table=PAGE + VERIFY, arguments=("--pull-request",), settles=False),
    )
}


@dataclass(kw_only=True)
class Stage:
    """A scene that is set: a clone, its item on the server, and a private TMPDIR."""

    scene: Scene
    shop: Workshop
    scratch: Path
    letter: str = "A"
    base: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    # what a user does -------------------------------------------------------------------------------------------------

    def next_version(self) -> None:
        """The user commits the other version, and leaves everything else that they have in hand as it is."""
        self.letter = "B" if self.letter == "A" else "A"
        shop = self.shop
        if self.scene.raced:
            shop.git("pull", "--quiet", "--ff-only", "origin", "main")
        for path, text in files_of(self.scene, self.letter).items():
            shop.write(path, text)
        shop.git("commit", "--quiet", "--message", f"version {self.letter}", "--", *files_of(self.scene, self.letter))
        self.base = shop.git("rev-parse", "HEAD^")
        if self.scene.name == "python":  # else the tests of this very tree are on record
            for record in (shop.root / ".git/connect-tasks/evidence").glob("*.json"):
                record.unlink()
        if self.scene.raced:
            shop.git("push", "--quiet", "origin", "main")
            push_beside(shop)
        if self.scene.polled:
            guid = self.item()["guid"]
            call(shop, "PATCH", f"__api__/v1/content/{guid}/repository", {"polling": True})
        self.seen = {"bundles": set(self.bundles()), "requests": total(shop), "remote": self.remote_refs()}

    # what there is ----------------------------------------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """Of the server: those of this clone's name."""
        found = call(self.shop, "GET", f"__api__/v1/content?name={self.shop.name}")
        return [item for item in found if item["name"] == self.shop.name]

    def item(self) -> dict[str, Any]:
        (item,) = self.items()
        return item

    def bundles(self) -> dict[str, str]:
        """Bundle -> commit."""
        return {
            bundle["id"]: bundle["metadata"]["source_commit"]
            for item in self.items()
            for bundle in call(self.shop, "GET", f"__api__/v1/content/{item['guid']}/bundles")
        }

    def remote_refs(self) -> dict[str, str]:
        listed = git_in(self.shop.bare, "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split(" ", 1) for line in listed.splitlines())

    def users_work(self) -> dict[str, object]:
        """All that must not change, whatever happens: index, work tree, stash and settings, but for our own files."""
        shop = self.shop
        index = [line for line in shop.git("ls-files", "--stage").splitlines() if not line.endswith(GENERATED)]
        return {
            "index": index,
            "files": {
                path: digest
                for path, digest in files_in(shop.root).items()
                if path not in GENERATED and not path.rpartition("/")[2].startswith(HALF_WRITTEN)
            },
            "stash": shop.git("rev-parse", "refs/stash"),
            "branch": shop.git("symbolic-ref", "HEAD"),
            "config": (shop.root / ".git/config").read_bytes(),
            "global config": Path(shop.environ["GIT_CONFIG_GLOBAL"]).read_bytes(),
        }

    def state(self) -> dict[str, object]:
        """What a run has come to, told without ids that change."""
        shop = self.shop
        refs = shop.git("for-each-ref", "--format=%(refname)").splitlines()
        state: dict[str, object] = {
            "commits": shop.git("log", "--format=%s %(trailers:only,keyonly)", f"{self.base}..HEAD").splitlines(),
            "app": shop.git("ls-tree", "-r", "HEAD", "app").splitlines(),
            "refs": sorted({re.sub(r"\d+", "N", ref) for ref in refs}),
            "status": shop.git("status", "--porcelain", "--untracked-files=all").splitlines(),
            "git": sorted({settled(path) for path in files_in(shop.root / ".git") if not FLEETING.match(path)}),
            "scratch": sorted(path.name for path in self.scratch.rglob("*") if not PROBE.fullmatch(path.name)),
        }
        head, new = shop.head, self.seen["remote"]
        remote = self.remote_refs()
        state["remote"] = {
            re.sub(r"\d+", "N", ref): git_in(
                shop.bare, "log", "--format=%s", *([f"{new[ref]}..{tip}"] if ref in new else ["-1", tip])
            ).splitlines()
            for ref, tip in remote.items()
            if new.get(ref) != tip
        }
        if not self.scene.settles:
            return state
        item = self.item()
        bundles = {bundle: commit for bundle, commit in self.bundles().items() if bundle not in self.seen["bundles"]}
        tips = {head, *remote.values()}
        link = call(shop, "GET", f"__api__/v1/content/{item['guid']}/repository")
        state["server"] = {
            "bundles": [commit in tips for commit in bundles.values()],
            "live is new": item["bundle_id"] in bundles,
            "title": item["title"] if self.scene.new else None,
            "variables": call(shop, "GET", f"__api__/v1/content/{item['guid']}/environment"),
            "link": (link["branch"], link["directory"], link["polling"]),
            "page": self.page(),
        }
        return state

    def page(self) -> str:
        return self.shop.page(f"{self.shop.server.url}/content/{self.item()['guid']}/")

    def deploys(self) -> int:
        """Deploys and bundles that the server was asked for and took, since the version was committed."""
        log = call(self.shop, "GET", "__emulator__/requests")["requests"]
        guids = {item["guid"] for item in self.items()}
        return sum(
            entry["number"] > self.seen["requests"]
            and entry["method"] == "POST"
            and entry["status"] == 202
            and any(guid in entry["path"] for guid in guids)
            for entry in log
        )


def set_stage(scene: Scene, server: Running, place: Path, home: Path) -> Stage:
    """A clone in which a user is in the middle of things; except for `new`, its first version is live."""
    place.mkdir(parents=True)
    shop = make_workshop(server, place, home, scene.name)
    scratch = place / "tmp"
    scratch.mkdir()
    shop.environ |= {"TMPDIR": str(scratch), "SECRET_VALUE": CANARY, "CONNECT_TASKS_TEST": str(place)}
    for name in ("app.py", "test_app.py", "requirements.in", ".python-version"):
        (shop.root / name).unlink()
    shop.write("pyproject.toml", scene.table.replace("NAME", shop.name))
    shop.write(".gitignore", "__pycache__/\nignored.txt\n")
    for path, text in files_of(scene, "A").items():
        shop.write(path, text)
    for name in ("staged", "edited", "both", "gone", "stashed"):
        shop.write(f"notes/{name}.txt", "as committed\n")
    shop.commit("version A")
    work_on(shop)
    stage = Stage(scene=scene, shop=shop, scratch=scratch)
    stage.base = shop.git("rev-parse", "HEAD^")
    stage.seen = {"bundles": set(), "requests": total(shop), "remote": stage.remote_refs()}
    if not scene.new:
        ran = shop.run("release")
        assert ran.status == 0, ran.said
    return stage


def files_of(scene: Scene, letter: str) -> dict[str, str]:
    if scene.name != "python":
        return {"app/index.html": f"version {letter}"}
    return {
        "app/app.py": BARE_APP.replace("version 1", f"version {letter}"),
        "app/test_app.py": BARE_TEST.replace("version 1", f"version {letter}"),
        "app/requirements.in": "",
        "app/.python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n",
    }


def work_on(shop: Workshop) -> None:
    """Things in hand: staged, not staged, both, deleted, untracked, ignored and stashed."""
    shop.write("notes/stashed.txt", "put away\n")
    shop.git("stash", "push", "--quiet")
    shop.write("notes/staged.txt", "staged\n")
    shop.write("notes/both.txt", "staged\n")
    shop.git("add", "notes")
    shop.write("notes/both.txt", "and edited\n")
    shop.write("notes/edited.txt", "edited\n")
    shop.write("notes/untracked.txt", "untracked\n")
    shop.write("app/ignored.txt", "ignored\n")
    (shop.root / "notes/gone.txt").unlink()


def push_beside(shop: Workshop) -> None:
    """Somebody else's commit on the remote's branch, of files that are none of the app's."""
    blob = git_in(shop.bare, "hash-object", "-w", "--stdin", input=os.urandom(8).hex())
    tree = git_in(shop.bare, "ls-tree", "main", "elsewhere/")
    made = git_in(shop.bare, "mktree", input=f"100644 blob {blob}\tother.txt\n")
    listed = git_in(shop.bare, "ls-tree", "main").splitlines()
    kept = [line for line in listed if not line.endswith("\telsewhere")]
    assert tree or len(kept) == len(listed)
    whole = git_in(shop.bare, "mktree", input="\n".join([*kept, f"040000 tree {made}\telsewhere"]) + "\n")
    who = ("-c", "user.name=Bob", "-c", "user.email=bob@example.org")
    commit = git_in(shop.bare, *who, "commit-tree", "-p", "main", "-m", "beside", whole)
    git_in(shop.bare, "update-ref", "refs/heads/main", commit)


def settled(path: str) -> str:
    """A file below .git by its kind: evidence and journals are named by content."""
    return re.sub(r"[0-9a-f]{32}", "ID", path)


def files_in(root: Path) -> dict[str, str]:
    """Path -> digest of its content, without git's own directory."""
    found = {}
    for directory, names, files in os.walk(root):
        if ".git" in names:
            names.remove(".git")
        for name in files:
            path = Path(directory, name)
            content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            found[path.relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def git_in(repository: Path, *arguments: str, input: str | None = None) -> str:  # noqa: A002  # subprocess's own name
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], input=input, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def total(shop: Workshop) -> int:
    """How many requests the server has seen."""
    return int(call(shop, "GET", "__emulator__/requests")["total"])


def call(shop: Workshop, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{shop.server.url}/{path}", data=data, method=method)
    request.add_header("Authorization", f"Key {shop.server.api_key}")
    with urllib.request.urlopen(request) as answer:
        content = answer.read()
        return json.loads(content) if content else None
