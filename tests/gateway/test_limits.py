"""A plan's limits: what is let through, what waits, what is refused, and what of it is remembered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway import limits
from gateway.limits import OverPlan, PlanLimits
from plans import Plan
from store.contract import Role, Tenant

BASE = {"memory_mb": 256, "cpus": 1.0, "runners": 1, "workers": 4}


def tenant(number: int = 0, plan: str = "free") -> Tenant:
    return Tenant(uuid=f"0e3c5f3a-4a3b-4f53-9be0-{number:012}", plan=plan)


def of(gateways: int = 1, wait: float = 30, **plan: float) -> PlanLimits:
    return PlanLimits({"free": Plan.model_validate(BASE | plan)}, gateways, wait)


async def through(held: AsyncExitStack, known: PlanLimits, calls: int, who: Tenant | None = None) -> int:
    """How many of so many calls are let through at once."""
    for number in range(calls):
        try:
            await held.enter_async_context(known.within(who or tenant()))
        except OverPlan:
            return number
    return calls


async def test_without_limits_all_goes_through() -> None:
    async with AsyncExitStack() as held:
        assert await through(held, of(), 500) == 500


async def test_a_burst_then_a_rate_and_each_tenant_its_own() -> None:
    known = of(rate=0.001, burst=5)
    async with AsyncExitStack() as held:
        assert await through(held, known, 10) == 5
        with pytest.raises(OverPlan, match=r"plan free: at most 0\.001 calls per second") as refused:
            async with known.within(tenant()):
                raise AssertionError
        assert 900 <= refused.value.retry_after <= 1000
        assert await through(held, known, 10, tenant(1)) == 5


async def test_who_waits_long_enough_calls_again() -> None:
    known = of(rate=50, burst=1)
    async with AsyncExitStack() as held:
        assert await through(held, known, 2) == 1
        while await through(held, known, 1) == 0:
            await asyncio.sleep(0.005)


async def test_gateways_share_what_a_plan_says() -> None:
    async with AsyncExitStack() as held:
        assert await through(held, of(gateways=2, rate=0.001, burst=5), 10) == 2
        assert await through(held, of(gateways=2, concurrency=5, queue=0), 10) == 3


async def test_calls_wait_in_order_and_no_more_than_may() -> None:
    known = of(concurrency=1, queue=2)
    order: list[int] = []
    go = asyncio.Event()

    async def call(number: int) -> None:
        async with known.within(tenant()):
            order.append(number)
            await go.wait()

    calls = [asyncio.create_task(call(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert order == [0]
    with pytest.raises(OverPlan, match="plan free: at most 1 calls at once, and 2 that wait"):
        await call(3)
    calls[1].cancel()
    await asyncio.wait([calls[1]])
    calls.append(asyncio.create_task(call(4)))
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait(calls)
    assert order == [0, 2, 4]
    await call(5)


async def test_waiting_ends() -> None:
    known = of(concurrency=1, queue=9, wait=0.02)
    async with known.within(tenant()):
        with pytest.raises(OverPlan, match=r"none ended for 0\.02 s"):
            async with known.within(tenant()):
                raise AssertionError
    async with known.within(tenant()):
        return


async def test_a_place_is_given_back_when_a_call_fails() -> None:
    known = of(concurrency=1, queue=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with known.within(tenant()):
                raise ZeroDivisionError


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_GATES", 3)
    known = of(rate=0.001, burst=1, concurrency=1, queue=0)
    async with AsyncExitStack() as held:
        assert await through(held, known, 1, tenant(0)) == 1
        for number in range(1, 20):
            async with known.within(tenant(number)):
                assert len(known._gates) <= 3
        assert await through(held, known, 1, tenant(0)) == 0


async def test_a_plan_that_is_no_more_is_free() -> None:
    async with of(seconds=1.5).within(tenant(plan="gone")) as plan:
        assert plan is not None
        assert plan.seconds == 1.5


async def test_no_plan_bounds_an_admin() -> None:
    known = of(rate=0.001, burst=1, concurrency=1, queue=0, results=0)
    admin = Tenant(uuid="a", plan="", role=Role.ADMIN)
    async with known.within(admin) as first, known.within(admin) as second, known.place(admin) as third:
        assert [first, second, third] == [None] * 3
    assert [known.named(admin), known.plan(admin), known.plan(None)] == [None] * 3
