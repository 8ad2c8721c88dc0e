"""Tenants' pools: bound on the first call, to one tenant for life, within bounds; destroyed when not used.

The sandbox itself is the launcher's and tested there. Here local processes stand in for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calls.call import Outcome
from runner.launcher import LaunchFailed, Trust
from runner.process import ProcessLauncher
from runner.tenants import StartBudget, TenantLimits
from runner.worker import kernel
from tests.runner.bench import Bench, hosting, limits, tenants, until
from tests.runner.test_calls import source

A, B, C = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abc")
WHO = "return [os.getppid(), os.getpid()]"


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


@pytest.mark.parametrize("tenant_limits", [tenants(idle_secs=0.2)])
async def test_a_runner_with_a_call_in_flight_does_not_expire(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(1)\nreturn 'done'"))
    assert await bench.value("slow", "run", owner=A) == "done"


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=2)])
async def test_a_tenant_too_many_takes_the_place_of_one_that_is_quiet(bench: Bench) -> None:
    for owner in (A, B, C):
        assert (await bench.call("who", "run", owner=owner)).outcome is Outcome.VALUE
    assert [pool.name for pool in bench.host.pools()][2:] == [B, C]


@pytest.mark.parametrize("tenant_limits", [tenants(prewarmed=0, max_runners=1)])
async def test_a_tenant_too_many_is_refused_while_all_others_are_busy(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(1)\nreturn 'done'"))
    busy = bench.start("slow", "run", owner=A)
    refused = await bench.call("who", "run", owner=B)
    assert (refused.outcome, b"MAX_TENANT_RUNNERS" in refused.payload) == (Outcome.UNAVAILABLE, True)
    assert (await busy).outcome is Outcome.VALUE


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
