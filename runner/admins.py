"""The pools of further admins: each one's own, made by its first call, and there until it is disabled or removed.

Their code is trusted as the installation's admin's is, and gets the same packages; of its variables it sees none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from calls.pools import ADMINS, PoolStatus, Tally, by_name
from runner.job import Job
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.modules import ModuleSource
from runner.own_variables import OwnVariables, VariablesOf
from runner.pool import Environment, Pool
from runner.tenants import Consumed
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.runner")


class PackagesAlone:
    """The packages of another environment, and nothing else of it. See runner.pool.Environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def variables(self) -> dict[str, str]:
        """See Environment."""
        return {}

    def packages(self) -> list[str]:
        """See Environment."""
        return self._environment.packages()


class AdminPools:
    """All pools of further admins on this host."""

    def __init__(
        self,
        launcher: Launcher,
        source: ModuleSource,
        environment: Environment,
        folder: Path,
        limits: PoolLimits,
        variables_of: VariablesOf,
        consumed: Consumed,
    ) -> None:
        """`limits`: of each."""
        self._launcher = launcher
        self._source = source
        self._environment = PackagesAlone(environment)
        self._folder = folder
        self._limits = limits
        self._variables_of = variables_of
        self._consumed = consumed
        self._pools: dict[str, Pool] = {}
        self._ending: set[Pool] = set()
        """Pools that finish their calls; their owners' next calls, if there are any, go to others."""
        self._ended = Tally()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, job: Job) -> None:
        """Takes one call of a further admin; it is answered whatever happens."""
        owner = job.call.owner
        (self._pools.get(owner) or self._open(owner)).accept(job)

    def _open(self, owner: str) -> Pool:
        pool = self._pools[owner] = Pool(
            owner,
            ADMINS,
            owner,
            Trust.ADMIN,
            self._launcher,
            self._source,
            self._environment,
            self._folder,
            self._limits,
            own=OwnVariables(owner, self._variables_of),
            consumed=partial(self._consumed, owner),
        )
        self._own(self._start(owner, pool))
        return pool

    async def _start(self, owner: str, pool: Pool) -> None:
        try:
            await pool.start()
        except (LaunchFailed, ControlMissing, StoreUnavailable) as error:
            log.error("pool %s: it could not be started: %s", owner, error)
            pool.refuse_waiting(str(error))
            if self._pools.get(owner) is pool:  # else it was ended meanwhile
                self.end(owner, 0)

    def find(self, owner: str) -> Pool | None:
        """The pool of this admin."""
        return self._pools.get(owner)

    def with_runner(self, runner: str) -> Pool | None:
        """The pool that this runner is one of."""
        return next((pool for pool in (*self._pools.values(), *self._ending) if pool.has(runner)), None)

    def end(self, owner: str, seconds: float) -> None:
        """Ends an admin's pool; the calls it has get so many seconds to finish."""
        pool = self._pools.pop(owner, None)
        if pool is not None:
            pool.refuse_new()
            self._ending.add(pool)
            self._own(self._close(pool, seconds))

    async def _close(self, pool: Pool, seconds: float) -> None:
        await pool.close(seconds)
        self._ending.discard(pool)
        self._ended.add(pool.tally)

    def renew(self) -> None:
        """The packages have changed: all workers are replaced."""
        for pool in self._pools.values():
            pool.renew()

    def statuses(self) -> list[PoolStatus]:
        """Every pool."""
        ending = (pool for pool in self._ending if pool.runners)
        return by_name(pool.status() for pool in (*self._pools.values(), *ending))

    @property
    def tally(self) -> Tally:
        """What has happened in all of them together."""
        total = Tally()
        for tally in (self._ended, *(pool.tally for pool in (*self._pools.values(), *self._ending))):
            total.add(tally)
        return total

    async def close(self, seconds: float) -> None:
        """Lets calls finish for so long, then ends every runner."""
        for owner in list(self._pools):
            self.end(owner, seconds)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
