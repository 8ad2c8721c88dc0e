"""What functions printed, per call: kept in a ring of bounded size and read by the owner of the module."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from gateway.log_ring import Record, Ring

MAX_FOLLOWERS: Final = 64
"""Readers that follow at once."""
MAX_TENANTS_FOLLOWERS: Final = 48
"""Those of all tenants together: the others are the admin's."""
MAX_TENANT_FOLLOWERS: Final = 4
"""Those of one tenant."""
FOLLOWER_RECORDS: Final = 1000
FOLLOWER_BYTES: Final = 2 * 1024 * 1024
"""A follower that reads more slowly than functions print loses the oldest of what waits for it."""


class TooManyFollowers(Exception):
    """As many read along already as may; the message says how many."""


class Follower:
    """What waits for one reader, bounded in records and bytes. Iterate it once; `close` it always.

    Gives each record with the number of records before it that this reader was too slow for.
    """

    def __init__(self, logs: CallLogs, owner: str, module: str | None) -> None:
        self._logs = logs
        self.owner = owner
        self._module = module
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._missed = 0
        self._ending = False
        self._news = asyncio.Event()

    def offer(self, record: Record) -> None:
        """Queues the record when it is one that this follower reads."""
        if record.owner != self.owner or (self._module is not None and record.module != self._module):
            return
        self._waiting.append(record)
        self._bytes += record.cost
        while len(self._waiting) > FOLLOWER_RECORDS or (self._bytes > FOLLOWER_BYTES and len(self._waiting) > 1):
            self._bytes -= self._waiting.popleft().cost
            self._missed += 1
        self._news.set()

    def end(self) -> None:
        """Lets the iteration end once everything that waits has been read."""
        self._ending = True
        self._news.set()

    def close(self) -> None:
        """The reader is gone. May be called twice."""
        self._logs.forget(self)

    async def __aiter__(self) -> AsyncIterator[tuple[Record, int]]:
        while True:
            if self._waiting:
                record = self._waiting.popleft()
                self._bytes -= record.cost
                missed, self._missed = self._missed, 0
                yield record, missed
            elif self._ending:
                return
            else:
                self._news.clear()
                await self._news.wait()


class CallLogs:
    """The newest records, at most `max_bytes` of them, shared fairly by their owners."""

    def __init__(self, max_bytes: int) -> None:
        self._ring = Ring(max_bytes)
        self._followers: set[Follower] = set()
        self._ended = False
        self._next = 1

    @property
    def bytes_kept(self) -> int:
        """What all records that are kept count for."""
        return self._ring.bytes

    def add(
        self,
        *,
        time: float,
        call: str,
        owner: str,
        module: str,
        api: str,
        outcome: str,
        status: int,
        output: bytes,
        truncated: bool,
        run_ms: float,
    ) -> None:
        """Keeps the output of one call; worth calling only for calls that printed or failed."""
        record = Record(
            number=self._next,
            time=time,
            call=call,
            owner=owner,
            module=module,
            api=api,
            outcome=outcome,
            status=status,
            output=output,
            truncated=truncated,
            run_ms=run_ms,
        )
        self._next += 1
        self._ring.add(record)
        for follower in self._followers:
            follower.offer(record)

    def select(
        self,
        owner: str,
        module: str | None = None,
        call: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[Record]:
        """The owner's records, the newest first: at most `limit`, those numbered below `before`."""
        found: list[Record] = []
        one = self._ring.by_call(call) if call else None
        for record in self._ring.of(owner) if call is None else filter(None, [one]):
            if (
                record.owner == owner
                and (module is None or record.module == module)
                and (before is None or record.number < before)
            ):
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def follow(self, owner: str, module: str | None = None, last: int = 0, *, tenant: bool = False) -> Follower:
        """The owner's last records, the oldest first, then each new one as it is added, until
        `end`. A tenant has some readers of its own, and leaves some to the admin. Raises TooManyFollowers."""
        most = MAX_TENANTS_FOLLOWERS if tenant else MAX_FOLLOWERS
        if len(self._followers) >= most:
            raise TooManyFollowers(f"{most} readers follow the logs already")
        if tenant and sum(one.owner == owner for one in self._followers) >= MAX_TENANT_FOLLOWERS:
            raise TooManyFollowers(f"{MAX_TENANT_FOLLOWERS} readers follow the logs of this tenant already")
        follower = Follower(self, owner, module)
        for record in reversed(self.select(owner, module, limit=last) if last else []):
            follower.offer(record)
        if self._ended:
            follower.end()
        self._followers.add(follower)
        return follower

    def forget(self, follower: Follower) -> None:
        """Stops feeding a follower."""
        self._followers.discard(follower)

    def end(self) -> None:
        """Ends every follower once it has read what waits for it: to be called before the server
        waits for its connections to close."""
        self._ended = True
        for follower in self._followers:
            follower.end()
