"""A local Connect server as a pytest fixture.

In a conftest.py at the root of the tests: `pytest_plugins = ["connect_tasks.emulator.pytest_plugin"]`, then

    def test_it_deploys(connect_server):
        client = posit.connect.Client(connect_server.url, connect_server.api_key)
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from connect_tasks.emulator import Running, running


@pytest.fixture(scope="session")
def connect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the whole test run (one per xdist worker), with its data in pytest's temporary directory.

    What the tester's own shell says about Connect servers and git stays outside.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONNECT_", "GIT_"))}
    with running(tmp_path_factory.mktemp("connect"), environment=environment) as server:
        yield server
