"""Bounds of an owner's pool."""

from __future__ import annotations

from dataclasses import dataclass

from runner.runner import Limits


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of a pool."""

    runners: int
    """Runners at the start."""
    max_runners: int
    max_calls: int
    """Calls of a tenant's runner until it is replaced; 0: any number."""
    warm_workers: int
    """Workers kept ready per runner."""
    worker_idle_secs: float
    worker_async_calls: int
    max_queue_secs: float
    max_result: int
    """Bytes of a result."""
    runner: Limits
