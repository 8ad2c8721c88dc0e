"""Tenants' pools: bound on the first call, to one tenant for life, within bounds; destroyed when not used.

The sandbox itself is the launcher's and tested there. Here local processes stand in for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from calls.call import Outcome
from calls.pools import PoolStatus
from runner.launcher import LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.process import ProcessLauncher
from runner.tenants import PlanOf, StartBudget, TenantLimits
from runner.worker import kernel
from store.contract import StoreUnavailable
from tests.runner.bench import Bench, hosting, limits, one_plan, runner_limits, tenants
from tests.runner.test_calls import source
from tests.waiting import until

A, B, C = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abc")
WHO = "return [os.getppid(), os.getpid()]"
STORM = 24
"""Tenants that call for the first time, all at once and again until they are served."""


class UnguardedLauncher(ProcessLauncher):
    """Runs tenants without a sandbox: the pools are under test, not the boundary."""

    async def check(self, trust: Trust) -> None:
        """Everything is allowed."""


@pytest.fixture
def tenant_limits() -> TenantLimits:
    return tenants()


@pytest.fixture
async def bench(tenant_limits: TenantLimits) -> AsyncIterator[Bench]:
    launcher = UnguardedLauncher(sys.executable, {"PATH": os.environ["PATH"]})
    async with hosting(launcher, limits(), tenant_limits) as bench:
        bench.modules.put("who", source(WHO))
        yield bench


def prewarmed(bench: Bench) -> list[str]:
    """States of the runners that nobody owns."""
    return [runner.state for runner in bench.host.pools()[1].runners]


async def test_the_first_call_binds_a_prewarmed_runner_and_another_is_prewarmed(bench: Bench) -> None:
    await until(lambda: prewarmed(bench) == ["prewarmed"])
    waiting = bench.host.pools()[1].runners[0].id
    reply = await bench.call("who", "run", owner=A)
    assert reply.outcome is Outcome.VALUE, reply
    assert reply.bind > 0
    [pool] = [pool for pool in bench.host.pools() if pool.name == A]
    assert [(runner.id, runner.owner, runner.state) for runner in pool.runners] == [(waiting, A, "bound")]
    await until(lambda: prewarmed(bench) == ["prewarmed"])
    assert (await bench.call("who", "run", owner=A)).bind == 0


async def test_two_tenants_never_share_a_runner(bench: Bench) -> None:
    zygotes = {owner: {(await bench.value("who", "run", owner=owner))[0] for _ in range(5)} for owner in (A, B)}
    assert len(zygotes[A]) == len(zygotes[B]) == 1
    assert zygotes[A].isdisjoint(zygotes[B])


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0)])
async def test_without_a_prewarmed_runner_one_is_started(bench: Bench) -> None:
    assert (await bench.call("who", "run", owner=A)).outcome is Outcome.VALUE


@pytest.mark.parametrize("tenant_limits", [tenants(idle_secs=0.3)])
async def test_an_unused_runner_is_destroyed_and_never_given_to_another(bench: Bench) -> None:
    used, _ = await bench.value("who", "run", owner=A)
    await until(lambda: not Path(f"/proc/{used}").exists())
    assert [pool.name for pool in bench.host.pools()] == ["admin", "prewarmed"]
    assert (await bench.value("who", "run", owner=B))[0] != used
    assert (await bench.value("who", "run", owner=A))[0] != used


@pytest.mark.parametrize("tenant_limits", [tenants(pool=limits(warm_workers=1, max_runners=1, worker_idle_secs=0.2))])
async def test_a_runner_that_nobody_calls_keeps_no_worker_and_serves_the_next_call(bench: Bench) -> None:
    zygote, worker = await bench.value("who", "run", owner=A)
    await until(lambda: [runner.workers for runner in pool_of(bench, A).runners] == [0])
    assert not Path(f"/proc/{worker}").exists()
    again, other = await bench.value("who", "run", owner=A)
    assert (again, other != worker) == (zygote, True)


@pytest.mark.parametrize("tenant_limits", [tenants(idle_secs=0.2)])
async def test_a_runner_with_a_call_in_flight_does_not_expire(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(1)\nreturn 'done'"))
    assert await bench.value("slow", "run", owner=A) == "done"


@pytest.mark.parametrize("tenant_limits", [tenants(idle_secs=0.2)])
async def test_a_runner_that_inspects_a_module_does_not_expire(bench: Bench) -> None:
    digest = bench.modules.keep("slow", f"import time\ntime.sleep(1)\n{source(WHO)}")
    assert (await bench.inspect("slow", {"slow": digest}, owner=A)).outcome is Outcome.VALUE


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=2)])
async def test_a_tenant_too_many_takes_the_place_of_one_that_is_quiet(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.tenants.KEPT_SECS", 0)
    for owner in (A, B, C):
        assert (await bench.call("who", "run", owner=owner)).outcome is Outcome.VALUE
    assert [pool.name for pool in bench.host.pools()][2:] == [B, C]


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=2)])
async def test_a_place_is_taken_only_when_who_had_it_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.tenants.KEPT_SECS", 0)
    for owner in (A, B):
        assert (await bench.call("who", "run", owner=owner)).outcome is Outcome.VALUE
    more = [bench.start("who", "run", owner=f"{number:08}-0000-4000-8000-000000000000") for number in range(2)]
    most = 0
    while not all(one.done() for one in more):
        most = max(most, sum(len(pool.runners) for pool in bench.host.pools()[1:]))
        await asyncio.sleep(0)
    assert [one.result().outcome for one in more] == [Outcome.VALUE] * 2
    assert most == 2


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=2, max_runners=4)])
async def test_a_storm_of_tenants_gets_no_more_runners_than_there_may_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.tenants.KEPT_SECS", 0)

    async def served(owner: str) -> None:
        while (reply := await bench.call("who", "run", owner=owner)).outcome is not Outcome.VALUE:
            assert reply.outcome is Outcome.UNAVAILABLE, reply
            await asyncio.sleep(0)

    storm = asyncio.gather(*(served(f"{number:08}-0000-4000-8000-000000000000") for number in range(STORM)))
    most = 0
    while not storm.done():
        most = max(most, sum(len(pool.runners) for pool in bench.host.pools()[1:]))
        await asyncio.sleep(0)
    await storm
    assert most == 4


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=1)])
async def test_a_tenant_too_many_takes_no_runner_that_was_just_used(bench: Bench) -> None:
    first = await bench.value("who", "run", owner=A)
    assert (await bench.call("who", "run", owner=B)).outcome is Outcome.UNAVAILABLE
    assert await bench.value("who", "run", owner=A) == first


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=1)])
async def test_a_tenant_too_many_is_refused_while_all_others_are_busy(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(1)\nreturn 'done'"))
    busy = bench.start("slow", "run", owner=A)
    refused = await bench.call("who", "run", owner=B)
    assert (refused.outcome, b"MAX_TENANT_RUNNERS" in refused.payload) == (Outcome.UNAVAILABLE, True)
    assert (await busy).outcome is Outcome.VALUE


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=2, max_runners=3)])
async def test_however_many_tenants_call_at_once_there_are_no_more_runners_than_may_be(bench: Bench) -> None:
    await until(lambda: [runner.state for runner in bench.host.pools()[1].runners] == ["prewarmed"] * 2)
    answers = [bench.start("who", "run", owner=f"{number:08}-0000-4000-8000-000000000000") for number in range(10)]
    outcomes = Counter([(await answer).outcome for answer in answers])
    assert outcomes == {Outcome.VALUE: 3, Outcome.UNAVAILABLE: 7}


@pytest.mark.parametrize("tenant_limits", [tenants(starts_per_minute=2)])
async def test_a_tenant_that_kills_its_runners_runs_out_of_them_and_others_do_not(bench: Bench) -> None:
    bench.modules.put("kill", source("os.kill(os.getppid(), 9)\ntime.sleep(1000)"))
    outcomes: list[Outcome] = []
    while len(outcomes) < 20 and Outcome.UNAVAILABLE not in outcomes:
        outcomes.append((await bench.call("kill", "run", owner=A)).outcome)
    assert outcomes[:2] == [Outcome.DIED] * 2
    assert outcomes[-1] is Outcome.UNAVAILABLE
    assert (await bench.call("who", "run", owner=B)).outcome is Outcome.VALUE


async def test_the_stock_is_scaled_while_it_runs(bench: Bench) -> None:
    await bench.host.scale("prewarmed", 3)
    await until(lambda: prewarmed(bench) == ["prewarmed"] * 3)
    await bench.host.scale("prewarmed", 0)
    await until(lambda: prewarmed(bench) == [])
    with pytest.raises(ValueError, match="MAX_TENANT_RUNNERS"):
        await bench.host.scale("prewarmed", 5)


async def test_a_prewarmed_runner_that_dies_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.stock._RETRY_SECS", 0.1)
    await until(lambda: prewarmed(bench) == ["prewarmed"])
    lost = bench.host.pools()[1].runners[0].id
    admin = {(await bench.value("who", "run"))[0]}
    [zygote] = set(kernel.marked(f"PLUGBAY_RUNNER={lost}".encode())) - admin
    os.kill(zygote, 9)
    await until(lambda: [runner.id for runner in bench.host.pools()[1].runners] not in ([], [lost]))
    await until(lambda: prewarmed(bench) == ["prewarmed"])


async def test_many_tenants_at_once_are_served_or_refused_and_never_mixed(bench: Bench) -> None:
    owners = [f"00000000-0000-4000-8000-0000000000{number:02}" for number in range(12)]
    replies = await asyncio.gather(*(bench.start("who", "run", owner=owner) for owner in owners))
    assert {reply.outcome for reply in replies} <= {Outcome.VALUE, Outcome.UNAVAILABLE}
    served = [reply.payload for reply in replies if reply.outcome is Outcome.VALUE]
    assert served
    assert len(set(served)) == len(served)


def pool_of(bench: Bench, owner: str) -> PoolStatus:
    """A tenant's pool now."""
    [pool] = [pool for pool in bench.host.pools() if pool.name == owner]
    return pool


