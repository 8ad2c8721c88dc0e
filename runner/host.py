"""The runner host: all pools of one machine, behind the broker's `CallHandler` and the operators' `HostPools`."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from calls.broker import Answer
from calls.call import Call
from calls.pools import (
    ADMIN,
    ADMINS,
    PREWARMED,
    TENANTS,
    PoolStatus,
    PoolsUnavailable,
    Tally,
    UnknownPool,
    UnknownRunner,
)
from runner.admins import AdminPools
from runner.job import Job
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.modules import ModuleSource
from runner.own_variables import OwnVariables, VariablesOf, none
from runner.pool import Environment, Pool
from runner.sorting import RoleOf, Sorting, tenants_alone
from runner.tenants import Consumed, PlanOf, TenantLimits, TenantPools, uncounted
from store.contract import Role


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
        role_of: RoleOf = tenants_alone,
        admins: Launcher | None = None,
    ) -> None:
        """`folder` exists, belongs to this host alone, and is removed by `close`. `admins` starts the runners of
        further admins, where that is not `launcher`."""
        self._folder = folder
        self._admin = admin
        own = OwnVariables(admin, variables_of)  # an admin that was a tenant elsewhere has some
        self._pool = Pool(
            ADMIN, ADMIN, admin, Trust.ADMIN, launcher, source, environment, self._folder, limits, own=own
        )
        self._tenants = TenantPools(
            launcher, source, NoEnvironment(), self._folder, tenants, plan_of, variables_of, consumed
        )
        self._admins = AdminPools(admins or launcher, source, environment, self._folder, limits, variables_of, consumed)
        self._sorting = Sorting(role_of, {Role.ADMIN: self._admins.accept, Role.TENANT: self._tenants.accept})

    async def start(self) -> None:
        """Starts the admin pool. Raises LaunchFailed, ControlMissing or StoreUnavailable; `close` ends what was
        started."""
        await self._pool.start()
        await self._tenants.start()

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        job = Job(call, answer)
        if pool := self._of_admin(call.owner):
            pool.accept(job)
        elif self._tenants.has(call.owner):
            self._tenants.accept(job)
        else:
            self._sorting.accept(job)

    def _of_admin(self, owner: str) -> Pool | None:
        """The pool of this admin; None where that is no admin, or none that has one."""
        return self._pool if owner == self._admin else self._admins.find(owner)

    def changed(self, owner: str, revision: int) -> None:
        """An owner's module set has a new revision: its workers are replaced ahead of the next call."""
        if pool := self._of_admin(owner):
            pool.prepare(revision)
        else:
            self._tenants.changed(owner, revision)

    def end(self, owner: str, seconds: float) -> None:
        """The code of a tenant or further admin is not to run any more: its runners end once its calls have, or after
        so many seconds."""
        self._sorting.changed(owner)
        self._admins.end(owner, seconds)
        self._tenants.end(owner, seconds)

    def variables_changed(self, owner: str) -> None:
        """An owner's variables in the store are others now: its workers are replaced."""
        if pool := self._of_admin(owner):
            pool.variables_changed()
        else:
            self._tenants.variables_changed(owner)

    def renew_admins(self) -> None:
        """The packages of admins have changed, or variables of the installation's: their workers are replaced."""
        self._pool.renew()
        self._admins.renew()

    def pools(self) -> list[PoolStatus]:
        """See calls.pools.HostPools."""
        return [self._pool.status(), *self._admins.statuses(), *self._tenants.statuses()]

    def tallies(self) -> dict[str, Tally]:
        """See calls.pools.HostPools."""
        prewarmed, tenants = self._tenants.tallies()
        return {ADMIN: self._pool.tally, ADMINS: self._admins.tally, PREWARMED: prewarmed, TENANTS: tenants}

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool == PREWARMED:
            return self._tenants.prewarm(size)
        of_admin = self._named(pool)
        if of_admin is None:
            raise UnknownPool(pool)
        with _refusals():
            await of_admin.scale(size)
        return of_admin.status()

    def _named(self, pool: str) -> Pool | None:
        """An admin's pool by its name."""
        return self._pool if pool == ADMIN else self._admins.find(pool)

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool == PREWARMED:
            return self._tenants.drain_prewarmed()
        of_admin = self._named(pool)
        if of_admin is None:
            return self._tenants.drain_tenant(pool)
        for runner in of_admin.status().runners:
            with _refusals(), contextlib.suppress(UnknownRunner):  # one that has ended meanwhile
                await of_admin.drain(runner.id)
        return of_admin.status()

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        with _refusals():
            of_admin = self._pool if self._pool.has(runner) else self._admins.with_runner(runner)
            if of_admin is None:
                return await self._tenants.drain_runner(runner)
            await of_admin.drain(runner)
        return of_admin.status()

    async def close(self, seconds: float) -> None:
        """Lets calls finish for so long, then ends every runner; nothing of them is left."""
        await self._sorting.close()
        await asyncio.gather(self._pool.close(seconds), self._admins.close(seconds), self._tenants.close(seconds))
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Why no runner could be started, in the words of HostPools."""
    try:
        yield
    except (LaunchFailed, ControlMissing) as error:
        raise PoolsUnavailable(f"no runner could be started: {error}") from error
