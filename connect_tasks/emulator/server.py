"""The server's life: from a bound socket to the last answer."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn

from connect_tasks.emulator.application import Built, Settings, build
from connect_tasks.emulator.keys import write_private

GRACE: Final = 3  # seconds that open requests get when the server ends


class _Server(uvicorn.Server):
    """uvicorn, which tells when it answers, and ends when its parent does where that is asked for."""

    def __init__(self, config: uvicorn.Config, options: Settings, built: Built) -> None:
        super().__init__(config)
        self._options, self._built = options, built

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        if self._options.ready_file is not None:
            ready = {"url": self._built.context.url, "api_key": self._built.api_key, "pid": os.getpid()}
            write_private(self._options.ready_file, json.dumps(ready) + "\n")
        if self._options.stop_with_stdin:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._stop_at_end_of_input)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._built.context.tasks.release()
        await super().shutdown(sockets)

    def _stop_at_end_of_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 65536):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.should_exit = True


def serve(options: Settings, announce: Callable[[Built], None]) -> None:
    """Serves until a signal ends it. `announce` is told the URL before the first request.

    Raises OSError (address), DataDirectoryRefused, ValueError.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is: without, each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        built = build(options, url=url)
        announce(built)
        config = uvicorn.Config(
            built.application,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            ws_max_size=2**40,
            ws_per_message_deflate=False,
        )
        server = _Server(config, options, built)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
