"""Runs of the product in processes that may be killed, forked from one that has imported everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

#: Seconds that a run looks for the trace of a write whose answer was lost; the local server has made it by then.
PATIENCE = 8.0


@dataclass(frozen=True, kw_only=True)
class Death:
    """At the point of that number, or `delay` seconds after it. `signal`: KILL, TERM, INT, or "INT INT" for a second
    one, `later` points after the first."""

    point: int
    signal: str
    delay: float = 0.0
    later: int = 0


@dataclass(frozen=True, kw_only=True)
class Run:
    """`status` is negative for a signal; `said` is both streams."""

    status: int
    said: str


class Zygote:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self._process, self._out, self._trace = process, place / "said", place / "trace"

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        death: Death | None = None,
        traced: bool = False,
        clock: float = 0.0,
    ) -> Run:
        order = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "environ": dict(environ),
            "clock": clock,
            "out": str(self._out),
            "death": asdict(death) if death else None,
            "trace": str(self._trace) if traced else None,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Run(status=answer["status"], said=self._out.read_text("utf-8", "replace"))

    def points(self) -> list[str]:
        """The points of the last traced run, by the stage or action in which they lie."""
        return [json.loads(line)[0] for line in self._trace.read_text().splitlines()]


@contextmanager
def zygote(place: Path) -> Iterator[Zygote]:
    package = Path(__file__).parents[2]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("zygote.py")), str(PATIENCE)],
        env={**environ, "PYTHONPATH": str(package)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield Zygote(process, place)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
