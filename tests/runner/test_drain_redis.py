"""Given two hosts with real runners behind Redis, when they are scaled and drained under load, then no call is lost."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from calls.broker import ask
from calls.call import Call, Outcome
from calls.redis.gateway import RedisBroker
from runner.worker import kernel
from tests.calls.conftest import Ends
from tests.calls.conftest import redis as redis  # a fixture
from tests.calls.redis_server import RedisServer
from tests.runner.bench import OWNER, Bench, Load, hosting, limits, tenants
from tests.runner.test_calls import source
from tests.runner.test_tenants import WHO, UnguardedLauncher
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")

TENANT = "00000000-0000-4000-8000-00000000000a"


@dataclass
class Machines:
    """Two hosts and a gateway."""

    gateway: RedisBroker
    hosts: dict[str, Bench]

    def call(self, owner: str) -> Call:
        """One that gives the zygote it ran under."""
        return self.hosts["one"].invocation("who", "run", owner=owner)

    def states(self, pool: str) -> dict[str, list[str]]:
        """States of a pool's runners by host, as the gateway knows them."""
        found: dict[str, list[str]] = {}
        for one in self.gateway.pools.pools():
            for runner in one.runners if one.name == pool else ():
                found.setdefault(runner.host, []).append(runner.state)
        return found


@pytest.fixture
async def machines(redis: RedisServer) -> AsyncIterator[Machines]:
    ends = Ends(redis.url)
    async with contextlib.AsyncExitStack() as stack:
        hosts: dict[str, Bench] = {}
        for name in ("one", "two"):
            launcher = UnguardedLauncher(sys.executable, {"PATH": os.environ["PATH"]})
            bench = await stack.enter_async_context(hosting(launcher, limits(), tenants(), alone=name == "one"))
            bench.modules.put("who", source(WHO))
            hosts[name] = bench
        await stack.enter_async_context(ends.stack)
        for name, bench in hosts.items():
            await ends.host(bench.host, name, bench.host)
        gateway = await ends.gateway()
        await until(lambda: len(gateway.pools.hosts()) == 2)
        yield Machines(gateway, hosts)


def load(machines: Machines, owner: str = OWNER) -> Load:
    """Clients of the gateway."""

    async def call(_: int) -> int:
        reply = await ask(machines.gateway, machines.call(owner))
        assert reply.outcome is Outcome.VALUE, reply
        return int(msgspec.json.decode(reply.payload)[0])

    return Load(call)


def zygotes(bench: Bench) -> set[int]:
    """All processes of a host's runners, the zygotes among them."""
    ids = [runner.id for pool in bench.host.pools() for runner in pool.runners]
    return set().union(*(kernel.marked(f"PLUGBAY_RUNNER={one}".encode()) for one in ids))


async def test_pools_are_scaled_on_both_hosts_under_load(machines: Machines) -> None:
    pools = machines.gateway.pools
    async with load(machines):
        assert (await pools.scale("admin", 4)).size == 4
        await until(lambda: machines.states("admin") == {"one": ["bound"] * 2, "two": ["bound"] * 2})
        assert (await pools.scale("prewarmed", 4)).size == 4
        await until(lambda: machines.states("prewarmed") == {"one": ["prewarmed"] * 2, "two": ["prewarmed"] * 2})
        await pools.scale("admin", 2)
        await pools.scale("prewarmed", 0)
        await until(lambda: machines.states("admin") == {"one": ["bound"], "two": ["bound"]})
        await until(lambda: machines.states("prewarmed") == {})


async def test_a_runner_is_drained_under_load(machines: Machines) -> None:
    async with load(machines) as clients:
        before = set(clients.zygotes)
        for pool in machines.gateway.pools.pools():
            for runner in pool.runners if pool.name == "admin" else ():
                await machines.gateway.pools.drain_runner(runner.id)
        assert not await clients.later() & before


async def test_a_tenants_runners_are_drained_under_load(machines: Machines) -> None:
    async with load(machines, TENANT) as clients:
        before = set(clients.zygotes)
        await machines.gateway.pools.drain_pool(TENANT)
        assert not await clients.later() & before


async def test_a_host_is_drained_under_load_and_takes_calls_again(machines: Machines) -> None:
    pools = machines.gateway.pools
    async with load(machines) as clients:
        for drained, other in (("one", "two"), ("two", "one")):
            assert (await pools.drain_host(drained, draining=True)).draining
            await until(lambda drained=drained: [one.name for one in pools.hosts() if one.draining] == [drained])  # type: ignore[misc]
            assert await clients.later() <= zygotes(machines.hosts[other])
            await pools.drain_host(drained, draining=False)
            await until(lambda: not any(one.draining for one in pools.hosts()))
