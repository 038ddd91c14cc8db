"""A local Connect server.

    with connect_tasks.emulator.running() as server:
        os.environ["CONNECT_SERVER"], os.environ["CONNECT_API_KEY"] = server.url, server.api_key

On the command line: `python -m connect_tasks.emulator --data DIR`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["NotStarted", "Running", "running", "start"]


class NotStarted(Exception):
    """The server did not come up; the text ends with what it said."""


@dataclass(frozen=True)
class Running:
    """A server that answers at `url`; `api_key` is its administrator's; `log` is what the process says."""

    url: str
    api_key: str = field(repr=False)
    pid: int
    data: Path
    git_root: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def git_url(self, name: str) -> str:
        """URL of the bare repository `<git_root>/<name>.git`: anyone reads, a push creates it and needs the key."""
        return f"{self.url}/git/{name.removesuffix('.git')}.git"


@contextmanager
def running(
    data: Path | None = None,
    git_root: Path | None = None,
    *,
    port: int = 0,
    api_key: str | None = None,
    connect_version: str | None = None,
    without: Sequence[str] = (),
    restart_on_activation: bool = False,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[Running]:
    """A real server in a process of its own, which ends with the block, and with this process whatever ends that.

    `data`: the server's directory, kept; None: a temporary one, removed. `restart_on_activation`: a bundle that goes
    live gets a new process, as on a real server, rather than its draft's. `options`: further command line arguments.
    `environment`: of the server, instead of ours. `timeout`: seconds until it must answer. Raises NotStarted.
    """
    with ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="connect-", ignore_cleanup_errors=True)))
        versions = ["--connect-version", connect_version] if connect_version else []
        missing = [part for ability in without for part in ("--without", ability)]
        restarted = ["--restart-on-activation"] if restart_on_activation else []
        server = start(
            Path(data),
            git_root,
            port=port,
            api_key=api_key,
            options=["--stop-with-stdin", *versions, *missing, *restarted, *options],
            environment=environment,
            timeout=timeout,
        )
        try:
            yield server
        finally:
            _end(server.process)


def start(
    data: Path,
    git_root: Path | None = None,
    *,
    port: int = 0,
    api_key: str | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Running:
    """A real server in a process of its own, which stays when this process ends: end it by its `pid`.

    `data`: the server's directory; its log is `data`/server.log. The rest as for `running`. Raises NotStarted.
    """
    data.mkdir(parents=True, exist_ok=True)
    repositories = Path(git_root) if git_root is not None else data / "git"
    said = data / "server.log"
    with tempfile.TemporaryDirectory(prefix=".ready-", dir=data) as scratch:
        ready = Path(scratch) / "ready.json"
        command = [sys.executable, "-m", __name__, "--port", str(port), "--data", str(data)]
        command += ["--git-root", str(repositories), "--ready-file", str(ready), *options]
        with said.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(environment, api_key),
                start_new_session=True,  # a Ctrl-C at the terminal is for whoever started us, who then ends the server
            )
        try:
            facts = _awaited(process, ready, said, timeout)
        except BaseException:
            _end(process)
            raise
        return Running(facts["url"], facts["api_key"], facts["pid"], data, repositories, said, process)


def _environment(given: Mapping[str, str] | None, api_key: str | None) -> dict[str, str]:
    environment = dict(os.environ if given is None else given)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # apps start several times faster with bytecode
    if api_key is not None:
        environment["CONNECT_TASKS_EMULATOR_KEY"] = api_key
    return environment


def _awaited(process: subprocess.Popen[bytes], ready: Path, said: Path, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            reason = (
                f"ended with {process.returncode}" if process.returncode is not None else f"no answer in {timeout:g} s"
            )
            raise NotStarted(f"the local Connect server did not start ({reason}): {said.read_text('utf-8')[-2000:]}")
        time.sleep(0.01)
    facts: dict[str, Any] = json.loads(ready.read_text("utf-8"))
    return facts


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
