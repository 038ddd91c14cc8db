"""From a launch to a process that answers: its port, its order to the launcher, the wait for its first answer."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

from connect_tasks.emulator.instance import Instance
from connect_tasks.emulator.modes import MOUNT_HEADER
from connect_tasks.emulator.processes import only_child

LAUNCHER = Path(__file__).with_name("launcher.py")
HOST = "127.0.0.1"


async def start(instance: Instance, data: Path, *, patience: float) -> None:
    """Start the app and wait for its first HTTP answer, at most `patience` seconds.

    Raises StartFailed; then nothing of it is left.
    """
    launch, environment = instance.launch, instance.environment()
    if not environment.overlay.exists():
        raise instance.failed(f"the web servers for Python {environment.version} are gone: deploy the content again")
    reserved = reserve_port()
    instance.port = reserved.getsockname()[1]
    order = {
        "mode": launch.mode,
        "entrypoint": launch.entrypoint,
        "prefix": launch.mount,
        "mount_header": MOUNT_HEADER,
        "port": instance.port,
        "overlay": str(environment.overlay),
    }
    try:
        await instance.run([environment.python, "-u", LAUNCHER, json.dumps(order)], data, reserved=reserved)
        await _ready(instance, instance.port, patience)
    except BaseException:
        await instance.kill()
        reserved.close()
        raise


async def _ready(instance: Instance, port: int, patience: float) -> None:
    end = asyncio.create_task(instance.over())
    answer = asyncio.create_task(first_answer(port, opening(instance, port)))
    try:
        await asyncio.wait({answer, end}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            raise instance.failed(f"the app ended with exit code {instance.exit_code} before it answered")
        if not answer.done():
            await instance.kill()
            raise instance.failed(f"the app did not answer within {patience:g} s")
    finally:
        answer.cancel()
        end.cancel()
    instance.pid = only_child(instance.parent_pid or 0)
    instance.last_used = time.monotonic()


def reserve_port() -> socket.socket:
    """A port that is ours as long as this socket is open: bound but not listening, so only one who names it gets it."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, 0))
    return reserved


def opening(instance: Instance, port: int) -> bytes:
    """A request for the app's first page, as a visitor's would come to it."""
    path = "/" if instance.mode.strip else f"{instance.launch.mount}/"
    mount = f"{MOUNT_HEADER}: {instance.launch.mount}\r\n" if instance.mode.anywhere else ""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{mount}Connection: close\r\n\r\n".encode()


async def first_answer(port: int, request: bytes) -> None:
    """Return as soon as the request is answered by HTTP, whatever the status."""
    began = time.monotonic()
    while not await answers(port, request):
        pause = 0.004 + (time.monotonic() - began) / 100  # a look costs a tenth of a millisecond
        await asyncio.sleep(min(pause, 0.1))


async def answers(port: int, request: bytes) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(request)
        return await reader.readexactly(5) == b"HTTP/"
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()
