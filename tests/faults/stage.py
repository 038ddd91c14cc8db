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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from connect_tasks.atomic_file import PREFIX as HALF_WRITTEN
from connect_tasks.emulator import Running

from ..pipeline.conftest import Workshop, make_workshop
from ..pipeline.hands import call
from .scenes import Scene, files_of

GENERATED = ("manifest.json", "requirements.txt")
#: In the environment of each run, and nowhere else: it must never be seen again.
CANARY = "canary-7c0ffee5-of-the-variable"
#: Files of git's that say nothing: when something was done, or what was on its way.
FLEETING = re.compile(r"^(objects|logs)/|^(FETCH_HEAD|ORIG_HEAD|COMMIT_EDITMSG|index|gitk\.cache|packed-refs)$|^refs/")
#: The file by which `tempfile` finds out, for some 50 microseconds, whether it may write somewhere. It is Python's own.
PROBE = re.compile(r"[a-z0-9_]{8}")


@dataclass(kw_only=True)
class Stage:
    """A scene that is set: a clone, its items on the server, and a private TMPDIR."""

    scene: Scene
    shop: Workshop
    there: Workshop  # the same, as seen by the server that the runs change
    scratch: Path
    letter: str = "A"
    base: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    # what a user does -------------------------------------------------------------------------------------------------

    def next_version(self) -> None:
        """The user commits the other version, and leaves everything else that they have in hand as it is."""
        self.letter = self.other_letter
        if not self.scene.back:
            self._commit_version()
        if self.scene.raced:
            self.shop.git("push", "--quiet", "origin", "main")
            push_beside(self.shop)
        if self.scene.polled:
            for item in self.items():
                call(self.there, "PATCH", f"__api__/v1/content/{item['guid']}/repository", {"polling": True})
        self.look()

    def _commit_version(self) -> None:
        shop, files = self.shop, files_of(self.scene, self.letter)
        if self.scene.raced:
            shop.git("pull", "--quiet", "--ff-only", "origin", "main")
        for path, text in files.items():
            shop.write(path, text)
        shop.git("commit", "--quiet", "--message", f"version {self.letter}", "--", *files)
        self.base = shop.git("rev-parse", "HEAD^")
        if "app/test_app.py" in files:  # else the tests of this very tree are on record
            for record in (shop.root / ".git/connect-tasks/evidence").glob("*.json"):
                record.unlink()

    def look(self) -> None:
        """Note what is there before a run."""
        self.seen = {"bundles": set(self.bundles()), "requests": total(self.there), "remote": self.remote_refs()}

    @property
    def other_letter(self) -> str:
        return "B" if self.letter == "A" else "A"

    def command(self, *, again: bool = False) -> tuple[str, ...]:
        """What is typed now. `again`: to finish what was typed before."""
        if not self.scene.back:
            return self.scene.run
        name, done = next(iter(self.scene.run)), self.was_rolled_back()
        # Without `--to` it goes back from B to A, and what is done already is done once more: that is no rerun.
        named = self.letter == "B" or (again and done)
        return (name, "--to", self.bundle_of(self.letter)) if named else (name,)

    def was_rolled_back(self) -> bool:
        """Whether the last rollback came to its end, as its journal has it."""
        journals = (self.shop.root / ".git/connect-tasks/journal").glob("*rollback*.json")
        found = [json.loads(path.read_text()) for path in journals]
        wanted = self.bundle_of(self.letter)
        return any(one["bundle"] == wanted and one["released"] for one in found)

    # what there is ----------------------------------------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """Of the server: those of this clone's apps, in their order."""
        names = [self.scene.content_name(app, self.shop.name) for app in self.scene.apps]
        found = [(name, call(self.there, "GET", f"__api__/v1/content?name={name}")) for name in names]
        return [item for name, listed in found for item in listed if item["name"] == name]

    def live(self) -> dict[str, str]:
        """Item -> its live bundle."""
        return {item["guid"]: item["bundle_id"] for item in self.items()}

    def bundles(self) -> dict[str, str]:
        """Bundle -> commit."""
        return {
            bundle["id"]: bundle["metadata"]["source_commit"]
            for item in self.items()
            for bundle in call(self.there, "GET", f"__api__/v1/content/{item['guid']}/bundles")
        }

    def bundle_of(self, letter: str) -> str:
        """The first that holds that version."""
        wanted = [
            bundle
            for bundle, commit in self.bundles().items()
            if git_in(self.shop.bare, "show", f"{commit}:{self.scene.apps[0]}/index.html") == f"version {letter}"
        ]
        return min(wanted, key=int)

    def may_be_live(self, bundle: str) -> bool:
        """Whether the run that is disturbed may put that bundle live."""
        if self.scene.back:
            return bundle == self.bundle_of(self.letter)
        return self.bundles()[bundle] in {self.shop.head, *self.remote_refs().values()}

    def remote_refs(self) -> dict[str, str]:
        listed = git_in(self.shop.bare, "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split(" ", 1) for line in listed.splitlines())

    def users_work(self) -> dict[str, object]:
        """All that must not change, whatever happens: index, work tree, stash and settings, but for our own files."""
        shop = self.shop
        ours = tuple(f"{app}/{name}" for app in self.scene.apps for name in GENERATED)
        index = [line for line in shop.git("ls-files", "--stage").splitlines() if not line.endswith(ours)]
        return {
            "index": index,
            "files": {
                path: digest
                for path, digest in files_in(shop.root).items()
                if path not in ours and not path.rpartition("/")[2].startswith(HALF_WRITTEN)
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
            "apps": shop.git("ls-tree", "-r", "HEAD", *self.scene.apps).splitlines(),
            "refs": sorted({re.sub(r"\d+", "N", ref) for ref in refs}),
            "status": shop.git("status", "--porcelain", "--untracked-files=all").splitlines(),
            "git": sorted({settled(path) for path in files_in(shop.root / ".git") if not FLEETING.match(path)}),
            "scratch": sorted(path.name for path in self.scratch.rglob("*") if not PROBE.fullmatch(path.name)),
        }
        before, remote = self.seen["remote"], self.remote_refs()
        state["remote"] = {
            re.sub(r"\d+", "N", ref): git_in(
                shop.bare, "log", "--format=%s", *([f"{before[ref]}..{tip}"] if ref in before else ["-1", tip])
            ).splitlines()
            for ref, tip in remote.items()
            if before.get(ref) != tip
        }
        if self.scene.settles:
            state["server"] = [self._state_of(item, {shop.head, *remote.values()}) for item in self.items()]
        return state

    def _state_of(self, item: Mapping[str, Any], tips: set[str]) -> dict[str, object]:
        """Of an item on the server."""
        place = f"__api__/v1/content/{item['guid']}"
        bundles = {one["id"]: one["metadata"]["source_commit"] for one in call(self.there, "GET", f"{place}/bundles")}
        new = [bundle for bundle in bundles if bundle not in self.seen["bundles"]]
        link = call(self.there, "GET", f"{place}/repository")
        return {
            "bundles": [bundles[bundle] in tips for bundle in new],
            "live is new": item["bundle_id"] in new,
            "title": item["title"] if self.scene.new else None,
            "variables": call(self.there, "GET", f"{place}/environment"),
            "link": (link["branch"], link["directory"], link["polling"]),
            "page": self.there.page(f"{self.there.server.url}/content/{item['guid']}/"),
        }

    def deploys(self) -> int:
        """Deploys and bundles that the server was asked for and took, since the version was committed."""
        log = call(self.there, "GET", "__emulator__/requests")["requests"]
        guids = {item["guid"] for item in self.items()}
        return sum(
            entry["number"] > self.seen["requests"]
            and entry["method"] == "POST"
            and entry["status"] == 202
            and any(guid in entry["path"] for guid in guids)
            for entry in log
        )


def set_stage(scene: Scene, server: Running, place: Path, home: Path, other: Running | None = None) -> Stage:
    """A clone in which a user is in the middle of things; except for `new`, its first version is live.

    `other`: the server of a scene that goes live elsewhere.
    """
    place.mkdir(parents=True)
    shop = make_workshop(server, place, scene.name)
    scratch = place / "tmp"
    scratch.mkdir()
    shop.environ |= {"TMPDIR": str(scratch), "SECRET_VALUE": CANARY, "CONNECT_TASKS_TEST": str(place)}
    shop.environ["CONNECT_TASKS_CACHE"] = str(home.parent / "cache")  # what dies may take its cache along
    for name in ("app.py", "test_app.py", "requirements.in", ".python-version"):
        (shop.root / name).unlink()
    there = replace(shop, server=other) if other else shop
    table = scene.table.replace("NAME", shop.name).replace("THERE", there.server.url).replace("HERE", server.url)
    shop.write("pyproject.toml", table)
    shop.write(".gitignore", "__pycache__/\nignored.txt\n")
    for path, text in files_of(scene, "A").items():
        shop.write(path, text)
    for name in ("staged", "edited", "both", "gone", "stashed"):
        shop.write(f"notes/{name}.txt", "as committed\n")
    shop.commit("version A")
    work_on(shop)
    stage = Stage(scene=scene, shop=shop, there=there, scratch=scratch)
    stage.base = shop.git("rev-parse", "HEAD^")
    stage.look()
    if scene.back:
        succeed(stage, "release")
        stage.letter = "B"
        stage._commit_version()
        succeed(stage, "release")
    elif not scene.new:
        succeed(stage, *scene.first)
        succeed(stage, *scene.run)
    return stage


def succeed(stage: Stage, *arguments: str) -> None:
    if arguments:
        ran = stage.shop.run(*arguments)
        assert ran.status == 0, ran.said


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