def plan(runners: int, workers: int = 1, **changes: Any) -> PoolLimits:
    """What a plan gives."""
    return limits(warm_workers=1, max_runners=runners, runner=runner_limits(workers), **changes)


SLOW = "time.sleep(0.3)\nreturn os.getppid()"


@contextlib.asynccontextmanager
async def planned(plan_of: PlanOf, **changes: Any) -> AsyncIterator[Bench]:
    """A host whose tenants have these plans, and a module that takes its time."""
    launcher = UnguardedLauncher(sys.executable, {"PATH": os.environ["PATH"]})
    async with hosting(launcher, limits(), tenants(pool=plan(1), **changes), plan_of) as bench:
        bench.modules.put("who", source(WHO))
        bench.modules.put("slow", source(SLOW))
        yield bench


async def test_a_pool_grows_while_calls_wait_up_to_its_plan_and_shrinks_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.05)
    async with planned(one_plan(plan(3, worker_idle_secs=0.5)), max_runners=8) as bench:
        zygotes = await asyncio.gather(*(bench.value("slow", "run", owner=A) for _ in range(12)))
        assert len(set(zygotes)) == 3
        assert pool_of(bench, A).size == 3
        await until(lambda: [runner.state for runner in pool_of(bench, A).runners] == ["bound"])
        assert await bench.value("slow", "run", owner=A) in zygotes


