"""The embedded store: one SQLite file in `DATA_DIR`, used by one Plugbay at a time.

All access runs on one thread of its own, so the event loop never waits for the disk and SQLite never
sees two threads. Write-ahead logging with full synchronisation: a write that completed survives a
crash of the process and of the machine.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from calls import bundle as bundles
from store.contract import Conflict, Module, ModuleSet, Status, StoreUnavailable, Tenant
from store.sqlite_file import SqliteFile

_T = TypeVar("_T")

UNNAMED_KEPT: Final = 1000
UNNAMED_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bundles kept though no module names them, the latest ones: versions that are being inspected."""

_FORGET_BUNDLES: Final = """
DELETE FROM bundle WHERE digest IN (
    SELECT digest FROM (
        SELECT digest, row_number() OVER (ORDER BY kept DESC) AS place,
               sum(length(data)) OVER (ORDER BY kept DESC) AS bytes
        FROM bundle WHERE digest NOT IN (SELECT digest FROM module)
    ) WHERE place > ? OR bytes > ?
)
"""


class SqliteStore:
    """`store.contract.Store` in the file `plugbay.sqlite` of a folder, which is made when missing."""

    def __init__(self, folder: Path) -> None:
        self._file = SqliteFile(folder)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._closed = False

    async def open(self) -> None:
        """Takes the folder for this process and opens or makes the file. Once closed it stays closed.

        Raises StoreUnavailable: not writable, used by another Plugbay, damaged, made by a newer one.
        """
        await self._run(self._file.open)

    async def close(self) -> None:
        """Completes writes under way and gives the folder free. May be called twice."""
        if not self._closed:
            self._closed = True
            # The thread takes one after the other: what was asked for before is done before.
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
            self._thread.shutdown()

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""
        rows = await self._rows("SELECT uuid, status FROM tenant WHERE uuid = ?", uuid)
        return Tenant(uuid=rows[0][0], status=Status(rows[0][1])) if rows else None

    async def tenants(self) -> list[Tenant]:
        """All tenants, by UUID."""
        rows = await self._rows("SELECT uuid, status FROM tenant ORDER BY uuid")
        return [Tenant(uuid=uuid, status=Status(status)) for uuid, status in rows]

    async def add_tenant(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict when the UUID is registered."""
        insert = "INSERT INTO tenant (uuid, status) VALUES (?, ?) ON CONFLICT DO NOTHING"
        if not await self._change(insert, tenant.uuid, tenant.status.value):
            raise Conflict(f"tenant {tenant.uuid} is registered already")

    async def set_status(self, uuid: str, status: Status) -> bool:
        """Changes a tenant's status; False when there is no such tenant."""
        return await self._change("UPDATE tenant SET status = ? WHERE uuid = ?", status.value, uuid)

    async def owners(self) -> list[str]:
        """UUIDs that own at least one module."""
        return [owner for (owner,) in await self._rows("SELECT DISTINCT owner FROM module ORDER BY owner")]

    async def modules(self, owner: str) -> ModuleSet:
        """The owner's modules."""
        return await self._run(lambda: _read_modules(self._file.connection, owner))

    async def bundle(self, digest: str) -> bytes | None:
        """The bundle at this content address."""
        rows = await self._rows("SELECT data FROM bundle WHERE digest = ?", digest)
        return bytes(rows[0][0]) if rows else None

    async def put_bundle(self, data: bytes) -> str:
        """Keeps a bundle and gives its digest."""
        return await self._run(lambda: self._put_bundle(data))

    async def change_modules(self, owner: str, put: list[Module], remove: list[str]) -> ModuleSet:
        """Puts and removes modules in one step; a name in both is put.

        Raises ValueError when a bundle of `put` was not kept first or a module has another owner.
        """
        if strangers := [module.name for module in put if module.owner != owner]:
            raise ValueError(f"not modules of {owner}: {', '.join(strangers)}")
        return await self._run(lambda: self._change_modules(owner, put, remove))

    async def setting(self, name: str) -> str | None:
        """A run-time setting."""
        rows = await self._rows("SELECT value FROM setting WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    async def settings(self) -> dict[str, str]:
        """All run-time settings, by name."""
        return dict(await self._rows("SELECT name, value FROM setting ORDER BY name"))

    async def put_setting(self, name: str, value: str | None) -> None:
        """Keeps a run-time setting; None forgets it."""
        if value is None:
            await self._change("DELETE FROM setting WHERE name = ?", name)
        else:
            await self._change("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Does this on the store's thread. Raises StoreUnavailable for what SQLite or the disk refuses."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(self._file.explain(error)) from error

    async def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        return await self._run(lambda: self._file.connection.execute(query, values).fetchall())

    async def _change(self, query: str, *values: str) -> bool:
        return await self._run(lambda: self._change_rows(query, values))

    # On the store's own thread.

    def _change_rows(self, query: str, values: tuple[str, ...]) -> bool:
        """Runs one statement in a step of its own; True when it changed something."""
        with self._file.step() as connection:
            return connection.execute(query, values).rowcount > 0

    def _put_bundle(self, data: bytes) -> str:
        digest = bundles.digest(data)
        with self._file.step(hurry=True) as connection:  # it counts only once a module names it
            (latest,) = connection.execute("SELECT coalesce(max(kept), 0) FROM bundle").fetchone()
            known = connection.execute("UPDATE bundle SET kept = ? WHERE digest = ?", (latest + 1, digest)).rowcount
            if not known:
                connection.execute(
                    "INSERT INTO bundle (digest, kept, data) VALUES (?, ?, ?)", (digest, latest + 1, data)
                )
        return digest

    def _change_modules(self, owner: str, put: list[Module], remove: list[str]) -> ModuleSet:
        gone = set(remove)
        with self._file.step() as connection:
            before = _read_modules(connection, owner)
            known = {module.name: module for module in before.modules}
            wanted = {name: module for name, module in known.items() if name not in gone}
            wanted |= {module.name: module for module in put}
            if wanted == known:
                return before
            for name in known.keys() - wanted.keys():
                connection.execute("DELETE FROM module WHERE owner = ? AND name = ?", (owner, name))
            for name, module in wanted.items():
                if known.get(name) != module:
                    _write_module(connection, module)
            revision = before.revision + 1
            connection.execute("INSERT OR REPLACE INTO revision (owner, revision) VALUES (?, ?)", (owner, revision))
            connection.execute(_FORGET_BUNDLES, (UNNAMED_KEPT, UNNAMED_KEPT_BYTES))
            return _read_modules(connection, owner)


def _read_modules(connection: sqlite3.Connection, owner: str) -> ModuleSet:
    row = connection.execute("SELECT revision FROM revision WHERE owner = ?", (owner,)).fetchone()
    columns = ("name", "alias", "digest", "source", "environment", "report")
    rows = connection.execute(
        "SELECT name, alias, digest, source, environment, report FROM module WHERE owner = ? ORDER BY name", (owner,)
    )
    modules = tuple(Module(owner=owner, **dict(zip(columns, values, strict=True))) for values in rows)
    return ModuleSet(owner=owner, revision=row[0] if row else 0, modules=modules)


def _write_module(connection: sqlite3.Connection, module: Module) -> None:
    values = (
        module.owner,
        module.name,
        module.alias,
        module.digest,
        module.source,
        module.environment,
        module.report,
    )
    try:
        connection.execute(
            "INSERT OR REPLACE INTO module (owner, name, alias, digest, source, environment, report)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f"the bundle {module.digest} of module {module.name} was not kept") from error
