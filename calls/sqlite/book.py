"""What of kept calls and results a process has in memory: whose they are, what they weigh, and whose turn it is."""

from __future__ import annotations

import enum
import heapq
import math
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from calls.kept import SWEEP, KeptBounds, full_of_all, full_of_owner


class State(enum.IntEnum):
    """Where something that is kept stands."""

    WAITING = 0
    RUNNING = 1
    """Or to be run again later, at the latest when its lease is over."""
    HELD = 2
    """Its result is to come, from somewhere else."""
    DONE = 3


@dataclass(slots=True)
class Entry:
    """One call or result."""

    owner: str
    size: int
    state: State
    attempts: int = 0
    ends: float = math.inf
    """Unix time at which it is forgotten."""
    due: float = math.inf
    """Unix time at which it is run again, when it runs."""


@dataclass(slots=True)
class _Owner:
    """What there is of one owner."""

    ids: set[str] = field(default_factory=set)
    done: dict[str, None] = field(default_factory=dict)
    """Ids of its results, the oldest first."""
    waiting: int = 0
    bytes: int = 0


_NOBODY: Final = _Owner()


class Book:
    """Everything by id. What a method drops it gives, so that the file drops it, too."""

    def __init__(self, bounds: KeptBounds) -> None:
        self._bounds = bounds
        self._entries: dict[str, Entry] = {}
        self._owners: dict[str, _Owner] = {}
        self._ready: dict[str, deque[str]] = {}
        """Ids of calls to be run, by owner, in the order of their turns."""
        self._later: list[tuple[float, str]] = []
        """Heap of calls to be run from a time on, if that is still when they are due."""
        self._done: dict[str, None] = {}
        """Ids of all results, the oldest first."""
        self._held: dict[str, None] = {}
        self._bytes = 0
        self.waiting = 0
        """Calls without a result."""

    def __getitem__(self, id: str) -> Entry:
        return self._entries[id]

    def __contains__(self, id: str) -> bool:
        return id in self._entries

    def get(self, id: str, now: float) -> Entry | None:
        """What there is under this id at this time."""
        entry = self._entries.get(id)
        return entry if entry is not None and entry.ends > now else None

    def of(self, owner: str) -> list[str]:
        """All ids of this owner."""
        return list(self._owners.get(owner, _NOBODY).ids)

    def load(self, id: str, entry: Entry) -> None:
        """Takes up what the file has, unless it is here: results in the order in which they end, calls in that of their
        coming."""
        if id not in self._entries:
            self._add(id, entry)
            if entry.state is State.WAITING:
                self._queue(id, entry.owner)
            elif entry.state is State.RUNNING:
                self._due(id, entry, entry.due)

    def admit(self, id: str, owner: str, size: int, most: int) -> list[str]:
        """A call that waits. `ready` has it be run. Raises Full."""
        bounds = self._bounds
        if self.waiting >= bounds.max_total:
            raise full_of_all(f"{bounds.max_total} calls", "MAX_KEPT_TOTAL")
        its = self._owners.get(owner, _NOBODY)
        if its.waiting >= min(most, bounds.max_owner):
            raise full_of_owner(f"{its.waiting} calls", "MAX_KEPT, or `results` of its plan")
        dropped = self._make_room(owner, size)
        self._add(id, Entry(owner, size, State.RUNNING))
        return dropped

    def ready(self, id: str) -> None:
        """This call is to be run, if it is still there."""
        entry = self._entries.get(id)
        if entry is not None and entry.state is State.RUNNING:
            entry.state = State.WAITING
            self._queue(id, entry.owner)

    def hold(self, id: str, owner: str, size: int, ends: float) -> list[str]:
        """Takes an id for a result. Raises Full."""
        if id in self._entries:  # its time is over
            self.drop(id)
        dropped = self._make_room(owner, size)
        self._add(id, Entry(owner, size, State.HELD, ends=ends))
        return dropped

    def take(self, but: Collection[str], now: float) -> str | None:
        """The next call that is to be run. It is again once its lease is over."""
        while self._later and self._later[0][0] <= now:
            due, id = heapq.heappop(self._later)
            if id in self._entries and self._entries[id].due == due:
                self.ready(id)
        for owner, ids in self._ready.items():
            if owner not in but:
                id = ids.popleft()
                del self._ready[owner]
                if ids:
                    self._ready[owner] = ids
                entry = self._entries[id]
                entry.state = State.RUNNING
                entry.attempts += 1
                self._due(id, entry, now + self._bounds.lease_secs)
                return id
        return None

    def renew(self, id: str, now: float) -> None:
        """This call still runs, if it is still there: its lease begins anew."""
        entry = self._entries.get(id)
        if entry is not None and entry.state is State.RUNNING:
            self._due(id, entry, now + self._bounds.lease_secs)

    def again(self, id: str, attempt: int, due: float, *, counts: bool) -> None:
        """This call is to be run from then on, if it is still there and this was its last attempt."""
        entry = self._entries.get(id)
        if entry is not None and entry.state is State.RUNNING and entry.attempts == attempt:
            entry.attempts -= not counts
            self._due(id, entry, due)

    def finish(self, id: str, size: int, ends: float, most: int) -> list[str] | None:
        """This has a result; None when it is not there, or has one."""
        entry = self._entries.get(id)
        if entry is None or entry.state is State.DONE:
            return None
        self.drop(id)
        its = self._owners.get(entry.owner, _NOBODY)
        dropped: list[str] = []
        while its.done and (len(its.done) >= most or its.bytes + size > self._bounds.owner_bytes):
            dropped.append(self.drop(next(iter(its.done))))
        while self._done and self._bytes + size > self._bounds.max_bytes:
            dropped.append(self.drop(next(iter(self._done))))
        self._add(id, Entry(entry.owner, size, State.DONE, entry.attempts, ends))
        return dropped

    def drop(self, id: str) -> str:
        """Forgets it, and gives its id. It has to be there."""
        entry = self._entries.pop(id)
        its = self._owners[entry.owner]
        its.ids.discard(id)
        its.bytes -= entry.size
        self._bytes -= entry.size
        if entry.state is State.DONE:
            del its.done[id], self._done[id]
        elif entry.state is State.HELD:
            del self._held[id]
        else:
            its.waiting -= 1
            self.waiting -= 1
            if entry.state is State.WAITING:
                self._unqueue(id, entry.owner)
        if not its.ids:
            del self._owners[entry.owner]
        return id

    def replace(self, id: str, entry: Entry) -> None:
        """What is under this id, if anything is, is this instead."""
        if id in self._entries:
            self.drop(id)
            self._add(id, entry)

    def over(self, now: float) -> list[str]:
        """Forgets what has had its time, or a part of it."""
        return [self.drop(id) for id in [*self._ended(self._done, now), *self._ended(self._held, now)]]

    def _ended(self, ids: dict[str, None], now: float) -> Iterator[str]:
        # Results end in their order; of what is held each has a time of its own, and there is little of it.
        for count, id in enumerate(ids):
            if self._entries[id].ends <= now and count < SWEEP:
                yield id
            elif ids is self._done:
                return

    def _make_room(self, owner: str, size: int) -> list[str]:
        """Has so many bytes be free for this owner, whose oldest results make room. Raises Full."""
        its = self._owners.get(owner, _NOBODY)
        most, oldest, freed = self._bounds.owner_bytes, list[str](), 0
        for id in its.done:
            if its.bytes - freed + size <= most:
                break
            oldest.append(id)
            freed += self._entries[id].size
        if its.bytes - freed + size > most:
            raise full_of_owner(f"{most} bytes", "MAX_KEPT_BYTES")
        if self._bytes - freed + size > self._bounds.max_bytes:
            raise full_of_all(f"{self._bounds.max_bytes} bytes", "MAX_KEPT_BYTES")
        return [self.drop(id) for id in oldest]

    def _add(self, id: str, entry: Entry) -> None:
        its = self._owners.get(entry.owner)
        if its is None:
            its = self._owners[entry.owner] = _Owner()
        self._entries[id] = entry
        its.ids.add(id)
        its.bytes += entry.size
        self._bytes += entry.size
        if entry.state is State.DONE:
            its.done[id] = self._done[id] = None
        elif entry.state is State.HELD:
            self._held[id] = None
        else:
            its.waiting += 1
            self.waiting += 1

    def _due(self, id: str, entry: Entry, when: float) -> None:
        entry.due = when
        heapq.heappush(self._later, (when, id))

    def _queue(self, id: str, owner: str) -> None:
        self._ready.setdefault(owner, deque()).append(id)

    def _unqueue(self, id: str, owner: str) -> None:
        self._ready[owner].remove(id)
        if not self._ready[owner]:
            del self._ready[owner]
