"""Keeps the audit trail: an entry goes into the store at once or, while that is away, as soon as it is back."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import Final

from store.audit import AuditStore, Entry
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.audit")

RETRY_SECS: Final = 5.0
"""Seconds between two attempts to give the store what it could not take."""
SWEEP_SECS: Final = 3600.0
"""Seconds between two looks for entries that are too old."""
MAX_WAITING: Final = 1000
"""Entries that wait for the store; the oldest of more stay in the log alone."""
_BATCH: Final = 100
"""Entries that are given to the store in one step."""
_DAY: Final = 86400.0


class AuditTrail:
    """The trail as one gateway adds to it and reads it."""

    def __init__(self, store: AuditStore, keep_days: int, keep_entries: int) -> None:
        """`keep_entries`: how many are kept of the admin, and of each tenant."""
        self._store = store
        self._keep_secs = keep_days * _DAY
        self._keep_entries = keep_entries
        self._waiting: dict[str, Entry] = {}
        """What the store does not have yet, by id."""
        self._telling = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None

    async def add(self, entry: Entry) -> None:
        """Keeps an entry. The change that it tells of was made, so that the store is away is no failure of it: the
        log says so, and the entry waits."""
        self._waiting[entry.id] = entry
        if len(self._waiting) > MAX_WAITING:
            self._give_up(next(iter(self._waiting)))
        try:
            await self.flush()
            await self._store.trim(entry.who, self._keep_entries)
        except StoreUnavailable as error:
            if self._waiting:  # else all that is missing is what the next entry makes up for
                log.error(
                    "the audit trail lacks %d of the changes that this log has, until the store takes them: %s",
                    len(self._waiting),
                    error,
                )

    async def find(self, tenant: str, what: str, before: str, limit: int, admin: str = "") -> list[Entry]:
        """See AuditStore. Raises StoreUnavailable."""
        await self.flush()
        return await self._store.find(tenant, what, before, limit, admin)

    async def flush(self) -> None:
        """Gives the store what it does not have yet. Raises StoreUnavailable; then it is tried again later."""
        async with self._telling:
            while batch := list(itertools.islice(self._waiting.values(), _BATCH)):
                await self._store.add(batch)
                for entry in batch:
                    self._waiting.pop(entry.id, None)

    def start(self) -> None:
        """From now on gives the store what waits, and has it forget what is too old."""
        self._running = asyncio.create_task(self._run(), name="audit trail")

    async def close(self) -> None:
        """Gives the store the last."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        try:
            await self.flush()
        except StoreUnavailable as error:
            log.error("the store does not take the end of the audit trail: %s", error)
            for entry in list(self._waiting):
                self._give_up(entry)

    async def _run(self) -> None:
        swept = time.monotonic() - SWEEP_SECS
        while True:
            try:
                await self.flush()
                if time.monotonic() - swept >= SWEEP_SECS:
                    await self._store.forget(time.time() - self._keep_secs)
                    swept = time.monotonic()
            except StoreUnavailable as error:
                log.warning("the audit trail waits for the store: %s", error)
            await asyncio.sleep(RETRY_SECS)

    def _give_up(self, entry: str) -> None:
        lost = self._waiting.pop(entry)
        log.error("this change is in the log alone, not in the audit trail", extra={"audit": told(lost)})


def told(entry: Entry) -> dict[str, str]:
    """What the log says of an entry."""
    known = {"entry": entry.id, "who": entry.who, "what": entry.what, "from": entry.address}
    return known | ({"tenant": entry.tenant} if entry.tenant else {}) | dict(entry.about)
