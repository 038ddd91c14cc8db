"""A process that has imported the product once, and forks a run of it for each line that it reads: a run costs no
start of Python, and dies as a process dies, not as an exception that somebody might catch.

What a run does to the world is counted by an audit hook: each program started, file opened for writing, renamed or
removed, request sent, and each border of a stage or action, is a point. A death is one of them, with a signal and a
delay. It is a program of its own, since to fork a process with threads (pytest's, a visitor's) is to ask for deadlocks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

OURS = "connect_tasks.test"
#: Events by which a run changes something outside itself.
EFFECTS = {
    "subprocess.Popen",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "http.client.send",
    OURS,
}
IMPORTED = (
    "connect_tasks.cli",
    "connect_tasks.runner",
    "connect_tasks.stages.release",
    "connect_tasks.stages.rollback",
    "connect_tasks.stages.promote",
    "connect_tasks.pipeline.fleet_release",
    "connect_tasks.pipeline.full_release",
    "connect_tasks.live_line",
    "posit.connect",
    "git",
    "requests",
    "filelock",
    "rsconnect.bundle",
    "tenacity",
    "pathspec",
    "detect_secrets.core.scan",
)


class Points:
    """Counts the points, and dies at one of them."""

    def __init__(self, death: dict[str, Any] | None, trace: Path | None) -> None:
        self._death, self._file = death, trace.open("w", buffering=1) if trace else None
        self._number, self._again = 0, -1
        self.place = "start"

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or path == os.devnull:
                return
        elif event not in EFFECTS:
            return
        if event == OURS:
            self.place = arguments[0]
        number, self._number = self._number, self._number + 1
        if self._file is not None:
            self._file.write(json.dumps([self.place, event, str(arguments[:1])[:120]]) + "\n")
        if self._death is not None and number in {self._death["point"], self._again}:
            self._die(self._death, number)

    def _die(self, death: dict[str, Any], number: int) -> None:
        if death["signal"] == "INT INT" and self._again < 0:
            self._again = number + 1 + death.get("later", 0)
        which = signal.Signals[f"SIG{death['signal'].split()[0]}"]
        if not death["delay"]:
            os.kill(os.getpid(), which)
            return
        later = threading.Timer(death["delay"], os.kill, (os.getpid(), which))
        later.daemon = True
        later.start()


def say(place: str) -> None:
    sys.audit(OURS, place)


def mark_borders() -> None:
    """Borders of stages and of actions become points with a name."""
    performance = import_module("connect_tasks.pipeline.performance")
    console = import_module("connect_tasks.console").Console
    perform_one, stage = performance._perform_one, console.stage

    def marked(action: Any, *arguments: Any) -> Any:
        name = type(action).__name__
        say(f"before {name}")
        say(f"in {name}")
        done = perform_one(action, *arguments)
        say(f"after {name}")
        return done

    @contextmanager
    def marked_stage(self: Any, report: Any, name: str) -> Iterator[Any]:
        say(f"before stage {name}")
        with stage(self, report, name) as one:
            say(f"in stage {name}")
            yield one
        say(f"after stage {name}")

    performance._perform_one, console.stage = marked, marked_stage


def hurry(patience: float) -> None:
    """No pauses but one: how long a lost write is looked for."""
    for module, name, value in (
        ("server.doubt", "PAUSE", 0.01),
        ("server.doubt", "LONGEST_PAUSE", 0.05),
        ("server.doubt", "LOOK_AGAIN", 0.02),
        ("server.doubt", "PATIENCE", patience),
        ("server.task_log", "INTERVAL", 0.01),
        ("server.page_health", "PAUSE", 0.02),
        ("pipeline.activation", "LOOK_AGAIN", 0.05),
        ("pipeline.activation", "BRIEFLY", 0.3),
    ):
        loaded = import_module(f"connect_tasks.{module}")
        assert hasattr(loaded, name), f"{module}.{name}"
        setattr(loaded, name, value)


def jump(seconds: float) -> None:
    """After a few looks at it, the wall clock is another."""
    real, looks = time.time, iter(range(1_000_000))
    time.time = lambda: real() + (seconds if next(looks) > 4 else 0.0)


def run(order: dict[str, Any]) -> int:
    """In the child: the run itself."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    tempfile.tempdir = None
    time.tzset()
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, out), (2, out)):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    death = order.get("death")
    if death or order.get("trace"):
        sys.addaudithook(Points(death, Path(order["trace"]) if order.get("trace") else None))
    if order["clock"]:
        jump(order["clock"])
    main = import_module("connect_tasks.cli").main
    return int(main(order["arguments"]))


def main() -> None:
    for name in IMPORTED:
        import_module(name)
    mark_borders()
    hurry(float(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = run(order)
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException as error:  # noqa: BLE001  # it must not become a second zygote
                sys.stderr.write(f"the run raised {error!r}\n")
                sys.stderr.flush()
            os._exit(status)
        print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "pid": child}), flush=True)


if __name__ == "__main__":
    main()
