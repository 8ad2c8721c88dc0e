"""The ledger contract: each token is let through once. Kinds: `memory` (one process), `redis` (all gateways).

A ledger knows the time that counts for tokens, so that all who share it judge alike. It knows from when on it
has seen every token: what was made before that may have been used, and is refused.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from tokens.opening import SKEW_SECS, Opened

CLOCK_BACK_SECS = 120
"""Seconds that a ledger's clock may be set back without a token being taken again."""


class LedgerUnavailable(Exception):
    """Whether the token was used cannot be found out now. Callers answer 503: nothing is let through unseen."""


class Ledger(Protocol):
    """What every kind of ledger promises; `tests/tokens/test_ledger_contract.py` proves it."""

    async def spend(self, tenant: UUID, opened: Opened) -> None:
        """Returns for one of all who ever ask with this token. Raises BadToken when it was used, is too old, is
        from the future, or was made before this ledger began; LedgerUnavailable."""


def begin_ms(now_ms: int) -> int:
    """A ledger that begins now refuses what was made up to this time: clocks that are ahead included."""
    return now_ms + SKEW_SECS * 1000
