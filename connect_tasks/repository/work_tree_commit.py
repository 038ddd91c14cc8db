"""The commit that `git add --all && git commit` would make, in a repository that is not the user's."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ..process import Completed
from .git import Git
from .git_messages import failed

#: Rules that stand in the user's git directory, not in the work tree.
_RULES = ("exclude", "attributes")
_WHO = {"AUTHOR", "COMMITTER"}


def commit_work_tree(git: Git, bare: Path, *, message: str) -> str:
    """Commit the work tree of `git` (what is ignored stays out) on its HEAD, with the objects and the index of `bare`,
    which holds HEAD already -> the commit. In the user's repository nothing is written. Raises `GitFailed`."""
    for name in _RULES:
        rules = git.common_dir / "info" / name
        if rules.is_file():
            (bare / "info").mkdir(exist_ok=True)
            shutil.copyfile(rules, bare / "info" / name)
    head = git.resolve("HEAD")
    with tempfile.TemporaryDirectory(prefix="connect-tasks-") as scratch:
        place = {"GIT_DIR": str(bare), "GIT_WORK_TREE": str(git.root), "GIT_INDEX_FILE": str(Path(scratch, "index"))}
        who = {f"GIT_{role}_{what}": text for role in _WHO for what, text in (("NAME", "-"), ("EMAIL", "-"))}

        def run(*arguments: str) -> Completed:
            done = git.run(*arguments, env={**place, **who})
            if not done.ok:
                raise failed(done)
            return done

        run("read-tree", head or "--empty")
        run("add", "--all", "--", ".")
        tree = git.line(run("write-tree"))
        parents = ("-p", head) if head else ()
        return git.line(run("commit-tree", tree, *parents, "-m", message))
