"""Programs started under the supervisor: none of them outlives this server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from connect_tasks.emulator import supervisor

Log = Callable[[str], None]
T = TypeVar("T")

MARKER = "CONNECT_TASKS_EMULATOR_DATA"  # every process we start carries it, so that a later server can find orphans
# Imported, not run as a script, which Python compiles anew each time. Its folder comes last: nothing there hides a
# module of the standard library.
SUPERVISOR = (
    "-I",
    "-S",
    "-c",
    "import sys; sys.path.append(sys.argv.pop(1)); import supervisor; sys.exit(supervisor.main(sys.argv[1:]))",
    str(Path(supervisor.__file__).parent),
)
LONGEST_LINE = 16_384
CHUNK = 16_384


async def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    data: Path,
    grace: float = 5.0,
    merge_output: bool = False,
) -> asyncio.subprocess.Process:
    """Start a program with nothing but the given environment; its output comes through pipes.

    What is returned is its supervisor. `grace`: seconds to end by itself after `ask_to_end`.
    """
    # A Ctrl-C in the server's terminal is the server's to handle, hence the session of its own.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *SUPERVISOR,
        str(grace),
        *map(str, argv),
        stdin=asyncio.subprocess.PIPE,  # the lifeline
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if merge_output else asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**environment, **mark(data)},
        start_new_session=True,
    )


def mark(data: Path) -> dict[str, str]:
    """The marker of the processes that belong to a server with this data directory."""
    return {MARKER: str(data.resolve())}


async def run(
    argv: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], data: Path, log: Log
) -> tuple[int, list[str]]:
    """Run a program to its end, each line of its output logged as it comes: exit code and the lines.

    Cancelled, it kills the program and all of its descendants before it returns.
    """
    process = await spawn(argv, cwd=cwd, environment=environment, data=data, merge_output=True)
    said: list[str] = []
    try:
        async for lines in output(pipe(process.stdout)):
            for line in lines:
                said.append(line)
                log(line)
        return await process.wait(), said
    finally:
        drop_lifeline(process)
        await asyncio.shield(finish(process))


async def ask(
    argv: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], data: Path, told: str = ""
) -> tuple[int, list[str]]:
    """Run a program that has no children and ends by itself soon: exit code and the lines of its output. `told`: its
    input.

    Without a supervisor, whose start takes longer than most such programs. Cancelled, it kills the program; should the
    server be killed meanwhile, the program ends by itself or by the next server's sweep.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, argv),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env={**environment, **mark(data)},
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate(told.encode())
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(finish(process))
        raise
    return process.returncode or 0, said.decode(errors="replace").splitlines()


def ask_to_end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM for the program, and what is left of it after its grace is killed.

    Over the lifeline: before Python 3.12 `process.terminate()` may reap the process itself, and its exit code is lost.
    """
    pipe(process.stdin).write(b"end")


def drop_lifeline(process: asyncio.subprocess.Process) -> None:
    """Make the supervisor kill the program and every descendant, now."""
    pipe(process.stdin).close()


async def finish(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a process whose output nobody reads any more: asyncio sees the end only behind it."""
    while await pipe(process.stdout).read(CHUNK):
        pass
    await process.wait()


def pipe(stream: T | None) -> T:
    """asyncio types a pipe that was asked for as one that may be missing."""
    if stream is None:
        raise TypeError("the process was started without this pipe")
    return stream


async def output(stream: asyncio.StreamReader) -> AsyncIterator[list[str]]:
    """The lines of a stream of unknown text, as many as came at once; a line that never ends comes in pieces."""
    rest = b""
    while chunk := await stream.read(CHUNK):
        *whole, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        while len(rest) > LONGEST_LINE:
            whole.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        yield [line.decode(errors="replace") for line in whole]
    if rest:
        yield [rest.decode(errors="replace")]


def only_child(pid: int) -> int | None:
    """The program that a supervisor runs, None where that cannot be seen."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])
    except (OSError, IndexError):
        return None


def sweep(data: Path) -> list[int]:
    """Kill what an earlier server with this data directory left behind: the processes that carry its marker.

    Only needed where supervisors themselves were killed. Returns the process ids. Linux only: elsewhere none is found.
    """
    ours = {os.getpid(), *_ancestors()}
    swept = []
    for directory in Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        if pid not in ours and _marked(directory, data.resolve()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                swept.append(pid)
    return swept


def _marked(directory: Path, data: Path) -> bool:
    try:
        variables = (directory / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    prefix = MARKER.encode() + b"="
    marks = [Path(os.fsdecode(variable[len(prefix) :])) for variable in variables if variable.startswith(prefix)]
    return any(mark == data or data in mark.parents for mark in marks)


def _ancestors() -> list[int]:
    found = []
    pid = os.getppid()
    while pid > 1:
        found.append(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
    return found
