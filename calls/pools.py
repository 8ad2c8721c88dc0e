"""What a runner host tells about its pools, and takes as orders, through whatever carries calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from calls.durations import Durations

ADMIN: Final = "admin"
"""Name of the admin's pool."""
ADMINS: Final = "admins"
"""What the pools of further admins together are called; each alone has its admin's UUID as its name."""
PREWARMED: Final = "prewarmed"
"""Name of the pool of runners that nobody owns yet."""
TENANTS: Final = "tenants"
"""What the pools of all tenants together are called; each alone has its tenant's UUID as its name."""


KINDS: Final = (ADMIN, ADMINS, PREWARMED, TENANTS)
"""Of pools."""


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
    host: str = ""
    """Name of the host it runs on; hosts themselves leave it out."""


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One pool now."""

    name: str
    """`admin`, `prewarmed`, or the UUID of the tenant or further admin."""
    kind: str
    """One of KINDS."""
    size: int
    """Runners wanted."""
    runners: tuple[RunnerStatus, ...]
    queue: int
    """Calls waiting for a worker."""
    cold_starts: int
    """Workers started because calls waited for one."""
    kills: dict[str, int]
    """Workers killed or found dead since the start, by reason."""


class Tally(msgspec.Struct, kw_only=True):
    """What has happened in pools since their host started; nothing of it is ever taken back."""

    cold_starts: int = 0
    """Workers started because calls waited for one."""
    kills: dict[str, int] = {}
    """Workers killed or found dead, by reason."""
    starts: Durations = msgspec.field(default_factory=Durations)
    """From a runner's launch until it can be bound."""
    binds: Durations = msgspec.field(default_factory=Durations)
    """From the decision that an owner gets a runner until its first worker takes calls."""

    def killed(self, reason: str) -> None:
        """Counts one worker."""
        self.kills[reason] = self.kills.get(reason, 0) + 1

    def add(self, other: Tally) -> None:
        """Counts what the other has counted."""
        self.cold_starts += other.cold_starts
        self.kills = dict(Counter(self.kills) + Counter(other.kills))
        self.starts.add(other.starts)
        self.binds.add(other.binds)


class HostStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runner host now."""

    name: str
    draining: bool
    """It finishes the calls it has; new ones go elsewhere."""
    capacity: int
    """Calls it runs well at once."""
    load: int
    """Unanswered calls it holds."""
    tallies: dict[str, Tally]
    """By kind of pool."""


class UnknownPool(Exception):
    """There is no pool of this name."""


class UnknownRunner(Exception):
    """There is no runner with this id."""


class UnknownHost(Exception):
    """There is no runner host of this name."""


class PoolsUnavailable(Exception):
    """The order cannot be carried out now; the message says why."""


class HostPools(Protocol):
    """The pools of one runner host. Orders that were carried out before are carried out: nothing happens."""

    def pools(self) -> list[PoolStatus]:
        """All pools, the admin's first."""

    def tallies(self) -> dict[str, Tally]:
        """What has happened since the start, by kind of pool: of each of KINDS."""

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """Sets the runners wanted and returns when they are there, or draining. No call is lost.
        Raises UnknownPool, PoolsUnavailable, or ValueError naming the bound."""

    async def drain_pool(self, pool: str) -> PoolStatus:
        """Ends every runner of a pool once its calls are answered. Admins' and the prewarmed ones are
        replaced; a tenant's next call binds another. Returns when all of them are draining. No call is lost.
        Raises UnknownPool or PoolsUnavailable."""

    async def drain_runner(self, runner: str) -> PoolStatus:
        """The same for one runner; gives its pool. Raises UnknownRunner or PoolsUnavailable."""


class PoolControl(Protocol):
    """The pools of all runner hosts, as operators see and change them. Pools of one name count as one; orders
    are as those of HostPools."""

    def pools(self) -> list[PoolStatus]:
        """See HostPools."""

    def hosts(self) -> list[HostStatus]:
        """All runner hosts that are there, by name."""

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See HostPools."""

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See HostPools."""

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See HostPools."""

    async def drain_host(self, host: str, *, draining: bool) -> HostStatus:
        """Sends new calls to other hosts, while this one finishes those it has; or, with `draining` False, to
        this one again. A restarted host is not draining. Raises UnknownHost or PoolsUnavailable."""


def located(status: PoolStatus, host: str) -> PoolStatus:
    """The status with each runner's host in it."""
    runners = tuple(msgspec.structs.replace(runner, host=host) for runner in status.runners)
    return msgspec.structs.replace(status, runners=runners)


def merged(parts: list[PoolStatus]) -> PoolStatus:
    """Pools of one name as one."""
    kills: Counter[str] = Counter()
    for part in parts:
        kills.update(part.kills)
    return PoolStatus(
        name=parts[0].name,
        kind=parts[0].kind,
        size=sum(part.size for part in parts),
        runners=tuple(runner for part in parts for runner in part.runners),
        queue=sum(part.queue for part in parts),
        cold_starts=sum(part.cold_starts for part in parts),
        kills=dict(kills),
    )


def by_name(parts: Iterable[PoolStatus]) -> list[PoolStatus]:
    """Those of one name merged, in the order of PoolControl: the admin's first, then by name."""
    pools: dict[str, list[PoolStatus]] = {}
    for part in parts:
        pools.setdefault(part.name, []).append(part)
    return [merged(pools[name]) for name in sorted(pools, key=lambda name: (name != ADMIN, name))]
