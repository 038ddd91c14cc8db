"""One server and one zygote for all faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..pipeline.conftest import connect_server
from .runs import Zygote, zygote

__all__ = ["connect_server"]


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("zygote")) as process:
        yield process
