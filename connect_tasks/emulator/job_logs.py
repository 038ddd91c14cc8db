"""What a job said: one JSON object a line, as Connect's API gives it: source, timestamp, data."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from connect_tasks.emulator.processes import output

Source = Literal["stdout", "stderr"]
LARGEST = 32 * 1024 * 1024  # bytes; then the older half goes to a second file, and what was there before is gone


class JobLog:
    """Appends to one file while the job runs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    async def follow(self, source: Source, stream: asyncio.StreamReader) -> None:
        """Write what comes until it ends. A job that floods its log waits: it gets a fifth of this server's time."""
        async for lines in output(stream):
            began = time.perf_counter()
            self.write(source, lines)
            await asyncio.sleep(4 * (time.perf_counter() - began))

    def write(self, source: Source, lines: Sequence[str]) -> None:
        timestamp = now()
        entries = (json.dumps({"source": source, "timestamp": timestamp, "data": line}) + "\n" for line in lines)
        if self._size > LARGEST:
            self._turn_over()
        self._size += self._file.write("".join(entries).encode())

    def close(self) -> None:
        self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        self.path.replace(older(self.path))
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


def older(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def read_log(path: Path, last: int = 5000) -> list[dict[str, str]]:
    """The last entries, oldest first; none if the job said nothing or its log is gone."""
    entries: deque[dict[str, str]] = deque(maxlen=last)
    for file in (older(path), path):
        if file.exists():
            with file.open(encoding="utf-8") as stream:
                entries.extend(json.loads(line) for line in stream if line.endswith("\n"))
    return list(entries)


def tail(path: Path, last: int = 30) -> str:
    """The end of what it said, as text."""
    return "\n".join(entry["data"] for entry in read_log(path, last))
