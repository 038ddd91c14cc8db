"""The files of a work tree that git has, or would take: also where there is no repository yet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import process
from ..errors import CommandMissing, NotARepository
from ..repository.git import Git
from ..repository.git_environment import git_environment
from ..repository.git_messages import failed

#: What a new repository ignores; also what is looked past where there is none yet.
GITIGNORE = """\
# Python
__pycache__/
*.py[cod]
*.egg-info/
.venv/
venv/
env/
.nox/
.tox/
.pytest_cache/
.mypy_cache/
.ruff_cache/
.ipynb_checkpoints/
# values and secrets of this computer
.env
.env.*
.DS_Store
# the local Connect server of `serve`
.connect-server/
"""
#: Larger files are not looked into: no source or configuration written by people is.
LARGEST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class WorkFiles:
    """`paths` are POSIX, relative to `root`, sorted: what is tracked, or neither tracked nor ignored. `git` None: there
    is no repository."""

    root: Path
    git: Git | None
    paths: tuple[str, ...]

    def read(self, path: str) -> str | None:
        """A file's text as it stands on disk; None where there is none, or none that can be read."""
        try:
            content = (self.root / path).read_bytes()
        except OSError:
            return None
        return content.decode("utf-8", "replace") if len(content) <= LARGEST else ""

    def ignored(self, path: str) -> bool:
        """Whether a file lies there that git would not take."""
        return path not in self.paths and (self.root / path).is_file()


def find_work_files(directory: Path, environ: Mapping[str, str]) -> WorkFiles:
    """Those of the repository around `directory`; of `directory` itself where there is none.

    Raises `RepositoryUntrusted`, `CommandMissing`.
    """
    try:
        git = Git.discover(directory, environ)
    except NotARepository:
        return WorkFiles(root=directory.resolve(), git=None, paths=_without_repository(directory, environ))
    listed = git.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", env=_QUIET)
    if not listed.ok:
        raise failed(listed)
    return WorkFiles(root=git.root, git=git, paths=_present(listed, git.root))


_QUIET = {"GIT_OPTIONAL_LOCKS": "0"}


def _without_repository(directory: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """git itself lists them, with an empty repository elsewhere: its rules of ignoring are nobody else's."""
    with tempfile.TemporaryDirectory(prefix="connect-tasks-") as scratch:
        env = {**git_environment(environ, {}), "GIT_DIR": f"{scratch}/git", "GIT_WORK_TREE": str(directory.resolve())}
        ignore = Path(scratch, "ignore")
        ignore.write_text(GITIGNORE, encoding="utf-8")
        made = process.run(["git", "init", "--quiet"], cwd=directory, env=env, timeout=60)
        if not made.ok:
            raise CommandMissing(f"git init does not work: {made.error_text.strip()}", hint="install git 2.30 or later")
        argv = ["git", "ls-files", "-z", "--others", "--exclude-standard", f"--exclude-from={ignore}"]
        listed = process.run(argv, cwd=directory, env=env, timeout=60)
    if not listed.ok:
        raise failed(listed)
    return _present(listed, directory)


def _present(listed: process.Completed, root: Path) -> tuple[str, ...]:
    names = {os.fsdecode(name) for name in listed.stdout.split(b"\0")[:-1]}
    return tuple(sorted(name for name in names if (root / name).is_file()))
