"""The one line of a terminal that is drawn again and again while a stage runs, and leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.text import Text

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PER_SECOND = 10


class LiveLine:
    """Spinner, name, elapsed seconds, and what was said last, cut to the terminal's width. A context manager.

    What it is given is text, never markup: a server may say `[bold]` or `[/]`.
    """

    def __init__(self, stream: TextIO, name: str, *, colour: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self.name = name
        self.said = ""
        self._started = monotonic()
        self._console = Console(file=stream, no_color=not colour, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console, get_renderable=self._drawn, refresh_per_second=PER_SECOND, transient=True
        )

    def __enter__(self) -> LiveLine:  # noqa: PYI034  # typing.Self is of Python 3.11
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):  # the terminal may be gone
            self._live.stop()

    def above(self, text: str) -> None:
        """A line that stays. It is not folded: an address that a terminal wraps by itself can still be copied."""
        from rich.text import Text

        with suppress(OSError, ValueError):
            self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _drawn(self) -> Text:
        from rich.text import Text

        seconds = monotonic() - self._started
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f" {FRAMES[int(seconds * PER_SECOND) % len(FRAMES)]}", style="cyan")
        line.append(f" {self.name:<9} {seconds:7.0f} s  {self.said}")
        return line
