"""The bounds of a runner host's pools, as the settings give them."""

from __future__ import annotations

import dataclasses

from runner.pool import PoolLimits
from runner.runner import Limits
from runner.tenants import TenantLimits
from settings import MIB, Settings


def pool_limits(settings: Settings) -> PoolLimits:
    """Of the admin's pool."""
    return PoolLimits(
        runners=settings.ADMIN_RUNNERS,
        max_runners=settings.MAX_RUNNERS,
        warm_workers=settings.WARM_WORKERS,
        worker_idle_secs=settings.WORKER_IDLE_SECS,
        worker_async_calls=settings.WORKER_ASYNC_CALLS,
        max_queue_secs=settings.MAX_QUEUE_SECS,
        max_result=settings.MAX_RESULT_BYTES,
        runner=Limits(
            workers=settings.RUNNER_WORKERS,
            max_log=settings.MAX_LOG_BYTES,
            memory_bytes=settings.WORKER_MEMORY_MB * MIB,
        ),
    )


def tenant_limits(settings: Settings) -> TenantLimits:
    """Of the tenants' pools."""
    return TenantLimits(
        prewarmed=settings.PREWARMED_RUNNERS,
        max_runners=settings.MAX_TENANT_RUNNERS,
        idle_secs=settings.TENANT_IDLE_SECS,
        starts_per_minute=settings.TENANT_STARTS_PER_MINUTE,
        pool=dataclasses.replace(pool_limits(settings), runners=1, max_runners=1, warm_workers=1),
    )
