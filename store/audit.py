"""The audit trail: who changed what, when and from where. Entries are added, and go by age or number; none is changed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec

EntryId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change that took effect."""

    id: EntryId
    """See `new_id`. The trail is in its order."""
    who: str
    """`admin`, or UUID of the tenant or further admin whose key it was."""
    what: str
    """A few words, as `module uploaded`."""
    address: str
    """Where it came from: IP address of the client."""
    tenant: str = ""
    """UUID of the owner that it is about; empty: of none."""
    about: tuple[tuple[str, str], ...] = ()
    """What else is to be known of it, by name. Never a secret."""
    admin: str = ""
    """UUID of the further admin that it is about, itself or a tenant of its; empty: of none."""

    @property
    def time(self) -> float:
        """Unix time at which it was done."""
        return int(self.id[:16], 16) / 1e6


def new_id(now: float) -> str:
    """Id of an entry made at this Unix time: its microseconds, and 64 random bits."""
    return first_id(now)[:16] + secrets.token_hex(8)


def first_id(at: float) -> str:
    """The least id of this Unix time."""
    return f"{max(0, int(at * 1e6)):016x}{'0' * 16}"


class AuditStore(Protocol):
    """The part of a store that keeps the trail. Removing a tenant leaves what is about it."""

    async def add(self, entries: Sequence[Entry]) -> None:
        """Adds entries. One that is there already stays as it is, so that adding can be repeated."""

    async def find(self, tenant: str, what: str, before: str, limit: int, admin: str = "") -> list[Entry]:
        """The newest `limit` entries, the newest first: about this tenant, of which `what` begins with this, older
        than the one with the id `before`, and about this further admin or its tenants. Empty texts ask for nothing."""

    async def trim(self, who: str, most: int) -> None:
        """Forgets what somebody did but for the newest `most` entries."""

    async def forget(self, before: float) -> None:
        """Forgets what was done before this Unix time."""
