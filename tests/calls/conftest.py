"""Fixtures: a real Redis, and gateways and hosts connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from calls.broker import CallHandler
from calls.pools import HostPools
from calls.redis.gateway import RedisBroker
from calls.redis.host import HostBounds, RedisHost
from tests.calls.ends import FixedPools, bounds
from tests.calls.redis_image import RedisImage
from tests.calls.redis_image import running as redis_image_running
from tests.calls.redis_server import RedisServer, running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A running Redis."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def redis_image() -> Iterator[RedisImage]:
    """The stack's Redis."""
    with redis_image_running() as image:
        yield image


class Ends:
    """Makes gateways and hosts, and closes them at the end of the test."""

    def __init__(self, url: str, host_url: str = "") -> None:
        """`host_url`: where hosts connect, when it is not where gateways do."""
        self._url = url
        self._host_url = host_url or url
        self.stack = AsyncExitStack()

    async def gateway(self, max_owner: int = 1000, max_total: int = 2000, max_bytes: int = 2**27) -> RedisBroker:
        """A connected gateway."""
        broker = RedisBroker(self._url, max_owner, max_total, max_bytes)
        await broker.open()
        self.stack.push_async_callback(broker.close)
        return broker

    async def host(
        self,
        handler: CallHandler,
        name: str = "h",
        pools: HostPools | None = None,
        limits: HostBounds | None = None,
    ) -> RedisHost:
        """A connected host."""
        host = RedisHost(self._host_url, name, handler, pools or FixedPools(admin=1), limits or bounds())
        await host.open()
        self.stack.push_async_callback(host.close)
        return host


@pytest.fixture
async def ends(redis: RedisServer) -> AsyncIterator[Ends]:
    """Gateways and hosts around one Redis."""
    ends = Ends(redis.url)
    async with ends.stack:
        yield ends
