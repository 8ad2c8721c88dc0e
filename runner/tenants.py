"""The pools of tenants: made by a tenant's first call, ended when it has not called for long.

A runner belongs to one tenant for its whole life; what ends with a pool is destroyed, never given away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from calls.call import Outcome
from calls.pools import TENANTS, PoolStatus, Tally, UnknownPool, UnknownRunner, by_name
from runner.job import Job
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.modules import ModuleSource
from runner.own_variables import OwnVariables, VariablesOf
from runner.pool import Environment, Pool
from runner.runner import Limits, Runner
from runner.stock import Stock
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.runner")

KEPT_SECS: Final = 5.0
"""Seconds after a call for which a tenant keeps its runner, however many others have none."""
_MINUTE: Final = 60.0


@dataclass(frozen=True)
class TenantLimits:
    """Bounds of all tenants' pools together, and of each."""

    prewarmed: int
    """Runners kept ready for whoever calls first."""
    max_runners: int
    """Runners of all tenants, prewarmed ones included."""
    idle_secs: float
    """Seconds without a call after which a tenant's runners end."""
    starts_per_minute: int
    """Runners one tenant may use up in a minute."""
    pool: PoolLimits
    """Of a tenant whose plan is the least one; prewarmed runners have its resources."""


class PlanOf(Protocol):
    """Knows every tenant's plan."""

    async def __call__(self, owner: str) -> PoolLimits:
        """The bounds of this tenant's pool, as its plan gives them now. Raises StoreUnavailable, and LaunchFailed
        when its code is not to run."""


class Consumed(Protocol):
    """Hears of the processor time that tenants and further admins use."""

    def __call__(self, owner: str, seconds: float) -> None:
        """The runners of this one have had so much more, their starts included."""


def uncounted(owner: str, seconds: float) -> None:
    """Where nobody wants to know. See Consumed."""


