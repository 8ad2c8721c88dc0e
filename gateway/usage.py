"""What tenants use, counted in memory and added to the store in batches: by gateways what calls are, by runner hosts the
processor time of runners."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Protocol

from store.contract import StoreUnavailable, Tenant
from store.usage import Usage, UsageStore

log = logging.getLogger("plugbay")

FLUSH_SECS: Final = 10.0
"""Seconds between two batches: what a process that is killed has not told yet."""
MAX_COUNTED: Final = 20_000
"""Tenants and days that are counted at once; while the store is away for long, further ones are not."""

_DAY: Final = 86400
_EPOCH: Final = date(1970, 1, 1)


class Store(Protocol):
    """The part of a store that usage is kept in."""

    @property
    def usage(self) -> UsageStore:
        """See store.contract.Store."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """See store.contract.Store."""


class UsageMeter:
    """Counts for one process."""

    def __init__(self, store: Store, keep_days: int) -> None:
        self._store = store
        self._keep_days = keep_days
        self._counted: dict[tuple[str, str], Usage] = {}
        """By day and tenant, since the last batch."""
        self._flushing = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._swept = ""

    def count(self, owner: str, used: Usage) -> None:
        """A tenant has used this."""
        self._add(_day(time.time()), owner, used)

    async def of(self, owner: str, days: int) -> dict[str, Usage]:
        """What a tenant used on each of the last days, today included, as all processes have told it by now.
        Raises StoreUnavailable."""
        await self.flush()
        return await self._store.usage.of(owner, _day(time.time(), days - 1))

    def start(self) -> None:
        """Tells the store from now on."""
        self._running = asyncio.create_task(self._run(), name="usage of tenants")

    async def close(self) -> None:
        """Tells it the last."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        try:
            await self.flush()
        except StoreUnavailable as error:
            log.warning("what tenants used in the last seconds is lost: %s", error)

    async def flush(self) -> None:
        """Tells the store what it does not know yet. Raises StoreUnavailable; then it is told later."""
        async with self._flushing:
            counted, self._counted = self._counted, {}
            by_day: dict[str, dict[str, Usage]] = {}
            for (day, owner), used in counted.items():
                by_day.setdefault(day, {})[owner] = used
            try:
                for day in list(by_day):
                    there = {owner: used for owner, used in by_day[day].items() if await self._store.tenant(owner)}
                    if there:
                        await self._store.usage.add(day, there)
                    del by_day[day]
            finally:
                for day, left in by_day.items():
                    for owner, used in left.items():
                        self._add(day, owner, used)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECS)
            try:
                await self.flush()
                await self._sweep()
            except StoreUnavailable as error:
                log.warning("what tenants use is told to the store later: %s", error)

    async def _sweep(self) -> None:
        """Forgets days that are over, once a day."""
        today = _day(time.time())
        if self._swept != today:
            await self._store.usage.forget(_day(time.time(), self._keep_days - 1))
            self._swept = today

    def _add(self, day: str, owner: str, used: Usage) -> None:
        known = self._counted.get((day, owner))
        if known is not None:
            known.add(used)
        elif len(self._counted) < MAX_COUNTED:
            self._counted[day, owner] = used


def _day(now: float, before: int = 0) -> str:
    """The day at this Unix time, or so many before it, in UTC."""
    return _named(int(now // _DAY) - before)


@lru_cache(maxsize=16)
def _named(day: int) -> str:
    """A day's name, by its number since 1970."""
    return (_EPOCH + timedelta(days=day)).isoformat()
