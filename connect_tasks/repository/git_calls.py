"""How git is called, through GitPython where that is safe.

GitPython runs what only reads the repository (`Repo.git.execute`). What may run the user's hooks, filters or signer,
needs input, or talks to a remote, goes through `process.run` instead: GitPython waits for a hook's background child as
long as it holds the pipe, and has no limit of time that works without `ps`. Its index, commit and push are never used:
they skip hooks and signing, and a rejected push returns normally.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING

from .. import process
from ..errors import CommandMissing
from .git_environment import LOCATING, git_environment, without_a_terminal
from .git_messages import failed, no_repository

if TYPE_CHECKING:
    from git import Repo
    from typing_extensions import Self

#: Seconds for a call that neither runs hooks nor talks to a remote; a clean filter or a lazy fetch may be slow, a stuck
#: one must end.
LOCAL_TIMEOUT = 120.0
#: Seconds for one exchange with a remote that only reads.
REMOTE_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class GitCalls:
    """One repository. Stateless between calls, so that threads may share it.

    Paths given and returned are POSIX and relative to `root`, the top of the work tree, unless said otherwise;
    `directory` is such a path, "." for the root. Failures that a person can mend are `Problem`s; `GitFailed` carries
    git's own words.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    environ: Mapping[str, str]  # of every call: see git_environment
    located: Mapping[str, str]  # GIT_DIR and GIT_WORK_TREE where the user gave them, else empty
    turn: Lock = field(default_factory=Lock, repr=False, compare=False)  # of GitPython's standing processes

    @classmethod
    def discover(cls, path: Path, environ: Mapping[str, str], config: Mapping[str, str] | None = None) -> Self:
        """The repository whose work tree holds `path`.

        `config` holds extra settings for every call (such as `http.<url>.extraHeader`); they travel by environment,
        never by argument list.
        Raises NotARepository, RepositoryUntrusted, CommandMissing.
        """
        env = git_environment(environ, config or {})
        located = _given_repository(path, environ)
        asked = ["git", "rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir"]
        found = process.run(asked, cwd=path, env={**env, **located}, timeout=LOCAL_TIMEOUT)
        if not found.ok:
            raise no_repository(path, found.error_text)
        top, git_dir, common_dir = (os.fsdecode(line) for line in found.stdout.removesuffix(b"\n").split(b"\n"))
        return cls(
            root=Path(top),
            git_dir=Path(git_dir),
            common_dir=Path(os.path.normpath(path / common_dir)),
            environ={**env, **located},
            located=located,
        )

    def with_environ(self, **changes: str) -> Self:
        """The same repository, with these variables laid over in every call."""
        return replace(self, environ={**self.environ, **changes}, turn=Lock())

    def close(self) -> None:
        """End GitPython's standing processes: a problem's traceback would keep them as long as it is kept itself."""
        if "_repo" in self.__dict__:
            self._repo.close()

    # running git ------------------------------------------------------------------------------------------------------

    @cached_property
    def _repo(self) -> Repo:
        try:
            from git import Repo
        except ImportError as error:
            if isinstance(error.__cause__, OSError):  # the import starts git, for which there may be no room
                raise error.__cause__ from None
            raise CommandMissing("git is not installed", hint="install git 2.30 or later") from error
        repo = Repo(self.git_dir if self.located else self.root, expand_vars=False)
        repo.git.update_environment(**self._environ_to_read)
        return repo

    @cached_property
    def _environ_to_read(self) -> dict[str, str]:
        return {**self._pinned, **self.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a status must not rewrite the user's index

    def ask(self, *args: str) -> process.Completed:
        """Run a git command that reads local data only; its status is a result."""
        argv = ["git", *args]
        status, out, err = self._repo.git.execute(
            argv,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
        return process.Completed(argv=tuple(argv), status=int(status), stdout=bytes(out), stderr=str(err).encode())

    def run(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002  # subprocess's own name for it
        timeout: float = LOCAL_TIMEOUT,
        output: IO[bytes] | None = None,
        env: Mapping[str, str | None] | None = None,
    ) -> process.Completed:
        """Run a git command that may run programs of the user's, or needs input; its status is a result. `env` is laid
        over, None removes."""
        environ = process.child_environment(self.environ, **(env or {}))
        return process.run(["git", *args], cwd=self.root, env=environ, timeout=timeout, input=input, output=output)

    def run_remote(
        self,
        *args: str,
        timeout: float = REMOTE_TIMEOUT,
        input: bytes | None = None,  # noqa: A002  # as in run
        env: Mapping[str, str | None] | None = None,
    ) -> process.Completed:
        """Run a git command that talks to a remote, within `timeout` seconds; its status is a result."""
        own = self.setting("core.sshCommand") is not None
        environ = without_a_terminal(process.child_environment(self.environ, **(env or {})), own_ssh_command=own)
        return process.run(["git", *args], cwd=self.root, env=environ, timeout=timeout, input=input)

    def line(self, completed: process.Completed) -> str:
        """The single line that a command had to answer. Raises GitFailed when the command failed."""
        if not completed.ok:
            raise failed(completed)
        return os.fsdecode(completed.stdout.removesuffix(b"\n"))

    @cached_property
    def _pinned(self) -> dict[str, str]:
        """GitPython starts from this process's environment: what a hook put there is overruled by the same values
        spelled out."""
        values = {
            "GIT_DIR": self.git_dir,
            "GIT_WORK_TREE": self.root,
            "GIT_INDEX_FILE": self.git_dir / "index",
            "GIT_COMMON_DIR": self.common_dir,
            "GIT_OBJECT_DIRECTORY": self.common_dir / "objects",
        }
        if not any(name in os.environ for name in LOCATING):
            return {}
        return dict.fromkeys(set(LOCATING) & set(os.environ), "") | {name: str(value) for name, value in values.items()}

    @cached_property
    def settings(self) -> dict[str, str | None]:
        """git's configuration, as of the first question; None for a key without a value, which means true."""
        listed = self.run("config", "--list", "-z").stdout.split(b"\0")[:-1]  # without GitPython: 95 ms to import
        pairs = (os.fsdecode(entry).partition("\n") for entry in listed)
        return {name: value if newline else None for name, newline, value in pairs}

    def setting(self, name: str) -> str | None:
        """A value of git's configuration; section and variable are of any case."""
        section, rest, variable = name.partition(".")[0], name.partition(".")[2], name.rpartition(".")[2]
        subsection = rest.removesuffix(variable)
        return self.settings.get(f"{section.lower()}.{subsection}{variable.lower()}")

    def flag(self, name: str) -> bool:
        """A setting that is true or false, by git's own reading of it; false when unset."""
        section, _, variable = name.lower().partition(".")
        value = self.settings.get(f"{section}.{variable}", "false")
        return (
            value is None
            or value.lower() in {"true", "yes", "on"}
            or (value.lstrip("+-").isdigit() and int(value) != 0)
        )


def _given_repository(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """GIT_DIR with GIT_WORK_TREE, where that work tree holds `path`: a bare repository used beside its files. A GIT_DIR
    alone is what hooks see: ignored."""
    git_dir, work_tree = environ.get("GIT_DIR"), environ.get("GIT_WORK_TREE")
    if git_dir and work_tree and path.resolve().is_relative_to(Path(work_tree).resolve()):
        return {"GIT_DIR": str(Path(git_dir).absolute()), "GIT_WORK_TREE": str(Path(work_tree).resolve())}
    return {}
