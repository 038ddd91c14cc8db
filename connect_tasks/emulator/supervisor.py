"""Runs one program and leaves nothing of it behind, whatever ends it or us.

main([GRACE, PROGRAM, ARGUMENT...]) in a Python of its own, standard library only. Standard input is a lifeline: its
other end is in the server alone, so it reads end-of-file when the server ends, even by kill -9, and then every
descendant is killed. A byte on it, or a SIGTERM to us, asks the program to end and kills what is left after GRACE
seconds. Returns the program's exit code, or 128 + signal where a signal ended it. On Linux descendants that daemonise
are found too, because orphans come back to us (subreaper); elsewhere only the program's process group is.

Every start waits for ours: what `signal` and `contextlib` import would make it half as long again.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # typeshed knows it under its public name alone
import ctypes
import os
import select
import sys
import time

LIFELINE = 0
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")


def main(argv: list[str]) -> int:
    grace, program = float(argv[0]), argv[1:]
    # Handlers come before the fork: a child that ended at once would otherwise never be noticed.
    wakeup = open_wakeup()
    asked_to_end: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    libc = ctypes.CDLL(None) if LINUX else None
    if libc is not None:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = start(program, libc)
    code = watch(child, wakeup, asked_to_end, grace)
    killed = kill_descendants(child)
    return killed if code is None else code


def open_wakeup() -> int:
    """The read end of a pipe that gets a byte at every signal, so that select() misses none."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def start(argv: list[str], libc: ctypes.CDLL | None) -> int:
    supervisor = os.getpid()
    child = os.fork()
    if child:
        try:  # noqa: SIM105
            os.setpgid(child, child)
        except OSError:  # the child does it too: whoever comes first
            pass
        return child
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != supervisor:  # it died before the line above could tell us
                os._exit(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, LIFELINE)  # the program must not hold our lifeline
        os.close(nothing)
        os.execvp(argv[0], argv)  # noqa: S606  no shell: that is meant
    except OSError as exc:
        os.write(2, f"{argv[0]}: {exc.strerror}\n".encode())
    os._exit(127)


def watch(child: int, wakeup: int, asked_to_end: list[int], grace: float) -> int | None:
    """Wait for the program; its exit code, or None when it has to be killed."""
    deadline: float | None = None
    while True:
        code, _ = reap(child)
        if code is not None:
            return code
        if asked_to_end and deadline is None:
            deadline = time.monotonic() + grace
            send(-child, signal.SIGTERM)
        patience = None if deadline is None else deadline - time.monotonic()
        if patience is not None and patience <= 0:
            return None
        ready, _, _ = select.select([LIFELINE, wakeup], [], [], patience)
        if wakeup in ready:
            os.read(wakeup, 512)
        if LIFELINE in ready:
            if not os.read(LIFELINE, 512):
                return None
            asked_to_end.append(signal.SIGTERM)


def reap(child: int) -> tuple[int | None, bool]:
    """Collect every child that ended: the program's exit code if it was among them, and whether any child is left."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code, False
        if pid == 0:
            return code, True
        if pid == child:
            code = exit_code(status)


def exit_code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def kill_descendants(child: int) -> int:
    """Kill until nobody is left: orphans become our children, so "no child" means "no descendant"."""
    code = 128 + signal.SIGKILL
    while True:
        # A negative id is a process group: all that can be found without /proc.
        for pid in descendants(os.getpid()) if LINUX else [-child]:
            send(pid, signal.SIGKILL)
        found, left = reap(child)
        code = code if found is None else found
        if not left:
            return code
        time.sleep(0.002)


def send(pid: int, number: int) -> None:
    try:  # noqa: SIM105
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  pathlib would double the start-up time
    except OSError:
        return found
    for thread in threads:
        children = f"/proc/{pid}/task/{thread}/children"
        try:
            with open(children, encoding="ascii") as file:  # noqa: PTH123
                listed = file.read().split()
        except OSError:
            continue
        for child in map(int, listed):
            found += [child, *descendants(child)]
    return found
