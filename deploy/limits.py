"""The bounds of a runner host's pools, as the settings and plans give them."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Protocol

import plans
from calls.frames import Imports
from plans import Plan
from runner.launcher import LaunchFailed, Resources
from runner.limits import PoolLimits
from runner.runner import Limits
from runner.tenants import TenantLimits
from settings import MIB, Settings
from store.contract import Role, Status, Tenant

log = logging.getLogger("plugbay.runner")


def pool_limits(settings: Settings) -> PoolLimits:
    """Of the admin's pool."""
    return PoolLimits(
        runners=settings.ADMIN_RUNNERS,
        max_runners=settings.MAX_RUNNERS,
        max_calls=0,
        warm_workers=settings.WARM_WORKERS,
        worker_idle_secs=settings.WORKER_IDLE_SECS,
        worker_async_calls=settings.WORKER_ASYNC_CALLS,
        max_queue_secs=settings.MAX_QUEUE_SECS,
        max_result=settings.MAX_RESULT_BYTES,
        runner=Limits(
            workers=settings.RUNNER_WORKERS,
            max_log=settings.MAX_LOG_BYTES,
            memory_bytes=settings.WORKER_MEMORY_MB * MIB,
            resources=Resources(memory_bytes=settings.ADMIN_MEMORY_MB * MIB, cpus=_cpus(settings.ADMIN_CPUS)),
            imports=None,
        ),
    )


def tenant_limits(settings: Settings, known: Mapping[str, Plan]) -> TenantLimits:
    """Of the tenants' pools."""
    return TenantLimits(
        prewarmed=settings.PREWARMED_RUNNERS,
        max_runners=settings.MAX_TENANT_RUNNERS,
        idle_secs=settings.TENANT_IDLE_SECS,
        starts_per_minute=settings.TENANT_STARTS_PER_MINUTE,
        pool=_by_plan(settings, plans.FREE, known[plans.FREE]),
    )


def _by_plan(settings: Settings, name: str, plan: Plan) -> PoolLimits:
    """Of one tenant's pool."""
    usual = pool_limits(settings)
    resources = Resources(memory_bytes=plan.memory_bytes, cpus=_cpus(plan.cpus))
    imports = None if plan.importable is None else Imports(name, tuple(sorted(plan.importable)))
    return dataclasses.replace(
        usual,
        runners=1,
        max_runners=plan.runners,
        max_calls=settings.RUNNER_MAX_CALLS,
        warm_workers=1,
        runner=dataclasses.replace(usual.runner, workers=plan.workers, resources=resources, imports=imports),
    )


def _cpus(wanted: float) -> float:
    """As many as there are at most: the Engine would refuse more."""
    there = os.cpu_count() or 1
    return min(wanted, there) or there


class Tenants(Protocol):
    """The part of the store that knows tenants."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID. Raises StoreUnavailable."""


async def _enabled(owner: str, accounts: Tenants) -> Tenant:
    """The account of an owner. Raises StoreUnavailable, and LaunchFailed when its code is not to run."""
    account = await accounts.tenant(owner)
    if account is None or account.status is not Status.ENABLED:
        raise LaunchFailed(f"tenant {owner} is unknown" if account is None else account.standing)
    return account


class Roles:
    """What every owner is, by what the store has for it. See runner.sorting.RoleOf."""

    def __init__(self, accounts: Tenants) -> None:
        self._accounts = accounts

    async def __call__(self, owner: str) -> Role:
        """See RoleOf."""
        return (await _enabled(owner, self._accounts)).role


class TenantPlans:
    """Every tenant's plan, by what the store has for it. See runner.tenants.PlanOf."""

    def __init__(self, settings: Settings, known: Mapping[str, Plan], tenants: Tenants) -> None:
        self._known = known
        self._limits = {name: _by_plan(settings, name, plan) for name, plan in known.items()}
        self._tenants = tenants
        self._unknown: set[str] = set()
        """Names that were told of: tenants have some of the plans there were once, so these are few."""

    async def __call__(self, owner: str) -> PoolLimits:
        """See PlanOf. A plan that is not in the file any more counts as `free`."""
        tenant = await _enabled(owner, self._tenants)
        if tenant.role is not Role.TENANT:
            raise LaunchFailed(f"{owner} is no tenant")
        name, _ = plans.of(self._known, tenant.plan)
        if name != tenant.plan and tenant.plan not in self._unknown:
            log.warning("plan %s is in no file of plans any more: its tenants have plan %s", tenant.plan, name)
            self._unknown.add(tenant.plan)
        return self._limits[name]
