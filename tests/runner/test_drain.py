"""Given a host under load, when runners are drained or pools scaled, then no call is lost and others take over."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest

from calls.call import Outcome
from calls.pools import PoolsUnavailable, UnknownPool, UnknownRunner
from runner.launcher import LaunchFailed, RunnerSpec
from runner.process import ProcessSandbox
from runner.tenants import TenantLimits
from tests.runner.bench import OWNER, Bench, Load, hosting, limits, tenants
from tests.runner.test_calls import HEAD, source
from tests.runner.test_tenants import WHO, A, B, UnguardedLauncher, prewarmed
from tests.waiting import until


class FailingLauncher(UnguardedLauncher):
    """Starts runners until it is told that it cannot."""

    broken = False

    async def start(self, spec: RunnerSpec) -> ProcessSandbox:
        """See Launcher."""
        if self.broken:
            raise LaunchFailed("the disk is full")
        return await super().start(spec)


@pytest.fixture
def launcher() -> FailingLauncher:
    return FailingLauncher(sys.executable, {"PATH": os.environ["PATH"]})


@pytest.fixture
def tenant_limits() -> TenantLimits:
    return tenants()


@pytest.fixture
async def bench(launcher: FailingLauncher, tenant_limits: TenantLimits) -> AsyncIterator[Bench]:
    async with hosting(launcher, limits(), tenant_limits) as bench:
        bench.modules.put("who", source(WHO))
        bench.modules.put("slow", source("time.sleep(0.3)\nreturn os.getppid()"))
        bench.modules.put(
            "gentle",
            HEAD + "import asyncio\n@expose.endpoint()\nasync def run(s: float = 0):\n"
            "    await asyncio.sleep(s)\n    return os.getppid()\n",
        )
        yield bench


def load(bench: Bench, owner: str = OWNER) -> Load:
    """Clients of this host, a quarter of them with coroutines."""

    async def call(number: int) -> int:
        if number % 4:
            return int((await bench.value("who", "run", owner=owner))[0])
        return int(await bench.value("gentle", "run", concurrent=True, owner=owner, s=0.01))

    return Load(call)


def runners(bench: Bench, pool: str = "admin") -> dict[str, str]:
    """States of a pool's runners by id."""
    return {runner.id: runner.state for one in bench.host.pools() if one.name == pool for runner in one.runners}


async def test_a_drained_runner_is_replaced_and_no_call_is_lost(bench: Bench) -> None:
    async with load(bench) as clients:
        [old] = runners(bench)
        before = set(clients.zygotes)
        status = await bench.host.drain_runner(old)
        assert [runner.state for runner in status.runners if runner.id != old] == ["bound"]
        assert old not in runners(bench) or runners(bench)[old] == "draining"
        assert not await clients.later() & before
    await until(lambda: list(runners(bench).values()) == ["bound"])
    with pytest.raises(UnknownRunner):
        await bench.host.drain_runner(old)


async def test_a_drained_runner_finishes_its_calls_and_takes_no_more(bench: Bench) -> None:
    [old] = runners(bench)
    long = bench.start("gentle", "run", concurrent=True, s=0.5)
    zygote = await bench.value("gentle", "run", concurrent=True)
    for _ in range(2):
        await bench.host.drain_runner(old)
    assert sorted(runners(bench).values()) == ["bound", "draining"]
    assert await bench.value("gentle", "run", concurrent=True) != zygote
    assert (await long).payload == str(zygote).encode()
    await until(lambda: list(runners(bench).values()) == ["bound"])


async def test_the_admins_pool_is_drained_one_by_one(bench: Bench) -> None:
    await bench.host.scale("admin", 2)
    async with load(bench) as clients:
        old = set(runners(bench))
        before = set(clients.zygotes)
        await bench.host.drain_pool("admin")
        assert not await clients.later() & before
    await until(lambda: len(runners(bench)) == 2)
    assert not old & runners(bench).keys()


async def test_a_runner_that_cannot_be_replaced_goes_on(bench: Bench, launcher: FailingLauncher) -> None:
    [old] = runners(bench)
    launcher.broken = True
    with pytest.raises(PoolsUnavailable, match="the disk is full"):
        await bench.host.drain_runner(old)
    assert runners(bench) == {old: "bound"}
    with pytest.raises(PoolsUnavailable, match="the disk is full"):
        await bench.host.scale("admin", 2)
    launcher.broken = False
    await until(lambda: list(runners(bench).values()) == ["bound"] * 2)


