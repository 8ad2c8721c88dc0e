"""What was read from the database before, the most recently used first to stay."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

_V = TypeVar("_V")

TENANTS_KEPT: Final = 10_000
"""Tenants kept in memory."""


class Cache(Generic[_V]):
    """Values by key, up to `max_weight` together. Which unit a weight has is its user's choice."""

    def __init__(self, max_weight: int) -> None:
        self._max = max_weight
        self._weight = 0
        self._kept: OrderedDict[str, tuple[_V, int]] = OrderedDict()

    def get(self, key: str) -> _V | None:
        """The value, which is then the last to go."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, value: _V, weight: int = 1) -> None:
        """Keeps a value in place of the one before; what then is too much goes, and may be this one."""
        self.drop(key)
        self._kept[key] = (value, weight)
        self._weight += weight
        while self._weight > self._max:
            _, (_, gone) = self._kept.popitem(last=False)
            self._weight -= gone

    def drop(self, key: str) -> None:
        """Forgets a value, if there is one."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._weight -= found[1]
