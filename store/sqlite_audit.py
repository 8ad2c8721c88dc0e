"""The audit trail in the embedded store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from store.audit import Entry, first_id
from store.sqlite_variables import Step
from store.tenant_search import beginning_with

_COLUMNS: Final = ", ".join(Entry.__struct_fields__)
_ADD: Final = f"INSERT OR IGNORE INTO audit ({_COLUMNS}) VALUES ({', '.join('?' * len(Entry.__struct_fields__))})"
_TRIM: Final = (
    "DELETE FROM audit WHERE who = ? AND id <= (SELECT id FROM audit WHERE who = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
)


class SqliteAudit:
    """See store.audit.AuditStore."""

    def __init__(self, step: Step) -> None:
        self._step = step

    async def add(self, entries: Sequence[Entry]) -> None:
        """See AuditStore."""
        rows = [_row(entry) for entry in entries]
        await self._step(lambda connection: connection.executemany(_ADD, rows).rowcount)

    async def find(self, tenant: str, what: str, before: str, limit: int, admin: str = "") -> list[Entry]:
        """See AuditStore."""
        conditions, values = ["what >= ?", "what < ?"], [*beginning_with(what)]
        for condition, value in (("tenant = ?", tenant), ("id < ?", before), ("admin = ?", admin)):
            if value:
                conditions.append(condition)
                values.append(value)
        query = f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"

        def found(connection: sqlite3.Connection) -> list[Entry]:
            return [_entry(row) for row in connection.execute(query, (*values, limit))]

        return await self._step(found)

    async def trim(self, who: str, most: int) -> None:
        """See AuditStore."""
        await self._step(lambda connection: connection.execute(_TRIM, (who, who, most)).rowcount)

    async def forget(self, before: float) -> None:
        """See AuditStore."""
        oldest = first_id(before)
        await self._step(lambda connection: connection.execute("DELETE FROM audit WHERE id < ?", (oldest,)).rowcount)


def _row(entry: Entry) -> tuple[Any, ...]:
    texts = {name: getattr(entry, name) for name in Entry.__struct_fields__}
    return tuple((texts | {"about": msgspec.json.encode(entry.about).decode()}).values())


def _entry(row: tuple[Any, ...]) -> Entry:
    fields = dict(zip(Entry.__struct_fields__, row, strict=True))
    return msgspec.convert(fields | {"about": msgspec.json.decode(fields["about"])}, Entry)
