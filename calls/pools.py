"""What a runner host tells about its pools, and takes as orders, through whatever carries calls."""

from __future__ import annotations

from typing import Protocol

import msgspec


class RunnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runner now."""

    id: str
    state: str
    """A value of `runner.states.State`."""
    owner: str | None
    workers: int
    busy: int
    """Workers with a call in flight."""
    calls: int
    """Calls answered since it started."""
    age_secs: float


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One pool now."""

    name: str
    """`admin`, or the UUID of the tenant."""
    size: int
    """Runners wanted."""
    runners: tuple[RunnerStatus, ...]
    queue: int
    """Calls waiting for a worker."""
    cold_starts: int
    """Workers started because calls waited for one."""
    kills: dict[str, int]
    """Workers killed or found dead since the start, by reason."""


class UnknownPool(Exception):
    """There is no pool of this name."""


class PoolsUnavailable(Exception):
    """No runner host carries the order out now; the message says why."""


class PoolControl(Protocol):
    """Seeing and scaling pools. With several hosts, pools of one name count as one."""

    def pools(self) -> list[PoolStatus]:
        """All pools, the admin's first."""

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """Sets the runners wanted and returns when they are there, or draining. No call is lost.
        Raises UnknownPool, PoolsUnavailable, or ValueError naming the bound."""
