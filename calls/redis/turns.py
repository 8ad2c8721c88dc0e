"""Owners take turns: calls that a host holds, on their way from its list into its pools."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from calls.broker import Refused

_T = TypeVar("_T")


class Turns(Generic[_T]):
    """Items that wait, by owner, and how many of each owner are out, that is in the pools.

    The next item is of the owner whose turn is longest ago. `slots` items are out at once, and of one owner
    at most as many as slots are free: however much one owner asks for, a newcomer finds room.
    """

    def __init__(self, slots: int, max_owner: int, max_total: int) -> None:
        self._slots = slots
        self._max_owner = max_owner
        self._max_total = max_total
        self._queues: dict[str, deque[_T]] = {}
        """What waits, by owner, in the order of their turns."""
        self.waiting = 0
        """Items not out yet."""
        self._out: Counter[str] = Counter()
        self._free = slots

    def __len__(self) -> int:
        """Items waiting and out."""
        return self.waiting + self._slots - self._free

    def add(self, owner: str, item: _T) -> None:
        """Waits for its turn. Raises Refused above a bound."""
        if len(self) >= self._max_total:
            raise Refused(f"{self._max_total} calls are unanswered on this host (MAX_QUEUE_TOTAL)", limited=False)
        waiting = self._queues.get(owner)
        if (len(waiting) if waiting else 0) + self._out[owner] >= self._max_owner:
            raise Refused(f"{self._max_owner} calls of this owner are unanswered (MAX_QUEUE)", limited=True)
        if waiting is None:
            waiting = self._queues[owner] = deque()
        waiting.append(item)
        self.waiting += 1

    def take(self) -> _T | None:
        """The next item, which is out from now on; None when none may go now."""
        for owner, waiting in self._queues.items() if self._free else ():
            if self._out[owner] < self._free:
                item = waiting.popleft()
                del self._queues[owner]
                if waiting:
                    self._queues[owner] = waiting
                self.waiting -= 1
                self._out[owner] += 1
                self._free -= 1
                return item
        return None

    def done(self, owner: str) -> None:
        """One item of this owner came back."""
        self._free += 1
        self._out[owner] -= 1
        if not self._out[owner]:
            del self._out[owner]

    def remove(self, unwanted: Callable[[_T], bool]) -> list[_T]:
        """Takes away what waits and is not wanted any more."""
        removed: list[_T] = []
        for owner, waiting in list(self._queues.items()):
            out = [item for item in waiting if unwanted(item)]
            if len(out) == len(waiting):
                del self._queues[owner]
            elif out:
                self._queues[owner] = deque(item for item in waiting if not unwanted(item))
            removed += out
        self.waiting -= len(removed)
        return removed