class StartBudget:
    """A token bucket per tenant: what a tenant that kills its runners may cost the machine."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}

    def charge(self, owner: str) -> None:
        """One more start. Raises LaunchFailed when the tenant has used up its starts."""
        now = time.monotonic()
        left, then = self._buckets.get(owner, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - then) * self._per_minute / _MINUTE)
        if left < 1:
            raise LaunchFailed(f"the runners of this tenant were started {self._per_minute} times within a minute")
        self._buckets[owner] = (left - 1, now)
        full = [name for name, (_, when) in self._buckets.items() if now - when > _MINUTE]
        for name in full:  # a full bucket says the same as none
            del self._buckets[name]


class TenantPools:
    """All pools of tenants on this host."""

    def __init__(
        self,
        launcher: Launcher,
        source: ModuleSource,
        environment: Environment,
        folder: Path,
        limits: TenantLimits,
        plan_of: PlanOf,
        variables_of: VariablesOf,
        consumed: Consumed,
    ) -> None:
        self._launcher = launcher
        self._source = source
        self._environment = environment
        self._folder = folder
        self._limits = limits
        self._plan_of = plan_of
        self._variables_of = variables_of
        self._consumed = consumed
        self._stock = Stock(limits.prewarmed, self._new_runner, lambda: not self._full())
        self._budget = StartBudget(limits.starts_per_minute)
        self._pools: dict[str, Pool] = {}
        self._used: dict[str, float] = {}
        self._ending: dict[Pool, asyncio.Event] = {}
        """Pools that finish their calls, with what is set once nothing of them is left; their tenants' next calls
        go to others."""
        self._heirs: dict[Pool, Pool] = {}
        """Pools without a runner → those that end, whose place they wait for."""
        self._ended = Tally()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins to prewarm, when tenants' code can be run safely here. With nothing to prewarm, that is found
        out when the first tenant calls."""
        if not self._limits.prewarmed:
            return
        try:
            await self._launcher.check(Trust.TENANT)
        except ControlMissing as error:
            log.warning("modules of tenants will not run: %s", error)
        else:
            self._stock.fill()

    def _new_runner(self, stock: Stock) -> Runner:
        return Runner(stock, self._launcher, self._folder, Trust.TENANT, self._limits.pool.runner)

    def has_room(self) -> bool:
        """Whether one more runner of a tenant is within the bound, or a prewarmed one that nobody waits for can
        become it."""
        return self._needed(1) <= self._limits.max_runners

    def take(self, owner: str, limits: Limits) -> Runner | None:
        """A prewarmed runner for the tenant to bind; None: start one. Raises LaunchFailed when that is not allowed."""
        self._budget.charge(owner)
        fits = limits.resources == self._limits.pool.runner.resources or self._launcher.resizes(Trust.TENANT)
        if fits or self._full(1 - min(1, self._pools[owner].missing)):
            runner = self._stock.take()
            if fits or runner is None:
                return runner
            runner.drain("its place is needed for a runner of another size")
        return None

    async def limits(self, owner: str) -> PoolLimits:
        """See PlanOf."""
        return await self._plan_of(owner)

    def _full(self, more: int = 1) -> bool:
        """Whether `more` runners besides those that are there or wanted are too many if none is a prewarmed one."""
        return len(self._stock) + self._running() + self._waiting() + more > self._limits.max_runners

    def _running(self) -> int:
        """Runners that tenants have, those included that are about to be gone."""
        return sum(pool.runners for pool in (*self._pools.values(), *self._ending))

    def _waiting(self) -> int:
        """Runners that are about to be taken or started. The place of one that is not gone yet is counted as that
        one's."""
        inherited = sum(leaving.runners > 0 for leaving in self._heirs.values())
        return sum(pool.missing for pool in self._pools.values()) - inherited

    def _needed(self, more: int) -> int:
        """Runners there will be once every pool has those wanted, and `more` besides: who waits for one is given a
        prewarmed one while there is any."""
        waiting = self._waiting() + more
        return self._running() + waiting + len(self._stock) - min(waiting, self._stock.ready)

    def has(self, owner: str) -> bool:
        """Whether there is a pool for this tenant's next call."""
        return owner in self._pools

    def accept(self, job: Job) -> None:
        """Takes one call of a tenant; it is answered whatever happens."""
        owner = job.call.owner
        pool = self._pools.get(owner)
        if pool is None:
            leaving = None
            if self._needed(1) > self._limits.max_runners and (leaving := self._leaving()) is None:
                full = f"all {self._limits.max_runners} runners for tenants are in use (MAX_TENANT_RUNNERS)"
                job.finish(Outcome.UNAVAILABLE, full)
                return
            pool = self._open(owner, leaving)
        self._used[owner] = time.monotonic()
        pool.accept(job)

    def _open(self, owner: str, leaving: Pool | None) -> Pool:
        """A pool for this tenant, which starts in the place of one that ends."""
        pool = self._pools[owner] = Pool(
            owner,
            TENANTS,
            owner,
            Trust.TENANT,
            self._launcher,
            self._source,
            self._environment,
            self._folder,
            self._limits.pool,
            _Supply(self, owner),
            OwnVariables(owner, self._variables_of),
            partial(self._consumed, owner),
        )
        if leaving is not None:
            self._heirs[pool] = leaving
        self._own(self._start(owner, pool))
        return pool

    async def _start(self, owner: str, pool: Pool) -> None:
        if (leaving := self._heirs.get(pool)) is not None:
            if (gone := self._ending.get(leaving)) is not None:
                await gone.wait()
            del self._heirs[pool]
        try:
            # Nothing is checked before: the launcher does so for every runner that it starts, and asking the
            # Engine would take as long as binding one that is prewarmed.
            await pool.start()
        except (LaunchFailed, ControlMissing, StoreUnavailable) as error:
            pool.refuse_waiting(str(error))
            if self._pools.get(owner) is pool:  # else it was ended meanwhile
                self._end(owner, 0)
        else:
            asyncio.get_running_loop().call_later(self._limits.idle_secs, self._expire, owner, pool)

    def _expire(self, owner: str, pool: Pool) -> None:
        """Ends a pool that is not used any more; looks again later at one that is."""
        if self._pools.get(owner) is not pool:
            return
        left = self._used[owner] + self._limits.idle_secs - time.monotonic()
        if left > 0 or not pool.quiet:
            asyncio.get_running_loop().call_later(max(left, 1.0), self._expire, owner, pool)
        else:
            self._end(owner, 0)

    def end(self, owner: str, seconds: float) -> None:
        """Ends a tenant's pool; the calls it has get so many seconds to finish."""
        if owner in self._pools:
            self._end(owner, seconds)

    def _leaving(self) -> Pool | None:
        """A pool that is about to be gone, and nobody waits for its place yet. If there is none, the one is ended that
        was not used for the longest time, of those that are quiet and not in everyday use."""
        for pool in self._ending:
            if pool.quiet and pool.runners and pool not in self._heirs.values():
                return pool
        before = time.monotonic() - KEPT_SECS
        quiet = [owner for owner, pool in self._pools.items() if pool.quiet and self._used[owner] <= before]
        return self._end(min(quiet, key=self._used.__getitem__), 0) if quiet else None

    def _end(self, owner: str, seconds: float | None) -> Pool:
        """The tenant's next call opens another pool; the calls of this one may take so long."""
        pool = self._forget(owner)
        pool.refuse_new()
        self._ending[pool] = asyncio.Event()
        self._own(self._close(pool, seconds))
        return pool

    async def _close(self, pool: Pool, seconds: float | None) -> None:
        await pool.close(seconds)
        self._ending.pop(pool).set()
        self._ended.add(pool.tally)

    def _forget(self, owner: str) -> Pool:
        del self._used[owner]
        return self._pools.pop(owner)

    def changed(self, owner: str, revision: int) -> None:
        """A tenant's module set has a new revision."""
        if pool := self._pools.get(owner):
            pool.prepare(revision)

    def variables_changed(self, owner: str) -> None:
        """A tenant's variables are others now."""
        if pool := self._pools.get(owner):
            pool.variables_changed()

    def statuses(self) -> list[PoolStatus]:
        """The stock, then every pool."""
        ending = (pool for pool in self._ending if pool.runners)
        return [self._stock.status(), *by_name(pool.status() for pool in (*self._pools.values(), *ending))]

    def tallies(self) -> tuple[Tally, Tally]:
        """What has happened in the stock, and in all tenants' pools together."""
        total = Tally()
        for tally in (self._ended, *(pool.tally for pool in (*self._pools.values(), *self._ending))):
            total.add(tally)
        return self._stock.tally, total

    def drain_prewarmed(self) -> PoolStatus:
        """Replaces every prewarmed runner."""
        self._stock.drain()
        return self._stock.status()

    def drain_tenant(self, owner: str) -> PoolStatus:
        """Ends a tenant's runners once their calls are answered; its next call binds another. Raises UnknownPool."""
        if owner in self._pools:
            return self._end(owner, None).status()
        ending = [pool.status() for pool in self._ending if pool.owner == owner]
        if not ending:
            raise UnknownPool(owner)
        return ending[-1]

    async def drain_runner(self, runner: str) -> PoolStatus:
        """Ends one runner of any tenant's, or of none's. Raises UnknownRunner, PoolsUnavailable, LaunchFailed or
        ControlMissing."""
        if self._stock.drain_one(runner):
            return self._stock.status()
        for pool in (*self._pools.values(), *self._ending):
            if pool.has(runner):
                await pool.drain(runner)
                return pool.status()
        raise UnknownRunner(runner)

    def prewarm(self, size: int) -> PoolStatus:
        """Keeps so many prewarmed runners. Raises ValueError naming the bound."""
        if not 0 <= size <= self._limits.max_runners:
            raise ValueError(f"size must be between 0 and {self._limits.max_runners} (MAX_TENANT_RUNNERS)")
        self._stock.resize(size)
        return self._stock.status()

    async def close(self, seconds: float) -> None:
        """Lets calls finish for so long, then ends every runner."""
        for owner in list(self._pools):
            self._end(owner, seconds)
        # What an operator has drained, however long its calls may take, does not keep the host any longer.
        await asyncio.gather(self._stock.close(), *(pool.close(seconds) for pool in self._ending))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Supply:
    """All tenants' runners, as one tenant may have of them. See runner.crew.Supply."""

    def __init__(self, pools: TenantPools, owner: str) -> None:
        self._pools = pools
        self._owner = owner

    async def limits(self) -> PoolLimits:
        """See Supply."""
        return await self._pools.limits(self._owner)

    def has_room(self) -> bool:
        """See Supply."""
        return self._pools.has_room()

    def take(self, limits: Limits) -> Runner | None:
        """See Supply."""
        return self._pools.take(self._owner, limits)
