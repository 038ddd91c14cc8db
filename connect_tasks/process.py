"""The one door through which programs are started.

Every child gets a session of its own (nox ends its children within half a second, and a `git commit` that dies so keeps
its lock), no terminal, and files instead of pipes for its output: a hook that leaves a background child behind would
hold a pipe open, and us with it, for as long as that child lives.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import CommandMissing, CommandTimedOut
from .interrupts import uninterrupted

#: Seconds between TERM and KILL for a group that is told to end.
GRACE = 3.0
#: How much nicer what steps back is than we are: a busy processor gives it a tenth of what it gives the others.
BACK = 10
#: Seconds between two looks at what a program has said, and at whether it is still wanted.
LOOK_UP = 0.05


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a program left: its exit status (negative for a signal), and its two streams, never merged."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


class Stopped(Exception):
    """A program was ended since nobody wants its result any more. Never leaves the thread that was told so."""


_stops: ContextVar[tuple[threading.Event, ...]] = ContextVar("stops", default=())


@contextlib.contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """What is run meanwhile, by this thread and by those that are given its context, is ended once `stop` is set; `run`
    raises `Stopped` then. Within another block of this kind either will do."""
    token = _stops.set((*_stops.get(), stop))
    try:
        yield
    finally:
        _stops.reset(token)


def stopped() -> bool:
    """Whether nobody wants any more what this thread does."""
    return any(stop.is_set() for stop in _stops.get())


#: Descriptors that every program gets.
_inherited: set[int] = set()


@contextlib.contextmanager
def inherited(descriptor: int) -> Iterator[None]:
    """Whatever is run meanwhile has the descriptor too: a lock on it is held until the last of them has ended, should
    we be killed before."""
    _inherited.add(descriptor)
    try:
        yield
    finally:
        _inherited.discard(descriptor)


_back: ContextVar[bool] = ContextVar("back", default=False)


@contextlib.contextmanager
def stepped_back() -> Iterator[None]:
    """What is run meanwhile, by this thread and by those that are given its context, leaves the processor to our other
    programs where there is not enough of it for all: the run waits for those."""
    token = _back.set(True)
    try:
        yield
    finally:
        _back.reset(token)


def child_environment(environ: Mapping[str, str], **changes: str | None) -> dict[str, str]:
    """`environ` for a child: bytecode may be written (without it each pytest run compiles again, 0.7 s against 0.3 s),
    `changes` laid over, None removes."""
    env = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    input: bytes | None = None,  # noqa: A002  # subprocess's own name for it
    on_line: Callable[[str], None] | None = None,
    output: IO[bytes] | None = None,
) -> Completed:
    """Run a program to its end; a status other than zero is a result, not an exception.

    `timeout` is in seconds; then the whole group is ended and `CommandTimedOut` raised. `on_line` gets the lines of
    both streams as they come, for people to watch. `output` is a file that takes stdout instead of `Completed.stdout`,
    for what may be larger than memory. Raises `CommandMissing` when the program does not exist.
    """
    args = tuple(os.fspath(part) for part in argv)
    with (
        contextlib.nullcontext(output) if output else tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _stdin(input) as stdin,
    ):
        child: subprocess.Popen[bytes] | None = None
        try:
            with uninterrupted():  # one that has started and is not known yet would be nobody's to end
                child = _start(args, cwd, env, stdin, out, err)
            _wait(child, timeout, (_Follower(out, on_line), _Follower(err, on_line)) if on_line else ())
        except BaseException as error:
            if child is not None:
                end_group(child)
            if isinstance(error, subprocess.TimeoutExpired):
                name = " ".join(Path(args[0]).name if index == 0 else part for index, part in enumerate(args[:2]))
                raise CommandTimedOut(f"{name} did not end within {timeout:g} s and was stopped") from None
            raise
        finally:
            if child is not None:
                _running.discard(child)
        said, complained = b"" if output else _content(out), _content(err)
        if child.returncode != 0 and not said + complained:
            _require_room(err)
        return Completed(argv=args, status=child.returncode, stdout=said, stderr=complained)


def _start(
    args: tuple[str, ...], cwd: Path, env: Mapping[str, str], stdin: IO[bytes] | int, out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program, and know of it. Raises `CommandMissing`."""
    try:
        child = subprocess.Popen(  # the argv is ours, never a shell string
            args,
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=() if sys.platform == "win32" else tuple(_inherited),
        )
    except FileNotFoundError as error:
        if not cwd.is_dir():
            message = f"the directory {cwd} does not exist"
            raise CommandMissing(message, hint="run the command in the repository") from error
        raise CommandMissing(f"{args[0]} is not installed", hint=f"install {Path(args[0]).name}") from error
    except PermissionError as error:
        raise CommandMissing(f"{args[0]} may not be executed: {error.strerror}", hint=f"ls -l {args[0]}") from error
    _running.add(child)
    if _back.get():
        _step_back(child.pid)
    return child


