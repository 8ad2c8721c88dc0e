"""Whose a call is: of an owner that has no pool here yet, the store says whether it is an admin or a tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from calls.call import Outcome
from runner.job import Job
from runner.launcher import LaunchFailed
from store.contract import Role, StoreUnavailable

_UNKNOWN: Final = "whose call it is could not be found out; the log says why"


class RoleOf(Protocol):
    """Knows what every owner is."""

    async def __call__(self, owner: str) -> Role:
        """What this owner is, by the store alone. Raises StoreUnavailable, and LaunchFailed when its code is not to
        run."""


async def tenants_alone(owner: str) -> Role:  # noqa: ARG001
    """Where there are no further admins. See RoleOf."""
    return Role.TENANT


class Sorting:
    """Holds calls until it is known what their owner is. What it is, it stays: no account becomes one of another role.
    So whoever has a pool is not asked for again."""

    def __init__(self, role_of: RoleOf, takers: Mapping[Role, Callable[[Job], None]]) -> None:
        """`takers`: what opens a pool for the call."""
        self._role_of = role_of
        self._takers = takers
        self._held: dict[str, list[Job]] = {}
        self._changed: set[str] = set()
        """Owners that were changed while the store was asked for them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def accept(self, job: Job) -> None:
        """Takes one call; it is answered whatever happens."""
        owner = job.call.owner
        if self._closed:
            job.finish(Outcome.UNAVAILABLE, "the platform is shutting down")
        elif owner in self._held:
            self._held[owner].append(job)
        else:
            self._held[owner] = [job]
            task = asyncio.get_running_loop().create_task(self._sort(owner), name=f"what {owner} is")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def changed(self, owner: str) -> None:
        """What the store says of this owner may be outdated by now."""
        if owner in self._held:
            self._changed.add(owner)

    async def _sort(self, owner: str) -> None:
        refusal = _UNKNOWN
        take: Callable[[Job], None] | None = None
        try:
            take = self._takers[await self._role(owner)]
        except (LaunchFailed, StoreUnavailable) as error:
            refusal = str(error)
        finally:
            for job in self._held.pop(owner):
                if take is None:
                    job.finish(Outcome.UNAVAILABLE, refusal)
                else:
                    take(job)

    async def _role(self, owner: str) -> Role:
        while True:
            self._changed.discard(owner)
            role = await self._role_of(owner)
            if owner not in self._changed:
                return role

    async def close(self) -> None:
        """Takes no more calls, and sorts those it has."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
