"""Nothing that was started stays behind, whatever ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from connect_tasks.emulator import processes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descendants are found through /proc"),
]

#: Ignores SIGTERM, as do its child, a child in a session of its own, and a daemon; prints their process ids, then "up".
STUBBORN = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep = [sys.executable, "-c", "import time, os; print(os.getpid(), flush=True); time.sleep(600)"]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(600)
        os._exit(0)
    os.wait()
    print(os.getpid(), flush=True)
    time.sleep(600)
"""
FAMILY = 4


@pytest.fixture
def stubborn(tmp_path: Path) -> list[str]:
    script = tmp_path / "stubborn.py"
    script.write_text(textwrap.dedent(STUBBORN))
    return [sys.executable, str(script)]


async def start(argv, tmp_path, **options):
    return await processes.spawn(argv, cwd=tmp_path, environment={}, data=tmp_path, **options)


async def family(process) -> list[int]:
    return [int(await process.stdout.readline()) for _ in range(FAMILY)]


async def run(argv, tmp_path) -> tuple[int, list[str]]:
    logged = []
    code, said = await processes.run(argv, cwd=tmp_path, environment={}, data=tmp_path, log=logged.append)
    assert logged == said
    return code, said


async def test_output_and_exit_code_are_the_programs(tmp_path):
    program = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(7)"
    assert await run([sys.executable, "-c", program], tmp_path) == (7, ["out", "err"])


async def test_a_signal_is_told_as_a_shell_tells_it(tmp_path):
    assert await run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path) == (137, [])


async def test_a_missing_program_is_said(tmp_path):
    assert await run(["/no/such/program"], tmp_path) == (127, ["/no/such/program: No such file or directory"])


async def test_the_program_has_no_input_and_default_signals(tmp_path):
    program = (
        "import signal, sys; print(repr(sys.stdin.read()));"
        "print(signal.getsignal(signal.SIGTERM).name, signal.getsignal(signal.SIGINT).__name__)"
    )
    assert await run([sys.executable, "-c", program], tmp_path) == (0, ["''", "SIG_DFL default_int_handler"])


async def test_a_daemon_ends_with_the_program_that_made_it(tmp_path, alive, until):
    program = "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(600)\nelse: print(os.getpid())"
    process = await start([sys.executable, "-c", program], tmp_path)
    pid = int(await process.stdout.readline())
    assert await process.wait() == 0
    assert not alive(pid)
    assert not any(marked(tmp_path))


async def test_who_does_not_end_when_asked_is_killed_with_everybody(tmp_path, stubborn, alive):
    process = await start(stubborn, tmp_path, grace=0.2)
    pids = await family(process)
    assert all(map(alive, pids))
    processes.ask_to_end(process)
    assert await process.wait() == 137
    assert not any(map(alive, pids))


@pytest.mark.parametrize("by_signal", [False, True])
async def test_a_program_may_end_by_itself_when_asked(tmp_path, by_signal):
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3));"
        "print('up', flush=True); time.sleep(600)"
    )
    process = await start([sys.executable, "-c", program], tmp_path, grace=600)
    await process.stdout.readline()
    if by_signal:
        process.terminate()
    else:
        processes.ask_to_end(process)
    assert await process.wait() == 3


async def test_cancelling_a_task_kills_what_it_runs(tmp_path, stubborn, alive, until):
    pids = []
    task = asyncio.create_task(
        processes.run(stubborn, cwd=tmp_path, environment={}, data=tmp_path, log=lambda line: pids.append(int(line)))
    )
    await until(lambda: len(pids) == FAMILY)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(map(alive, pids))


async def test_a_program_ends_also_while_its_flood_of_output_is_unread(tmp_path):
    """asyncio stops reading a pipe that nobody empties, and so would not see its end."""

    def full(_line: str) -> None:
        raise OSError("the disk is full")

    flood = [sys.executable, "-c", "while True: print('x' * 100_000)"]
    with pytest.raises(OSError, match="the disk is full"):
        await processes.run(flood, cwd=tmp_path, environment={}, data=tmp_path, log=full)
    assert not marked(tmp_path)


async def test_kill_9_of_the_server_takes_everybody_down(tmp_path, stubborn, alive, until):
    server = f"""
import asyncio, pathlib, sys
from connect_tasks.emulator import processes
async def main():
    here = pathlib.Path({str(tmp_path)!r})
    await processes.run({stubborn!r}, cwd=here, environment={{}}, data=here, log=lambda line: print(line, flush=True))
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", server, stdout=asyncio.subprocess.PIPE)
    pids = await family(process)
    assert all(map(alive, pids))
    process.kill()
    await process.wait()
    await until(lambda: not any(map(alive, pids)))
    await until(lambda: not marked(tmp_path))  # nor a supervisor


async def test_kill_9_at_any_moment_of_a_start_leaves_nobody(tmp_path, stubborn, until):
    for moment in (0, 0.01, 0.03, 0.06, 0.1):
        process = await start(stubborn, tmp_path)
        await asyncio.sleep(moment)
        process.stdin.close()  # what the kernel does when the server is killed
        await process.wait()
        await until(lambda: not marked(tmp_path))


async def test_a_later_server_sweeps_up_after_killed_supervisors(tmp_path, stubborn, alive, until):
    process = await start(stubborn, tmp_path / "..")  # another directory: not ours to sweep
    others = await family(process)
    data = tmp_path / "data"
    data.mkdir()
    mine = await start(stubborn, data)
    pids = await family(mine)
    program = processes.only_child(mine.pid)
    assert program in pids
    os.kill(mine.pid, signal.SIGKILL)
    await until(lambda: not alive(mine.pid))
    await until(lambda: not alive(program))  # the kernel sees to that
    assert any(map(alive, pids)), "if nobody survives, there is nothing to sweep and nothing tested"
    assert set(processes.sweep(data)) <= set(pids)
    await until(lambda: not any(map(alive, pids)))
    assert all(map(alive, others))
    processes.drop_lifeline(process)
    await processes.finish(process)
    assert not any(map(alive, others))


async def test_lines_are_told_as_they_come_and_never_grow_without_end(tmp_path):
    program = "import sys; print('a\\r\\nb\\rc'); sys.stdout.write('x' * 40000); sys.stdout.buffer.write(b'\\xff')"
    code, said = await run([sys.executable, "-c", program], tmp_path)
    assert code == 0
    assert said[:3] == ["a", "b", "c"]
    assert sorted("".join(said[3:])) == sorted("x" * 40000 + "\ufffd")  # two buffers of its: in either order
    assert max(map(len, said)) <= processes.LONGEST_LINE


def marked(data: Path) -> list[int]:
    """The processes that carry our marker."""
    mark = f"{processes.MARKER}={data.resolve()}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


async def test_a_short_program_without_a_supervisor_is_killed_where_it_is_not_waited_for(tmp_path, alive, until):
    program = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    argv = [sys.executable, "-c", program]
    asked = asyncio.create_task(processes.ask(argv, cwd=tmp_path, environment={}, data=tmp_path))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not alive(pid)


async def test_it_is_told_its_input_and_its_exit_code_comes_back(tmp_path):
    argv = [sys.executable, "-c", "import sys; print(sys.stdin.read().upper()); sys.exit(3)"]
    assert await processes.ask(argv, cwd=tmp_path, environment={}, data=tmp_path, told="a\nb") == (3, ["A", "B"])
