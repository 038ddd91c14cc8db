"""Runs a program in a real terminal (a pty) and says what its screen shows in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.cells import get_character_cell_size

from .nox_runs import environment

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\x00-\x1f\x7f])|(.)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What came out of the terminal, and how the program ended."""

    raw: str
    status: int
    columns: int

    @property
    def screen(self) -> list[str]:
        """The lines that a person sees in the end, scrolled ones too."""
        return Screen(self.columns).feed(self.raw).lines()


def run_in_terminal(program: str, directory: Path, *, columns: int = 80, **changes: str) -> Session:
    """Run Python code with a terminal of `columns` as its three streams."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = environment(**{"TERM": "xterm-256color", **changes})
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=directory, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as child:
        os.close(theirs)
        raw = b"".join(_chunks(ours))
        status = child.wait(60)
    os.close(ours)
    return Session(raw=raw.decode(), status=status, columns=columns)


def _chunks(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(descriptor, 1 << 16)
        except OSError:  # Linux says EIO when the other end is closed
            return
        if not chunk:
            return
        yield chunk


class Screen:
    """As much of a terminal as our output needs; any other control sequence is an error."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0
        self.cursor_shown = True

    def feed(self, text: str) -> Screen:
        for parameters, letter, control, character in _TOKEN.findall(text):
            if letter:
                self._sequence(parameters, letter)
            elif control:
                self._control(control)
            else:
                self._put(character)
        return self

    def lines(self) -> list[str]:
        assert self.cursor_shown, "the cursor stays hidden"
        text = ["".join(row).rstrip() for row in self._rows]
        while text and not text[-1]:
            text.pop()
        return text

    def _sequence(self, parameters: str, letter: str) -> None:
        if letter == "A":
            self._row = max(0, self._row - int(parameters or 1))
        elif letter == "K":
            del self._rows[self._row][0 if parameters == "2" else self._column :]
        elif parameters == "?25":
            self.cursor_shown = letter == "h"
        elif letter != "m":
            raise ValueError(f"control sequence {parameters}{letter}")

    def _control(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\n":
            self._row += 1
            while len(self._rows) <= self._row:
                self._rows.append([])
        else:
            raise ValueError(f"control character {control!r}")

    def _put(self, character: str) -> None:
        width = get_character_cell_size(character)
        if self._column + width > self._columns:
            self._control("\r")
            self._control("\n")
        row = self._rows[self._row]
        row.extend(" " * (self._column + width - len(row)))
        row[self._column : self._column + width] = [character, *[""] * (width - 1)]
        self._column += width
