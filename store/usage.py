"""What each tenant has used, by day: added up in the store, in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Usage(msgspec.Struct, kw_only=True):
    """What one tenant used on one day."""

    calls: int = 0
    """Requests that were run, or refused by a limit."""
    errors: int = 0
    """Those answered 5xx."""
    refused: int = 0
    """Those answered 429 because a limit of the plan was reached."""
    cold_starts: int = 0
    """Calls that waited for a runner to be bound or started."""
    run_seconds: float = 0.0
    """Wall-clock seconds that functions ran, together."""
    cpu_seconds: float = 0.0
    """Processor time of its runners: of functions, their children, imports, and the runners' start."""
    bytes_in: int = 0
    """Of request bodies."""
    bytes_out: int = 0
    """Of the bodies of answers."""

    def add(self, other: Usage) -> None:
        """Counts what the other has counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


FIELDS: tuple[str, ...] = Usage.__struct_fields__


class UsageStore(Protocol):
    """The part of a store that keeps usage; removing a tenant forgets its own. Days are UTC, as YYYY-MM-DD."""

    async def add(self, day: str, used: Mapping[str, Usage]) -> None:
        """Adds what tenants used on this day to what is there. When the store becomes unavailable during it, some
        may have been added."""

    async def of(self, owner: str, since: str) -> dict[str, Usage]:
        """What a tenant used on each day from `since` on, the first day first; without days on which it used nothing."""

    async def forget(self, before: str) -> None:
        """Forgets every day before this one."""
