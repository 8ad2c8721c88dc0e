"""The MongoDB store: the contract over its parts, and what of it is kept in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pymongo import ReturnDocument

from store.contract import Conflict, Module, ModuleSet, Role, Tenant, TenantChange
from store.mongo.audit import MongoAudit
from store.mongo.bundles import Bundles
from store.mongo.cache import Cache
from store.mongo.database import Database, Document, Names
from store.mongo.documents import record, text
from store.mongo.module_sets import Held, ModuleSets
from store.mongo.sweep import Sweep
from store.mongo.tenants import Tenants
from store.mongo.variables import MongoUsage, MongoVariables
from store.mongo.watch import Change, Watch, What

log = logging.getLogger("plugbay.store")

MODULES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Module sets kept in memory, together."""
BUNDLES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Bundles kept in memory, together."""
_MODULE_BYTES: Final = 2000
"""What a module counts for besides its report and versions."""
_VERSION_BYTES: Final = 400
"""What one of its versions does."""

_CHANGED_AGAIN: Final[Document] = {"$currentDate": {"changed": True}, "$inc": {"revision": 1}}


class MongoStore:
    """`store.contract.Store` in the database that a URI and names say.

    What this process reads or writes, it knows: it is served from memory, also while the database is away.
    What other processes change is known here within a second, and then told to `on_change`.
    """

    def __init__(self, uri: str, names: Names) -> None:
        self.on_change: list[Callable[[Change], None]] = []
        """Called in the event loop with each change that another process made."""
        self._database = Database(uri, names)
        self._bundles = Bundles(self._database)
        self._sets = ModuleSets(self._database, self._bundles)
        self._sweep = Sweep(self._database)
        self._watch = Watch(self._database, self._changed)
        self._tenants = Tenants(self._database, self._watch)
        self.variables = MongoVariables(self._database, self._watch)
        self.usage = MongoUsage(self._database)
        self.audit = MongoAudit(self._database)
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._known_sets: Cache[Held] = Cache(MODULES_KEPT_BYTES)
        self._known_bundles: Cache[bytes] = Cache(BUNDLES_KEPT_BYTES)

    async def open(self) -> None:
        """Connects and makes what is missing. Once closed it stays closed.

        Raises StoreUnavailable: no answer, not allowed, no address, made by a newer Plugbay.
        """
        await self._database.open()
        self._watching = asyncio.create_task(self._watch.run(), name="store watch")
        self._watching.add_done_callback(self._watch_ended)

    async def close(self) -> None:
        """Completes writes under way and disconnects. May be called twice."""
        await self._database.finish()
        watching, self._watching = self._watching, None
        if watching is not None:
            await self._watch.stop(watching)
        await self._database.close()

    def tenant(self, uuid: str) -> Coroutine[Any, Any, Tenant | None]:
        """The tenant registered under this UUID. Asked for by every call: it is the coroutine itself."""
        return self._tenants.get(uuid)

    async def tenants(self) -> list[Tenant]:
        """All tenants, by UUID. They are not all known: raises StoreUnavailable while the database is away."""
        return await self._tenants.every()

    async def find_tenants(
        self, text: str, after: str, limit: int, role: Role | None = None, admin: str | None = None
    ) -> list[Tenant]:
        """The first `limit` tenants behind `after` whose UUID or name begins with `text`. See Store. Raises as
        `tenants`."""
        return await self._tenants.search(text, after, limit, role, admin)

    async def add_tenant(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict when the UUID is registered or the name is another's."""
        await self._tenants.add(tenant)

    async def change_tenant(self, uuid: str, change: TenantChange, before: Tenant | None = None) -> Tenant | None:
        """Changes a tenant; None when there is no such tenant. Raises Conflict when the name is another's, or
        what is to be another is not as `before`."""
        return await self._tenants.change(uuid, change, before)

    async def remove_tenant(self, uuid: str) -> bool:
        """Forgets a tenant, then its variables, usage and modules; False when there is neither it nor a module."""
        removed = await self._tenants.remove(uuid)
        await self.variables.forget(uuid)
        await self.usage.forget_owner(uuid)
        self._known_sets.drop(uuid)
        names = [module.name for module in (await self.modules(uuid)).modules]
        if names:
            await self.change_modules(uuid, [], names)
        return removed or bool(names)

    async def owners(self) -> list[str]:
        """UUIDs that own at least one module. Raises StoreUnavailable while the database is away."""
        with self._database.operation():
            return await self._sets.owners()

    async def modules(self, owner: str) -> ModuleSet:
        """The owner's modules."""
        self._database.require_open()
        known = self._known_sets.get(text(owner, "the owner"))
        if known is None:
            with self._database.operation():
                known = await self._sets.read(owner)
            self._know_set(known)
        return known.modules

    async def bundle(self, digest: str) -> bytes | None:
        """The bundle at this content address."""
        self._database.require_open()
        known = self._known_bundles.get(text(digest, "the digest"))
        if known is None:
            with self._database.operation():
                known = await self._bundles.get(digest)
            if known is not None:
                self._known_bundles.put(digest, known, len(known))
        return known

    async def put_bundle(self, data: bytes) -> str:
        """Keeps a bundle and gives its digest."""
        with self._database.operation():
            digest = await self._bundles.put(data)
            self._known_bundles.put(digest, data, len(data))
            await self._sweep.when_due()
            return digest

    async def change_modules(
        self, owner: str, put: list[Module], remove: list[str], revision: int | None = None
    ) -> ModuleSet:
        """Puts and removes modules in one step; a name in both is put.

        Raises ValueError when a bundle of `put` was not kept first or a module has another owner, and
        Conflict when the set is not at `revision`.
        """
        text(owner, "the owner")
        if strangers := [module.name for module in put if module.owner != owner]:
            raise ValueError(f"not modules of {owner}: {', '.join(strangers)}")
        records = [record(module) for module in put]
        with self._database.operation():
            async with self._changing:  # against others it is the revision that decides
                self._database.require_present()
                with self._watch.own(Change(What.MODULES, owner)) as wrote:
                    known = self._known_sets.get(owner)
                    try:
                        held, changed = await self._sets.change(owner, records, remove, known, revision)
                    except Conflict:
                        self._known_sets.drop(owner)
                        raise
                    if changed:
                        wrote(held.modules.revision)
                    self._know_set(held)
            if changed:
                await self._sweep.when_due()
            return held.modules

    async def setting(self, name: str) -> str | None:
        """A run-time setting. Raises StoreUnavailable while the database is away."""
        with self._database.operation():
            document = await self._database.settings.find_one({"_id": text(name, "the name")})
            return None if document is None else document["value"]

    async def settings(self) -> dict[str, str]:
        """All run-time settings, by name."""
        with self._database.operation():
            found = self._database.settings.find({"value": {"$ne": None}}).sort("_id")
            return {document["_id"]: document["value"] async for document in found}

    async def put_setting(self, name: str, value: str | None) -> None:
        """Keeps a run-time setting; None forgets it."""
        text(name, "the name")
        if value is not None:
            text(value, "the value")
        with self._database.operation(), self._watch.own(Change(What.SETTING, name)) as wrote:
            # What is forgotten keeps its document, so that others are told.
            document = await self._database.settings.find_one_and_update(
                {"_id": name},
                {"$set": {"value": value}} | _CHANGED_AGAIN,
                {"revision": True},
                upsert=value is not None,
                return_document=ReturnDocument.AFTER,
            )
            if document is not None:
                wrote(document["revision"])

    def _know_set(self, held: Held) -> None:
        modules = held.modules
        if modules.revision and self._watch.is_latest(Change(What.MODULES, modules.owner), modules.revision):
            bytes_held = sum(map(_bytes, modules.modules)) + _MODULE_BYTES
            self._known_sets.put(modules.owner, held, bytes_held)

    def _changed(self, change: Change, document: Document) -> None:
        if change.what is What.MODULES:
            self._known_sets.drop(change.key)
        elif change.what is What.TENANT:
            self._tenants.changed(document)
        elif change.what is What.VARIABLES:
            self.variables.changed(change.key)
        for tell in self.on_change:
            tell(change)

    def _watch_ended(self, watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and (error := watching.exception()):
            log.critical("the store's watch failed", exc_info=error)
            self._database.give_up("the store's watch failed, see the log: restart Plugbay")


def _bytes(module: Module) -> int:
    """What a module counts for in memory."""
    return len(module.report) + len(module.versions) * _VERSION_BYTES + _MODULE_BYTES
