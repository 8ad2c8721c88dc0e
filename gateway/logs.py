"""What functions printed, per call: kept in a ring of bounded size and read by the owner of the module."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Final

import msgspec

RECORD_BYTES: Final = 512
"""What a record is counted as costing besides its text."""
MAX_FOLLOWERS: Final = 64
FOLLOWER_RECORDS: Final = 1000
FOLLOWER_BYTES: Final = 2 * 1024 * 1024
"""A follower that reads more slowly than functions print loses the oldest of what waits for it."""


class TooManyFollowers(Exception):
    """MAX_FOLLOWERS read along already; the message says so."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one call."""

    number: int
    """Position in the log; grows by one per record and is never reused while the process lives."""
    time: float
    """Unix time at which the call was answered."""
    call: str
    owner: str
    module: str
    api: str
    outcome: str
    status: int
    """HTTP status that the caller got."""
    output: bytes
    """What the function printed, as it came, with its traceback when it raised."""
    truncated: bool
    """The function printed more than was kept."""
    run_ms: float

    @property
    def text(self) -> str:
        """The output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.output.decode("utf-8", "replace")

    @property
    def cost(self) -> int:
        """Bytes the record counts for."""
        return RECORD_BYTES + len(self.output)


class Follower:
    """What waits for one reader, bounded in records and bytes. Iterate it once; `close` it always.

    Gives each record with the number of records before it that this reader was too slow for.
    """

    def __init__(self, logs: CallLogs, owner: str, module: str | None) -> None:
        self._logs = logs
        self._owner = owner
        self._module = module
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._missed = 0
        self._ending = False
        self._news = asyncio.Event()

    def offer(self, record: Record) -> None:
        """Queues the record when it is one that this follower reads."""
        if record.owner != self._owner or (self._module is not None and record.module != self._module):
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
    """The newest records, at most `max_bytes` of them; the oldest go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._records: deque[Record] = deque()
        self._by_call: dict[str, Record] = {}
        self._followers: set[Follower] = set()
        self._ended = False
        self._next = 1
        self.bytes_kept = 0

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
        self._records.append(record)
        self._by_call[call] = record
        self.bytes_kept += record.cost
        while self.bytes_kept > self._max_bytes:
            oldest = self._records.popleft()
            self.bytes_kept -= oldest.cost
            if self._by_call[oldest.call] is oldest:
                del self._by_call[oldest.call]
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
        for record in self._newest_first(call):
            if (
                record.owner == owner
                and (module is None or record.module == module)
                and (before is None or record.number < before)
            ):
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def _newest_first(self, call: str | None) -> Iterator[Record]:
        if call is None:
            return reversed(self._records)
        return iter([self._by_call[call]] if call in self._by_call else [])

    def follow(self, owner: str, module: str | None = None, last: int = 0) -> Follower:
        """The owner's last records, the oldest first, then each new one as it is added, until
        `end`. Raises TooManyFollowers."""
        if len(self._followers) >= MAX_FOLLOWERS:
            raise TooManyFollowers(f"{MAX_FOLLOWERS} readers follow the logs already")
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
