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
from typing import Any, TypeVar

from store import sqlite_modules as modules
from store import sqlite_tenants as tenants
from store.contract import Module, ModuleSet, Role, StoreUnavailable, Tenant, TenantChange
from store.sqlite_audit import SqliteAudit
from store.sqlite_file import SqliteFile
from store.sqlite_variables import SqliteUsage, SqliteVariables, forget

_T = TypeVar("_T")


class SqliteStore:
    """`store.contract.Store` in the file `plugbay.sqlite` of a folder, which is made when missing."""

    def __init__(self, folder: Path) -> None:
        self._file = SqliteFile(folder)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._closed = False
        self.variables = SqliteVariables(self._step)
        self.usage = SqliteUsage(self._step)
        self.audit = SqliteAudit(self._step)
        self._tenants: dict[str, Tenant] = {}
        """All of them, as the file has them: nobody else changes it."""

    async def open(self) -> None:
        """Takes the folder for this process and opens or makes the file. Once closed it stays closed.

        Raises StoreUnavailable: not writable, used by another Plugbay, damaged, made by a newer one.
        """
        await self._run(self._open)

    async def close(self) -> None:
        """Completes writes under way and gives the folder free. May be called twice."""
        if not self._closed:
            self._closed = True
            # The thread takes one after the other: what was asked for before is done before.
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
            self._thread.shutdown()

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID, from memory: also that there is none takes no look into the file."""
        self._require_open()
        return self._tenants.get(uuid)

    async def tenants(self) -> list[Tenant]:
        """All tenants, by UUID."""
        return await self._run(lambda: tenants.every(self._file.connection))

    async def find_tenants(
        self, text: str, after: str, limit: int, role: Role | None = None, admin: str | None = None
    ) -> list[Tenant]:
        """The first `limit` tenants behind `after` whose UUID or name begins with `text`. See Store."""
        return await self._run(lambda: tenants.search(self._file.connection, text, after, limit, role, admin))

    async def add_tenant(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict when the UUID is registered or the name is another's."""
        await self._change_tenant(tenant.uuid, lambda connection: tenants.add(connection, tenant))

    async def change_tenant(self, uuid: str, change: TenantChange, before: Tenant | None = None) -> Tenant | None:
        """Changes a tenant; None when there is no such tenant. Raises Conflict when the name is another's, or
        what is to be another is not as `before`."""
        return await self._change_tenant(uuid, lambda connection: tenants.change(connection, uuid, change, before))

    async def remove_tenant(self, uuid: str) -> bool:
        """Forgets a tenant and all that is its own, in one step; False when there is neither it nor a module."""
        return await self._change_tenant(uuid, lambda connection: _remove_tenant(connection, uuid))

    async def owners(self) -> list[str]:
        """UUIDs that own at least one module."""
        return [owner for (owner,) in await self._rows("SELECT DISTINCT owner FROM module ORDER BY owner")]

    async def modules(self, owner: str) -> ModuleSet:
        """The owner's modules."""
        return await self._run(lambda: modules.read(self._file.connection, owner))

    async def bundle(self, digest: str) -> bytes | None:
        """The bundle at this content address."""
        rows = await self._rows("SELECT data FROM bundle WHERE digest = ?", digest)
        return bytes(rows[0][0]) if rows else None

    async def put_bundle(self, data: bytes) -> str:
        """Keeps a bundle and gives its digest."""
        # In a hurry: it counts only once a module names it.
        return await self._step(lambda connection: modules.put_bundle(connection, data), hurry=True)

    async def change_modules(
        self, owner: str, put: list[Module], remove: list[str], revision: int | None = None
    ) -> ModuleSet:
        """Puts and removes modules in one step; a name in both is put.

        Raises ValueError when a bundle of `put` was not kept first or a module has another owner, and
        Conflict when the set is not at `revision`.
        """
        if strangers := [module.name for module in put if module.owner != owner]:
            raise ValueError(f"not modules of {owner}: {', '.join(strangers)}")
        return await self._step(lambda connection: modules.change(connection, owner, put, set(remove), revision))

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
            await self._write("DELETE FROM setting WHERE name = ?", name)
        else:
            await self._write("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Does this on the store's thread. Raises StoreUnavailable for what SQLite or the disk refuses."""
        self._require_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(self._file.explain(error)) from error

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        return await self._run(lambda: self._file.connection.execute(query, values).fetchall())

    async def _write(self, query: str, *values: str) -> None:
        await self._step(lambda connection: connection.execute(query, values).rowcount)

    async def _step(self, work: Callable[[sqlite3.Connection], _T], *, hurry: bool = False) -> _T:
        """Does this in a step of its own."""

        def step() -> _T:
            with self._file.step(hurry=hurry) as connection:
                return work(connection)

        return await self._run(step)

    async def _change_tenant(self, uuid: str, change: Callable[[sqlite3.Connection], _T]) -> _T:
        """Does this in a step of its own, and knows the tenant as it is then."""

        def step() -> _T:
            with self._file.step() as connection:
                result = change(connection)
                after = tenants.find(connection, uuid)
            # On this thread, so that it is in the order of the steps, and done though nobody waits for it any more.
            if after is None:
                self._tenants.pop(uuid, None)
            else:
                self._tenants[uuid] = after
            return result

        return await self._run(step)

    def _open(self) -> None:
        self._file.open()
        self._tenants = {tenant.uuid: tenant for tenant in tenants.every(self._file.connection)}


# On the store's own thread.


def _remove_tenant(connection: sqlite3.Connection, uuid: str) -> bool:
    names = {module.name for module in modules.read(connection, uuid).modules}
    modules.change(connection, uuid, [], names)
    forget(connection, uuid)
    return tenants.remove(connection, uuid) or bool(names)
