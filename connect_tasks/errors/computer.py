"""9xx: this computer, and this run."""

from __future__ import annotations

from .problem import Problem


class CommandTimedOut(Problem):
    """A program we started did not end within its limit.

    Why: it waits for an answer at a prompt, for the network, or it hangs.

    Next: run the command that is named by hand and see what it waits for; limits are keys of the configuration.
    """

    code = "CT900"


class CommandMissing(Problem):
    """A program we need is not installed.

    Why: git, uv, or what your own configuration names is not on PATH.

    Next: install it, and see with `command -v NAME` that it is found.
    """

    code = "CT901"


class ReportUnwritten(Problem):
    """A report could not be written; what was done is done.

    Why: the directory does not exist, is not yours, or the disk is full.

    Next: name another file; the run itself need not be repeated.
    """

    code = "CT902"


class EmulatorMissing(Problem):
    """The local Connect server's libraries are not installed, or it did not start.

    Why: they are an extra, since a release to a real server does not need them.

    Next: `pip install 'connect-tasks[emulator]'`.
    """

    code = "CT903"


class RunTooLong(Problem):
    """The whole run took longer than `run_timeout`.

    Why: something hangs. What the stages say is done is done.

    Next: run the same command again: it goes on where this one stopped; or raise `run_timeout`.
    """

    code = "CT904"


class FileUnwritten(Problem):
    """`init` could not write a file.

    Why: the directory or the file is not ours to write, or the disk is full. Files named before it are written.

    Next: make it writable and run `init` again: it writes what is missing.
    """

    code = "CT905"


class NoScratch(Problem):
    """There is no directory for temporary files, or no room in it.

    Why: the candidate is exported and its environments are made there; TMPDIR may name a directory that is gone.

    Next: make room, or point TMPDIR to a directory that can be written.
    """

    code = "CT906"


class ComputerRefused(Problem):
    """The computer refused: no room, no right to write, no more open files. Its own words are in the message.

    Why: a full disk, somebody else's files, or a limit of the system.

    Next: what the hint says; then run the same command again: it goes on where this one stopped.
    """

    code = "CT907"


class Interrupted(Problem):
    """Ctrl-C, or a CI system's cancel.

    Why: somebody wanted it so. Children have ended, and nothing is half written.

    Next: run the same command again: it goes on where this one stopped.
    """

    code = "CT990"
    exit_code = 130


class InternalError(Problem):
    """A fault of ours.

    Why: we did not foresee what happened.

    Next: run again with CONNECT_TASKS_DEBUG=1 and report the traceback, which is redacted.
    """

    code = "CT999"