async def test_a_pool_that_grows_takes_no_more_than_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async with planned(one_plan(plan(3)), max_runners=2, prewarmed=0) as bench:
        zygotes = await asyncio.gather(*(bench.value("slow", "run", owner=A) for _ in range(12)))
        assert len(set(zygotes)) == 2


async def test_another_plan_counts_from_the_next_runner_on() -> None:
    plans = {A: plan(1)}

    async def plan_of(owner: str) -> PoolLimits:
        return plans[owner]

    async with planned(plan_of, max_runners=8) as bench:
        assert len(set(await asyncio.gather(*(bench.value("slow", "run", owner=A) for _ in range(3))))) == 1
        plans[A] = plan(1, workers=3)
        [zygote] = {await bench.value("slow", "run", owner=A)}
        os.kill(zygote, 9)
        await until(lambda: not Path(f"/proc/{zygote}").exists())
        await asyncio.gather(*(bench.value("slow", "run", owner=A) for _ in range(9)))
        assert pool_of(bench, A).runners[0].workers == 3


async def test_a_store_that_is_away_leaves_the_plan_as_it_was() -> None:
    away = False

    async def plan_of(owner: str) -> PoolLimits:
        if away:
            raise StoreUnavailable("gone")
        return plan(1, workers=2)

    async with planned(plan_of) as bench:
        [zygote] = {await bench.value("slow", "run", owner=A)}
        away = True
        os.kill(zygote, 9)
        await until(lambda: not Path(f"/proc/{zygote}").exists())
        await asyncio.gather(*(bench.value("slow", "run", owner=A) for _ in range(6)))
        assert pool_of(bench, A).runners[0].workers == 2


