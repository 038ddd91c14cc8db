"""`python -m connect_tasks.emulator`: a local Connect server."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from connect_tasks.emulator.abilities import HIDDEN, RECENT, names
from connect_tasks.emulator.application import Built, Settings
from connect_tasks.emulator.server import serve
from connect_tasks.emulator.store import DataDirectoryRefused

KEY_VARIABLE = "CONNECT_TASKS_EMULATOR_KEY"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # uvicorn gives a signal on to the handler that was there before: end with 0, not as if killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    settings = Settings(
        data=options.data,
        git_root=options.git_root,
        host=options.host,
        port=options.port,
        ready_file=options.ready_file,
        # Taken out of the environment: no app and no git process inherits it.
        api_key=os.environ.pop(KEY_VARIABLE, "") or None,
        connect_version=options.connect_version,
        without=tuple(options.without),
        idle_timeout=options.idle_timeout,
        startup_timeout=options.startup_timeout,
        restart_on_activation=options.restart_on_activation,
        poll_interval=options.poll_interval,
        faults=options.faults,
        stop_with_stdin=options.stop_with_stdin,
    )
    try:
        serve(settings, _announce)
    except (DataDirectoryRefused, ValueError) as refused:
        return _failed(str(refused))
    except OSError as error:
        return _failed(f"{error.filename or f'{options.host}:{options.port}'}: {error.strerror or error}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m connect_tasks.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="the server's directory: state, bundles, environments")
    parser.add_argument("--git-root", type=Path, help="bare repositories served at /git/NAME.git (default: DATA/git)")
    parser.add_argument("--ready-file", type=Path, help="written once the server answers: url, api_key, pid")
    parser.add_argument(
        "--connect-version", default=RECENT, help=f"version to act as, or {HIDDEN!r} (default: {RECENT})"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="ABILITY", help=f"take an ability away: {', '.join(names())}"
    )
    parser.add_argument("--idle-timeout", type=float, default=120.0, help="seconds until an unvisited app is stopped")
    parser.add_argument("--startup-timeout", type=float, default=60.0, help="seconds that an app may take to start")
    parser.add_argument(
        "--restart-on-activation",
        action="store_true",
        help="start a new process for a bundle that goes live, as a real server does (default: its draft's goes on)",
    )
    parser.add_argument(
        "--poll-interval", type=float, default=900.0, help="seconds between polls of git content; 0: never"
    )
    parser.add_argument("--faults", action="store_true", help="faults on demand and a request log, for tests")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input is closed")
    return parser


def _announce(built: Built) -> None:
    sys.stdout.write(f"Local Connect {built.context.abilities.version} at {built.context.url}/connect/\n")
    sys.stdout.flush()


def _failed(why: str) -> int:
    sys.stderr.write(f"connect_tasks.emulator: {why}\n")
    return 2


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