def _require_room(file: IO[bytes]) -> None:
    """A program that failed without a word may have found no room for it. Raises OSError then."""
    try:
        os.write(file.fileno(), bytes(1 << 12))  # not through its buffer, which would fail again when it is closed
    except OSError as error:
        raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from None


def _step_back(session: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # a system without, or it has ended
        os.setpriority(os.PRIO_PGRP, session, os.getpriority(os.PRIO_PROCESS, 0) + BACK)
    # Where Linux shares the processor out among sessions first, the niceness of processes counts within theirs alone.
    with contextlib.suppress(OSError):
        Path(f"/proc/{session}/autogroup").write_text(str(BACK), encoding="ascii")


#: Programs that are at work now, in whatever thread.
_running: set[subprocess.Popen[bytes]] = set()


def end_running() -> None:
    """End what other threads have started: an interrupt reaches the main thread only."""
    for child in tuple(_running):
        end_group(child)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child's whole session: TERM, a grace, KILL. A git told to end removes its own lock files. A second
    interrupt ends the grace."""
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # grandchildren too, which may outlive their parent
        child.wait()


class _Follower:
    """Reads a growing file and hands on its whole lines."""

    def __init__(self, file: IO[bytes], on_line: Callable[[str], None]) -> None:
        self._descriptor = file.fileno()
        self._on_line = on_line
        self._offset = 0
        self._rest = b""

    def follow(self, *, last: bool = False) -> None:
        while chunk := os.pread(self._descriptor, 1 << 16, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._on_line(line.decode("utf-8", "replace"))
        if last and self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""


def _wait(child: subprocess.Popen[bytes], timeout: float, followers: tuple[_Follower, ...]) -> None:
    deadline = time.monotonic() + timeout
    step = LOOK_UP if followers or _stops.get() else timeout
    with _end_of(child) as ended_within:
        while not ended_within(max(0.0, min(deadline - time.monotonic(), step))):
            for follower in followers:
                follower.follow()
            if stopped():
                raise Stopped
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(child.args, timeout)
    for follower in followers:
        follower.follow(last=True)


@contextlib.contextmanager
def _end_of(child: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """A question to ask: has the child ended within so many seconds?

    `Popen.wait(timeout)` sleeps in steps that double up to 50 ms, which rounds a git call of 5 ms up to 8 and one of 60
    up to 100; a process descriptor wakes us at once where the system has them.
    """
    try:
        descriptor = os.pidfd_open(child.pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3

        def ended_within(seconds: float) -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
            return child.returncode is not None

        yield ended_within
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)

        def ended_within(seconds: float) -> bool:
            if not poll.poll(seconds * 1000):
                return False
            child.wait()
            return True

        yield ended_within
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _stdin(content: bytes | None) -> Iterator[IO[bytes] | int]:
    if content is None:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
