"""The runner host: all pools of one machine, behind the broker's `CallHandler` and the operators' `HostPools`."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from calls.broker import Answer
from calls.call import Call
from calls.pools import ADMIN, PREWARMED, TENANTS, PoolStatus, PoolsUnavailable, Tally, UnknownPool, UnknownRunner
from runner.job import Job
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.modules import ModuleSource
from runner.own_variables import OwnVariables, VariablesOf, none
from runner.pool import Environment, Pool
from runner.tenants import Consumed, PlanOf, TenantLimits, TenantPools, uncounted


class NoEnvironment:
    """Nothing besides the modules: see runner.pool.Environment."""

    def variables(self) -> dict[str, str]:
        """See Environment."""
        return {}

    def packages(self) -> list[str]:
        """See Environment."""
        return []


class Host:
    """Owns every runner on this machine."""

    def __init__(
        self,
        admin: str,
        launcher: Launcher,
        source: ModuleSource,
        environment: Environment,
        folder: Path,
        limits: PoolLimits,
        tenants: TenantLimits,
        plan_of: PlanOf,
        variables_of: VariablesOf = none,
        consumed: Consumed = uncounted,
    ) -> None:
        """`folder` exists, belongs to this host alone, and is removed by `close`."""
        self._folder = folder
        self._admin = admin
        own = OwnVariables(admin, variables_of)  # an admin that was a tenant elsewhere has some
        self._pool = Pool(ADMIN, admin, Trust.ADMIN, launcher, source, environment, self._folder, limits, own=own)
        self._tenants = TenantPools(
            launcher, source, NoEnvironment(), self._folder, tenants, plan_of, variables_of, consumed
        )

    async def start(self) -> None:
        """Starts the admin pool. Raises LaunchFailed, ControlMissing or StoreUnavailable; `close` ends what was
        started."""
        await self._pool.start()
        await self._tenants.start()

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        job = Job(call, answer)
        if call.owner == self._admin:
            self._pool.accept(job)
        else:
            self._tenants.accept(job)

    def changed(self, owner: str, revision: int) -> None:
        """An owner's module set has a new revision: its workers are replaced ahead of the next call."""
        if owner == self._admin:
            self._pool.prepare(revision)
        else:
            self._tenants.changed(owner, revision)

    def end(self, tenant: str, seconds: float) -> None:
        """A tenant's code is not to run any more: its runners end once its calls have, or after so many seconds."""
        self._tenants.end(tenant, seconds)

    def variables_changed(self, owner: str) -> None:
        """An owner's variables in the store are others now: its workers are replaced."""
        if owner == self._admin:
            self._pool.variables_changed()
        else:
            self._tenants.variables_changed(owner)

    def renew_admin(self) -> None:
        """The admin's packages have changed: its workers are replaced."""
        self._pool.renew()

    def pools(self) -> list[PoolStatus]:
        """See calls.pools.HostPools."""
        return [self._pool.status(), *self._tenants.statuses()]

    def tallies(self) -> dict[str, Tally]:
        """See calls.pools.HostPools."""
        prewarmed, tenants = self._tenants.tallies()
        return {ADMIN: self._pool.tally, PREWARMED: prewarmed, TENANTS: tenants}

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool == PREWARMED:
            return self._tenants.prewarm(size)
        if pool != ADMIN:
            raise UnknownPool(pool)
        with _refusals():
            await self._pool.scale(size)
        return self._pool.status()

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool == PREWARMED:
            return self._tenants.drain_prewarmed()
        if pool != ADMIN:
            return self._tenants.drain_tenant(pool)
        for runner in self._pool.status().runners:
            with _refusals(), contextlib.suppress(UnknownRunner):  # one that has ended meanwhile
                await self._pool.drain(runner.id)
        return self._pool.status()

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        with _refusals():
            if not self._pool.has(runner):
                return await self._tenants.drain_runner(runner)
            await self._pool.drain(runner)
        return self._pool.status()

    async def close(self, seconds: float) -> None:
        """Lets calls finish for so long, then ends every runner; nothing of them is left."""
        await asyncio.gather(self._pool.close(seconds), self._tenants.close(seconds))
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Why no runner could be started, in the words of HostPools."""
    try:
        yield
    except (LaunchFailed, ControlMissing) as error:
        raise PoolsUnavailable(f"no runner could be started: {error}") from error
