"""What happens, told as it happens: `--events FILE`, a JSON object a line. For machines that can't wait for the report.

The first line is `begin`, then a `stage-begin` and a `stage-end` for each stage, then `end` with the report. A run that
was killed has no `end`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, TextIO

from .errors import ReportUnwritten
from .outcome import SCHEMA, Report, exit_code, told_as_json
from .secret import Redactor


class EventLog:
    """Writes to `place`, "-" for standard output; None: nothing at all.

    A place that can't be written stops nothing: what was done counts, and `finish` says so at the end.
    """

    def __init__(self, place: str | None, redact: Redactor) -> None:
        self._redact = redact
        self._place = place
        self._failure: OSError | None = None
        self._lock = threading.Lock()  # apps at the same time
        self._stream = self._opened()

    def __call__(self, event: str, **told: Any) -> None:
        if self._stream is None:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps(self._redact.data({"event": event, "time": now, **told}), ensure_ascii=True)
        with self._lock:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._failure = self._failure or OSError(0, str(error))

    def begin(self, verb: str) -> None:
        self("begin", schema=SCHEMA, verb=verb)

    def finish(self, verb: str, reports: Sequence[Report], _redact: Redactor) -> None:
        """The last line. Raises `ReportUnwritten` where any could not be written."""
        self("end", exit_code=exit_code(reports), report=told_as_json(verb, reports))
        if self._stream is not None and self._place != "-":
            self._stream.close()
        if self._failure is not None and self._place != "-":
            raise ReportUnwritten(
                f"the events could not be written: {self._failure.strerror}",
                where=self._place,
                hint="--events FILE, in a directory that exists and has room",
            )

    def _opened(self) -> TextIO | None:
        """Readable by its owner alone, like every account of ours."""
        if self._place is None or self._place == "-":
            return sys.stdout if self._place else None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            return os.fdopen(os.open(self._place, flags, 0o600), "w", encoding="utf-8")
        except OSError as error:
            self._failure = error
            return None
