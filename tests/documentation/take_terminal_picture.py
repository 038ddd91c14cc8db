"""The picture of a terminal in the documentation: a real rehearsal in a pty, drawn by rich as SVG.

`python -m tests.documentation.take_terminal_picture` in the checkout writes docs/images/terminal.svg.
"""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ..terminal import run_in_terminal

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from connect_tasks.cli import main; sys.exit(main(['rehearse']))"
#: Only what stays on the screen: lines that end in a newline, without those drawn over.
_REDRAWN = re.compile(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|[^\n]*\r(?!\n)")


def main() -> None:
    said = run_in_terminal(PROGRAM, ROOT, columns=110).raw
    lines = [line for line in _REDRAWN.sub("", said).replace("\r", "").split("\n") if line.strip()]
    console = Console(record=True, width=110, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115, PTH123  # it is drawn, not printed
    console.print(Text("$ nox -s rehearse", style="bold"))
    for line in lines:
        if not re.search(r"[⠀-⣿]|further index", line):  # the live line, and a note about this computer
            console.print(Text.from_ansi(line))
    drawn = console.export_svg(title="nox -s rehearse", theme=MONOKAI, font_aspect_ratio=0.61)
    local = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # its fonts would come from the network
    (ROOT / "docs" / "images" / "terminal.svg").write_text(local.replace("Fira Code", "ui-monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
