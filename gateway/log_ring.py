"""The records that are kept: a bounded number of bytes, shared fairly by the owners whose functions print."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

RECORD_BYTES: Final = 512
"""What a record is counted as costing besides its text."""


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


class Ring:
    """The newest records. When there are too many, the oldest goes: that of whoever added one, if it has more than
    its share of the bytes, else the oldest of all. So nobody who prints much displaces those who print little."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._count = 0
        self._max = max_bytes
        self._owners: dict[str, tuple[deque[Record], int]] = {}
        """Records of each owner, and their bytes."""
        self._by_call: dict[str, Record] = {}
        self._order: deque[Record] = deque()
        """All records, the oldest first, and some that are gone."""

    def add(self, record: Record) -> None:
        """Keeps a record, and lets go of older ones."""
        records, size = self._owners.get(record.owner, (deque(), 0))
        records.append(record)
        self._owners[record.owner] = (records, size + record.cost)
        self._order.append(record)
        self._by_call[record.call] = record
        self._count += 1
        self.bytes += record.cost
        while self.bytes > self._max:
            _, size = self._owners.get(record.owner, (None, 0))
            self._drop(record.owner if size * len(self._owners) > self._max else self._oldest())
        if len(self._order) > 2 * self._count + 1000:
            self._order = deque(one for one in self._order if self._there(one))

    def of(self, owner: str) -> Iterator[Record]:
        """The owner's records, the newest first."""
        return reversed(self._owners[owner][0]) if owner in self._owners else iter(())

    def by_call(self, call: str) -> Record | None:
        """The record of one call."""
        return self._by_call.get(call)

    def _oldest(self) -> str:
        while not self._there(self._order[0]):
            self._order.popleft()
        return self._order[0].owner

    def _there(self, record: Record) -> bool:
        kept = self._owners.get(record.owner)
        return kept is not None and kept[0][0].number <= record.number

    def _drop(self, owner: str) -> None:
        """Lets go of the owner's oldest record."""
        records, size = self._owners[owner]
        record = records.popleft()
        self._count -= 1
        self.bytes -= record.cost
        if self._by_call.get(record.call) is record:
            del self._by_call[record.call]
        if records:
            self._owners[owner] = (records, size - record.cost)
        else:
            del self._owners[owner]
