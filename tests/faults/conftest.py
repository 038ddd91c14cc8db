"""Servers and one zygote for all faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connect_tasks.emulator import Running, running

from ..pipeline.conftest import connect_server
from .runs import Zygote, zygote

__all__ = ["connect_server"]


@pytest.fixture(scope="session")
def other_server(connect_server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Where a promotion goes; it knows the same key."""
    data = tmp_path_factory.mktemp("other")
    with running(data, api_key=connect_server.api_key, options=["--faults"]) as server:
        yield server


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("zygote")) as process:
        yield process