async def test_a_runner_is_replaced_after_its_calls_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.02)
    async with planned(one_plan(plan(1, workers=4, max_calls=100)), starts_per_minute=1000, max_runners=8) as bench:
        seen: set[int] = set()

        async def client() -> None:
            while len(seen) < 4:
                seen.add((await bench.value("who", "run", owner=A))[0])

        await asyncio.gather(*(client() for _ in range(8)))
        assert pool_of(bench, A).kills == {}


async def test_without_room_a_runner_is_replaced_when_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.02)
    async with planned(one_plan(plan(1, max_calls=1)), prewarmed=0, max_runners=1) as bench:
        first = await bench.value("slow", "run", owner=A)
        await until(lambda: not Path(f"/proc/{first}").exists())
        assert await bench.value("slow", "run", owner=A) != first


def test_a_budget_refills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = StartBudget(2)
    budget.charge(A)
    budget.charge(A)
    with pytest.raises(LaunchFailed, match="2 times within a minute"):
        budget.charge(A)
    budget.charge(B)
    now += 31
    budget.charge(A)


async def test_the_runners_of_a_tenant_that_is_to_stop_end_after_its_calls(bench: Bench) -> None:
    bench.modules.put("naps", source("time.sleep(0.5)\nreturn os.getppid()"))
    call = asyncio.create_task(bench.value("naps", "run", owner=A))
    await until(lambda: any(runner.busy for pool in bench.host.pools() for runner in pool.runners))
    bench.host.end(A, 30)
    bench.host.end(A, 30)
    bench.host.end(B, 30)
    [ending] = bench.host.pools()[2:]
    assert (ending.size, [runner.state for runner in ending.runners]) == (0, ["draining"])
    zygote = await call
    await until(lambda: [pool.name for pool in bench.host.pools()] == ["admin", "prewarmed"])
    await until(lambda: not Path(f"/proc/{zygote}").exists())
    assert (await bench.value("who", "run", owner=A))[0] != zygote


async def test_a_pool_that_is_ended_while_it_starts_does_not_end_the_next_one(bench: Bench) -> None:
    first = asyncio.create_task(bench.call("who", "run", owner=A))
    await until(lambda: len(bench.host.pools()) == 3)
    bench.host.end(A, 0)
    assert await bench.value("who", "run", owner=A)
    assert (await first).outcome in (Outcome.VALUE, Outcome.UNAVAILABLE, Outcome.DIED)
    assert [pool.name for pool in bench.host.pools()] == ["admin", "prewarmed", A]
