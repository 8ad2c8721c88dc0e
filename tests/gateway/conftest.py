"""Two gateways on one Redis, for all tests of a file that ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.calls.redis_server import RedisServer, running
from tests.tokens.gateways import Gateways, gateways


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_plane(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateways]:
    async with gateways(tmp_path_factory.mktemp("store"), redis) as made:
        yield made
