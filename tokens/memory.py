"""Ledger kind `memory`: for the one process there is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final
from uuid import UUID

from tokens.ledger import LedgerUnavailable, begin_ms
from tokens.opening import BadToken, Opened, check_fresh

MAX_SPENT: Final = 200_000
"""Used tokens that are remembered: some 50 MiB. As long as there are so many, nothing is let through."""


class MemoryLedger:
    """See tokens.ledger.Ledger.

    A token is forgotten once it is too old, and from then on nothing is taken that was made before it: so however
    the clock is set, no token is taken again.
    """

    def __init__(self, life_secs: int, clock: Callable[[], float] = time.time) -> None:
        """`life_secs`: how long a token is good for. `clock` gives Unix time in seconds."""
        self._life_secs = life_secs
        self._clock = clock
        self._spent: set[bytes] = set()
        self._order: deque[tuple[int, bytes]] = deque()
        """What is in `_spent`, with the time of making, in the order of use."""
        self._begin_ms = begin_ms(self._now_ms())
        """What was made up to then may have been used."""

    async def spend(self, tenant: UUID, opened: Opened) -> None:
        """See Ledger."""
        now_ms = self._now_ms()
        self._forget(now_ms)
        check_fresh(opened, now_ms, self._life_secs)
        if opened.issued_ms <= self._begin_ms:
            raise BadToken("it was made before this process knows of all tokens")
        key = tenant.bytes + opened.jti
        if key in self._spent:
            raise BadToken("it was used")
        if len(self._spent) >= MAX_SPENT:
            raise LedgerUnavailable(f"{MAX_SPENT} tokens were used within their life")
        self._spent.add(key)
        self._order.append((opened.issued_ms, key))

    def _forget(self, now_ms: int) -> None:
        while self._order and self._order[0][0] + self._life_secs * 1000 <= now_ms:
            issued_ms, key = self._order.popleft()
            self._spent.discard(key)
            self._begin_ms = max(self._begin_ms, issued_ms)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
