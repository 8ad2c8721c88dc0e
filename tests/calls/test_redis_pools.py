"""Given hosts with pools, when they are seen and scaled from a gateway, then pools of one name count as one."""

from __future__ import annotations

import asyncio

import pytest

from calls.pools import PoolStatus, PoolsUnavailable, UnknownPool
from calls.redis.gateway import RedisBroker
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, FixedPools, owner, until

pytestmark = pytest.mark.needs("redis")

TENANT = owner(1)


class SlowPools(FixedPools):
    """Pools that are never scaled in time."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.asked = asyncio.Event()

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See calls.pools.PoolControl."""
        self.asked.set()
        await asyncio.Event().wait()
        return await super().scale(pool, size)


@pytest.fixture
def pools() -> list[FixedPools]:
    """What two hosts have."""
    return [FixedPools(admin=2), FixedPools(admin=1, **{TENANT: 1})]


@pytest.fixture
async def gateway(ends: Ends, pools: list[FixedPools]) -> RedisBroker:
    """A gateway that knows both."""
    gateway = await ends.gateway()
    for number, one in enumerate(pools):
        await ends.host(EchoHost(), f"host-{number}", one)
    await until(lambda: gateway.pools.pools() != [] and gateway.pools.pools()[0].size == 3)
    return gateway


async def test_pools_of_one_name_are_shown_as_one(gateway: RedisBroker) -> None:
    admin, tenant = gateway.pools.pools()
    assert (admin.name, admin.size, admin.queue, admin.cold_starts, admin.kills) == (
        "admin",
        3,
        2,
        4,
        {"time limit": 2},
    )
    assert (tenant.name, tenant.size) == (TENANT, 1)


async def test_a_size_is_shared_by_the_hosts_that_have_the_pool(gateway: RedisBroker, pools: list[FixedPools]) -> None:
    assert (await gateway.pools.scale("admin", 7)).size == 7
    assert sorted(one.sizes["admin"] for one in pools) == [3, 4]
    assert (await gateway.pools.scale(TENANT, 5)).size == 5
    assert pools[1].sizes[TENANT] == 5
    assert TENANT not in pools[0].sizes
    await until(lambda: [pool.size for pool in gateway.pools.pools()] == [7, 5])


async def test_what_a_host_does_not_do_is_said(gateway: RedisBroker) -> None:
    with pytest.raises(UnknownPool):
        await gateway.pools.scale(owner(9), 1)
    with pytest.raises(UnknownPool):
        await gateway.pools.scale("../admin", 1)
    with pytest.raises(ValueError, match="MAX_RUNNERS"):
        await gateway.pools.scale("admin", 100)
    with pytest.raises(ValueError, match="at least 2"):
        await gateway.pools.scale("admin", 1)


async def test_without_a_host_nothing_is_scaled(ends: Ends) -> None:
    gateway = await ends.gateway()
    assert gateway.pools.pools() == []
    with pytest.raises(PoolsUnavailable, match="no runner host"):
        await gateway.pools.scale("admin", 1)


async def test_an_order_ends_with_its_host(ends: Ends) -> None:
    slow = SlowPools(admin=1)
    host = await ends.host(EchoHost(), pools=slow)
    gateway = await ends.gateway()
    await gateway.ready()
    order = asyncio.create_task(gateway.pools.scale("admin", 2))
    await slow.asked.wait()
    await host.close()
    with pytest.raises(PoolsUnavailable, match="went away"):
        await order
