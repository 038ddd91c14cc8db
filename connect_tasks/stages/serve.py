"""`serve`: the local Connect server, until it is interrupted."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from ..arguments import Options
from ..console import Console
from ..errors import EmulatorMissing
from ..outcome import Report

#: What the extra `emulator` brings.
NEEDS = ("uvicorn", "starlette", "aiohttp")
DATA = ".connect-server"


def serve(options: Options, environ: Mapping[str, str], directory: Path, console: Console, report: Report) -> None:
    """Run it in the foreground; what it keeps stays in `--data`, so that the next `serve` goes on with it."""
    require_emulator()
    from ..emulator import NotStarted, running

    data = Path(options.data) if options.data else directory / DATA
    try:
        with running(data, port=options.port, environment=environ) as server:
            _ignore_in_git(data)
            report.url = server.url
            console.line(f"   local Connect at {server.url}/connect/")
            console.line(f"   export CONNECT_SERVER={server.url} CONNECT_API_KEY={server.api_key}")
            console.line("   it hosts git repositories too, and makes one at the first push:")
            console.line(f"   git remote add origin {server.url}/git/NAME.git")
            console.line(f'   git config http.{server.url}/.extraHeader "Authorization: Key $CONNECT_API_KEY"')
            console.line("   interrupt to stop")
            server.process.wait()
    except NotStarted as error:
        raise EmulatorMissing(str(error), hint="is the port taken? try --port 0") from None
    except KeyboardInterrupt:
        console.line("   stopped")


def require_emulator() -> None:
    """Raise where the extra is not installed."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise EmulatorMissing(
            f"the local Connect server needs {', '.join(missing)}", hint="pip install 'connect-tasks[emulator]'"
        )


def _ignore_in_git(data: Path) -> None:
    """State of a toy server has no place in a commit."""
    ignore = data / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
