"""Variables and usage of tenants in the embedded store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from store.contract import Conflict, SealedVariables
from store.usage import FIELDS, Usage

_T = TypeVar("_T")
_COLUMNS: Final = ", ".join(FIELDS)
_ADD: Final = (
    f"INSERT INTO usage (owner, day, {_COLUMNS}) VALUES (?, ?{', ?' * len(FIELDS)})"
    f" ON CONFLICT (owner, day) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in FIELDS)}"
)


class Step(Protocol):
    """Does work in a transaction of its own, on the store's thread."""

    async def __call__(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What `work` gives. Raises StoreUnavailable."""


class SqliteVariables:
    """See store.variables.VariableStore."""

    def __init__(self, step: Step) -> None:
        self._step = step

    async def get(self, owner: str) -> SealedVariables:
        """See VariableStore."""
        return await self._step(lambda connection: _variables(connection, owner))

    async def owners(self) -> list[str]:
        """See VariableStore."""
        query = "SELECT owner FROM variables WHERE sealed != '' ORDER BY owner"
        return await self._step(lambda connection: [owner for (owner,) in connection.execute(query)])

    async def put(self, owner: str, sealed: str, revision: int) -> SealedVariables:
        """See VariableStore."""

        def put(connection: sqlite3.Connection) -> SealedVariables:
            if _variables(connection, owner).revision != revision:
                raise Conflict(f"the variables of {owner} were changed meanwhile")
            connection.execute(
                "INSERT OR REPLACE INTO variables (owner, revision, sealed) VALUES (?, ?, ?)",
                (owner, revision + 1, sealed),
            )
            return SealedVariables(revision + 1, sealed)

        return await self._step(put)


class SqliteUsage:
    """See store.usage.UsageStore."""

    def __init__(self, step: Step) -> None:
        self._step = step

    async def add(self, day: str, used: Mapping[str, Usage]) -> None:
        """See UsageStore."""
        rows = [(owner, day, *(getattr(usage, name) for name in FIELDS)) for owner, usage in used.items()]
        await self._step(lambda connection: connection.executemany(_ADD, rows).rowcount)

    async def of(self, owner: str, since: str) -> dict[str, Usage]:
        """See UsageStore."""
        query = f"SELECT day, {_COLUMNS} FROM usage WHERE owner = ? AND day >= ? ORDER BY day"
        rows = await self._step(lambda connection: connection.execute(query, (owner, since)).fetchall())
        return {day: Usage(**dict(zip(FIELDS, values, strict=True))) for day, *values in rows}

    async def forget(self, before: str) -> None:
        """See UsageStore."""
        await self._step(lambda connection: connection.execute("DELETE FROM usage WHERE day < ?", (before,)).rowcount)


def forget(connection: sqlite3.Connection, owner: str) -> None:
    """Forgets both of one tenant."""
    for table in ("variables", "usage"):
        connection.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))


def _variables(connection: sqlite3.Connection, owner: str) -> SealedVariables:
    row = connection.execute("SELECT revision, sealed FROM variables WHERE owner = ?", (owner,)).fetchone()
    return SealedVariables(*row) if row else SealedVariables()
