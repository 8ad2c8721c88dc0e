"""Pools of further admins: trusted, each one's own, and only where the store says that the owner is one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import msgspec
import pytest

from calls.call import Outcome, Reply
from calls.pools import ADMINS, PoolStatus, UnknownPool
from runner.launcher import LaunchFailed
from runner.process import ProcessLauncher
from store.contract import Role, StoreUnavailable
from tests.runner.bench import OWNER, Bench, hosting, limits, tenants
from tests.runner.test_calls import source
from tests.waiting import until

A, B, TENANT = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abc")
PATH = os.environ["PATH"]


class Accounts:
    """What the store says of every owner, once it is `known`."""

    def __init__(self) -> None:
        self.roles = {A: Role.ADMIN, B: Role.ADMIN, TENANT: Role.TENANT}
        self.known = asyncio.Event()
        self.known.set()
        self.asked = 0
        self.error: Exception | None = None

    async def role_of(self, owner: str) -> Role:
        """See runner.sorting.RoleOf."""
        self.asked += 1
        role, error = self.roles.get(owner), self.error  # as they are when it is asked
        await self.known.wait()
        if error is not None:
            raise error
        if role is None:
            raise LaunchFailed(f"{owner} is unknown")
        return role


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
async def bench(accounts: Accounts) -> AsyncIterator[Bench]:
    """A host that can run tenants nowhere: whoever is taken for one is refused."""
    launcher = ProcessLauncher(sys.executable, {"PATH": PATH, "OF_THE_SERVER": "yes"})
    admins = ProcessLauncher(sys.executable, {"PATH": PATH})
    async with hosting(launcher, limits(), tenants(), role_of=accounts.role_of, admins=admins) as bench:
        bench.modules.put("who", source("return [os.getppid(), os.getpid()]"))
        yield bench


def pool_of(bench: Bench, owner: str) -> PoolStatus | None:
    return next((pool for pool in bench.host.pools() if pool.name == owner), None)


def refused(reply: Reply) -> str:
    assert reply.outcome is Outcome.UNAVAILABLE, reply
    return reply.payload.decode()


async def zygote(bench: Bench, owner: str) -> int:
    parent: int = (await bench.value("who", "run", owner=owner))[0]
    return parent


async def test_each_admin_has_a_pool_of_its_own_from_its_first_call_on(bench: Bench) -> None:
    assert [pool.name for pool in bench.host.pools()] == ["admin", "prewarmed"]
    zygotes = [await zygote(bench, owner) for owner in (OWNER, A, B, A, B, OWNER)]
    assert zygotes[:3] == zygotes[5:] + zygotes[3:5]
    assert len(set(zygotes)) == 3
    shown = pool_of(bench, A)
    assert shown is not None
    assert (shown.kind, shown.size, [runner.owner for runner in shown.runners]) == (ADMINS, 1, [A])
    assert "sandbox: a local process is no boundary" in refused(await bench.call("who", "run", owner=TENANT))


async def test_its_modules_are_tried_in_that_pool_too(bench: Bench) -> None:
    digest = bench.modules.keep("mine", source("return 1"))
    reply = await bench.inspect("mine", {"mine": digest}, owner=A)
    assert reply.outcome is Outcome.VALUE, reply
    assert pool_of(bench, A) is not None


async def test_it_sees_nothing_of_the_variables_of_the_installations_admin(bench: Bench) -> None:
    bench.modules.put("see", source("return [os.environ.get(name) for name in ('FROM_OWNER', 'OF_THE_SERVER')]"))
    assert await bench.value("see", "run") == ["yes", "yes"]
    assert await bench.value("see", "run", owner=A) == [None, None]


async def test_calls_wait_until_it_is_known_whose_they_are(bench: Bench, accounts: Accounts) -> None:
    accounts.known.clear()
    calls = [bench.start("who", "run", owner=A) for _ in range(3)]
    await until(lambda: accounts.asked == 1)
    assert pool_of(bench, A) is None
    accounts.known.set()
    found = {msgspec.json.decode((await call).payload)[0] for call in calls}
    assert found == {await zygote(bench, A)}
    assert accounts.asked == 1, "whoever has a pool is not asked for again"


@pytest.mark.parametrize("error", [StoreUnavailable("the store is away"), LaunchFailed("it is disabled")])
async def test_while_that_is_not_known_nothing_runs(bench: Bench, accounts: Accounts, error: Exception) -> None:
    accounts.error = error
    assert refused(await bench.call("who", "run", owner=A)) == str(error)
    assert pool_of(bench, A) is None
    accounts.error = None
    assert await zygote(bench, A)


async def test_a_change_meanwhile_has_the_store_asked_again(bench: Bench, accounts: Accounts) -> None:
    accounts.known.clear()
    call = bench.start("who", "run", owner=A)
    await until(lambda: accounts.asked == 1)
    del accounts.roles[A]
    bench.host.end(A, 5)
    accounts.known.set()
    assert "unknown" in refused(await call)
    assert pool_of(bench, A) is None


async def test_its_runners_end_with_it_once_its_calls_have(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(0.5)\nreturn 'done'"))
    others = await zygote(bench, B)
    before = await zygote(bench, A)
    slow = bench.start("slow", "run", owner=A)
    await until(lambda: any(runner.busy for pool in bench.host.pools() for runner in pool.runners))
    bench.host.end(A, 10)
    assert msgspec.json.decode((await slow).payload) == "done"
    await until(lambda: pool_of(bench, A) is None)
    assert await zygote(bench, A) != before
    assert await zygote(bench, B) == others


async def test_an_operator_scales_and_drains_it(bench: Bench) -> None:
    with pytest.raises(UnknownPool):
        await bench.host.scale(A, 2)
    before = await zygote(bench, A)
    scaled = await bench.host.scale(A, 2)
    assert (scaled.name, scaled.size, len(scaled.runners)) == (A, 2, 2)
    with pytest.raises(ValueError, match="MAX_RUNNERS"):
        await bench.host.scale(A, 5)
    await bench.host.drain_pool(A)
    await until(lambda: before not in bench.left())
    shown = pool_of(bench, A)
    assert shown is not None
    assert shown.size == 2
    first = next(runner.id for runner in shown.runners if runner.state == "bound")
    assert (await bench.host.drain_runner(first)).name == A
    await until(lambda: first not in [runner.id for pool in bench.host.pools() for runner in pool.runners])
    assert await zygote(bench, A)


async def test_its_workers_are_replaced_when_packages_or_modules_change(bench: Bench) -> None:
    worker = (await bench.value("who", "run", owner=A))[1]
    bench.host.renew_admins()
    await until(lambda: worker not in bench.left())
    bench.modules.put("more", source("return 'new'"))
    bench.host.changed(A, bench.modules.revision)
    assert await bench.value("more", "run", owner=A) == "new"


async def test_a_host_that_ends_answers_what_it_holds(bench: Bench, accounts: Accounts) -> None:
    accounts.known.clear()
    call = bench.start("who", "run", owner=A)
    await until(lambda: accounts.asked == 1)
    closing = asyncio.create_task(bench.host.close(5))
    accounts.known.set()
    await closing
    assert (await call).outcome in (Outcome.VALUE, Outcome.UNAVAILABLE)
    assert "shutting down" in refused(await bench.call("who", "run", owner=B))


async def test_one_whose_runners_cannot_start_is_told_why(accounts: Accounts) -> None:
    broken = ProcessLauncher("/nonexistent", {})
    async with hosting(
        *(ProcessLauncher(sys.executable, {"PATH": PATH}), limits(), tenants()),
        role_of=accounts.role_of,
        admins=broken,
    ) as other:
        assert "cannot be started" in refused(await other.call("who", "run", owner=A))
        await until(lambda: pool_of(other, A) is None)