async def test_scaling_and_draining_at_once_ends_at_the_size_wanted(bench: Bench) -> None:
    async with load(bench):
        [old] = runners(bench)
        await asyncio.gather(bench.host.scale("admin", 3), bench.host.drain_runner(old), bench.host.scale("admin", 2))
    await until(lambda: list(runners(bench).values()) == ["bound"] * 2)


async def test_a_drained_tenant_gets_another_runner_with_its_next_call(bench: Bench) -> None:
    used = await bench.value("slow", "run", owner=A)
    other = await bench.value("slow", "run", owner=B)
    in_flight = bench.start("slow", "run", owner=A)
    for _ in range(2):
        status = await bench.host.drain_pool(A)
        assert (status.size, [runner.state for runner in status.runners]) == (0, ["draining"])
    assert await bench.value("slow", "run", owner=A) != used
    assert (await in_flight).payload == str(used).encode()
    await until(lambda: list(runners(bench, A).values()) == ["bound"])
    assert await bench.value("slow", "run", owner=B) == other
    with pytest.raises(UnknownPool):
        await bench.host.drain_pool("nobody")


async def test_a_tenant_under_load_is_drained_without_losing_calls(bench: Bench) -> None:
    async with load(bench, A) as clients:
        before = set(clients.zygotes)
        await bench.host.drain_pool(A)
        assert not await clients.later() & before
        [runner] = [one for one, state in runners(bench, A).items() if state == "bound"]
        await bench.host.drain_runner(runner)
        await clients.later()
    assert len(clients.zygotes) == 3


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=1)])
async def test_what_a_drained_tenant_still_uses_counts(bench: Bench) -> None:
    in_flight = bench.start("slow", "run", owner=A)
    await until(lambda: list(runners(bench, A).values()) == ["bound"])
    await bench.host.drain_pool(A)
    refused = await bench.call("who", "run", owner=B)
    assert (refused.outcome, b"MAX_TENANT_RUNNERS" in refused.payload) == (Outcome.UNAVAILABLE, True)
    assert (await in_flight).outcome is Outcome.VALUE
    await until(lambda: not runners(bench, A))
    assert (await bench.call("who", "run", owner=B)).outcome is Outcome.VALUE


async def test_prewarmed_runners_are_drained_and_replaced(bench: Bench) -> None:
    await until(lambda: prewarmed(bench) == ["prewarmed"])
    [old] = runners(bench, "prewarmed")
    await bench.host.drain_runner(old)
    await until(lambda: prewarmed(bench) == ["prewarmed"] and old not in runners(bench, "prewarmed"))
    [old] = runners(bench, "prewarmed")
    await bench.host.drain_pool("prewarmed")
    await until(lambda: prewarmed(bench) == ["prewarmed"] and old not in runners(bench, "prewarmed"))


async def test_a_host_that_stops_does_not_wait_for_what_was_drained(bench: Bench) -> None:
    bench.modules.put("endless", source("time.sleep(1000)"))
    endless = bench.start("endless", "run", owner=A)
    await until(lambda: any(one.busy for pool in bench.host.pools() if pool.name == A for one in pool.runners))
    await bench.host.drain_pool(A)
    await bench.host.close(0.1)
    assert (await endless).outcome is Outcome.DIED
    assert not bench.left()


async def test_what_has_happened_is_counted_by_kind_of_pool_and_never_forgotten(bench: Bench) -> None:
    bench.modules.put("dies", source("os._exit(3)"))
    assert (await bench.call("dies", "run", owner=A)).outcome is Outcome.DIED
    await bench.host.drain_pool(A)
    await until(lambda: not runners(bench, A))
    await bench.value("who", "run", owner=A)
    found = bench.host.tallies()
    assert found["tenants"].kills == {"exit code 3": 1}
    assert sum(found["tenants"].binds.counts) == 2
    assert sum(found["admin"].binds.counts) == sum(found["admin"].starts.counts) == 1
    assert 0 < found["admin"].starts.sum <= found["admin"].binds.sum
    assert sum(found["prewarmed"].starts.counts) >= 1
    assert found["admin"].kills == found["prewarmed"].kills == {}


async def test_a_busy_coroutine_worker_runs_no_call_of_a_newer_version(bench: Bench) -> None:
    text = (
        HEAD
        + "import asyncio\n@expose.endpoint()\nasync def run(s: float = 0):\n    await asyncio.sleep(s)\n    return {}\n"
    )
    bench.modules.put("shared", text.replace("{}", "1"))
    running = [bench.start("shared", "run", concurrent=True, s=seconds) for seconds in (0.5, 0.1)]
    assert (await running[1]).payload == b"1"
    bench.modules.put("shared", text.replace("{}", "2"))
    assert await bench.value("shared", "run", concurrent=True) == 2
    assert (await running[0]).payload == b"1"
