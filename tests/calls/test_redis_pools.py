"""Given hosts with pools, when they are seen, scaled and drained from a gateway, then pools of one name count as one."""

from __future__ import annotations

import asyncio

import pytest

from calls.broker import Refused, ask
from calls.call import Outcome
from calls.pools import PoolStatus, PoolsUnavailable, UnknownHost, UnknownPool, UnknownRunner
from calls.redis.gateway import RedisBroker
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, FixedPools, PatientHost, call, owner, submit
from tests.waiting import until

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
        await ends.host(EchoHost(f"host-{number}"), f"host-{number}", one)
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


async def test_hosts_are_shown_with_what_has_happened_on_them(gateway: RedisBroker) -> None:
    assert [(host.name, host.draining, host.capacity) for host in gateway.pools.hosts()] == [
        ("host-0", False, 1000),
        ("host-1", False, 1000),
    ]
    tally = gateway.pools.hosts()[0].tallies["admin"]
    assert (tally.cold_starts, tally.kills, tally.starts.sum) == (2, {"time limit": 1}, 0.2)
    assert [runner.host for runner in gateway.pools.pools()[0].runners] == ["host-0", "host-1"]


async def test_a_pool_is_drained_on_all_hosts_that_have_it(gateway: RedisBroker, pools: list[FixedPools]) -> None:
    drained = await gateway.pools.drain_pool("admin")
    assert [runner.host for runner in drained.runners] == ["host-0", "host-1"]
    assert [one.drained for one in pools] == [["admin"], ["admin"]]
    await gateway.pools.drain_pool(TENANT)
    assert [one.drained for one in pools] == [["admin"], ["admin", TENANT]]


async def test_a_runner_is_drained_where_it_is(gateway: RedisBroker, pools: list[FixedPools]) -> None:
    runner = pools[1].pools()[1].runners[0].id
    assert (await gateway.pools.drain_runner(runner)).name == TENANT
    assert [one.drained for one in pools] == [[], [runner]]


async def test_a_drained_host_gets_no_calls_until_that_is_undone(ends: Ends, gateway: RedisBroker) -> None:
    other = await ends.gateway()
    await until(lambda: len(other.pools.hosts()) == 2)
    preferred = (await ask(gateway, call())).media_type
    assert (await gateway.pools.drain_host(preferred, draining=True)).draining
    assert (await gateway.pools.drain_host(preferred, draining=True)).draining
    for one in (gateway, other):
        await until(lambda one=one: [host.name for host in one.pools.hosts() if host.draining] == [preferred])  # type: ignore[misc]
        assert (await ask(one, call())).media_type != preferred
    assert not (await other.pools.drain_host(preferred, draining=False)).draining
    await until(lambda: not any(host.draining for host in gateway.pools.hosts()))
    assert (await ask(gateway, call())).media_type == preferred


async def test_what_a_drained_host_holds_is_answered(ends: Ends) -> None:
    patient = PatientHost()
    await ends.host(patient)
    gateway = await ends.gateway()
    await gateway.ready()
    held = submit(gateway, call())
    await patient.has(1)
    await gateway.pools.drain_host("h", draining=True)
    await until(lambda: gateway.problem is not None)
    with pytest.raises(Refused, match="every runner host is draining"):
        gateway.submit(call(), print)
    patient.answer()
    assert (await held).outcome is Outcome.VALUE


async def test_a_size_is_for_the_hosts_that_take_calls(gateway: RedisBroker, pools: list[FixedPools]) -> None:
    await gateway.pools.drain_host("host-0", draining=True)
    await until(lambda: any(host.draining for host in gateway.pools.hosts()))
    await gateway.pools.scale("admin", 1)
    assert [one.sizes["admin"] for one in pools] == [2, 1]


async def test_what_a_host_does_not_do_is_said(gateway: RedisBroker) -> None:
    with pytest.raises(UnknownPool):
        await gateway.pools.scale(owner(9), 1)
    with pytest.raises(UnknownPool):
        await gateway.pools.scale("../admin", 1)
    with pytest.raises(UnknownPool):
        await gateway.pools.drain_pool(owner(9))
    with pytest.raises(UnknownRunner):
        await gateway.pools.drain_runner("r")
    with pytest.raises(UnknownRunner):
        await gateway.pools.drain_runner("../r")
    with pytest.raises(UnknownHost):
        await gateway.pools.drain_host("host-2", draining=True)
    with pytest.raises(ValueError, match="MAX_RUNNERS"):
        await gateway.pools.scale("admin", 100)
    with pytest.raises(ValueError, match="at least 2"):
        await gateway.pools.scale("admin", 1)


async def test_without_a_host_nothing_is_scaled(ends: Ends) -> None:
    gateway = await ends.gateway()
    assert gateway.pools.pools() == []
    with pytest.raises(PoolsUnavailable, match="no runner host"):
        await gateway.pools.scale("admin", 1)
    with pytest.raises(PoolsUnavailable, match="no runner host"):
        await gateway.pools.drain_host("h", draining=True)


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
