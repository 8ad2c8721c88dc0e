"""The MongoDB store: the contract over its parts, and what of it is kept in memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

import msgspec
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from store.contract import Conflict, Module, ModuleSet, Status, Tenant
from store.mongo.bundles import Bundles
from store.mongo.cache import Cache
from store.mongo.database import Database, Document, Names
from store.mongo.documents import read_tenant, record, tenant_fields, text
from store.mongo.module_sets import Held, ModuleSets
from store.mongo.sweep import Sweep
from store.mongo.watch import Change, Watch, What

log = logging.getLogger("plugbay.store")

TENANTS_KEPT: Final = 10_000
"""Tenants kept in memory."""
MODULES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Module sets kept in memory, together."""
BUNDLES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Bundles kept in memory, together."""
_MODULE_BYTES: Final = 2000
"""What a module counts for besides its report."""

_CHANGED: Final[Document] = {"$currentDate": {"changed": True}}
_CHANGED_AGAIN: Final[Document] = _CHANGED | {"$inc": {"revision": 1}}


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
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._known_tenants: Cache[Tenant] = Cache(TENANTS_KEPT)
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

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""
        self._database.require_open()
        known = self._known_tenants.get(text(uuid, "the UUID"))
        if known is not None:
            return known
        with self._database.operation():
            document = await self._database.tenants.find_one({"_id": uuid})
            return None if document is None else self._know_tenant(document)

    async def tenants(self) -> list[Tenant]:
        """All tenants, by UUID. They are not all known: raises StoreUnavailable while the database is away."""
        with self._database.operation():
            return [read_tenant(document) async for document in self._database.tenants.find().sort("_id")]

    async def add_tenant(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict when the UUID is registered."""
        uuid, fields = tenant.uuid, tenant_fields(tenant)
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            try:
                # Matches nothing, so it inserts, unless the UUID is there.
                await self._database.tenants.update_one(
                    {"_id": uuid, "revision": 0}, {"$set": fields} | _CHANGED_AGAIN, upsert=True
                )
            except DuplicateKeyError as error:
                raise Conflict(f"tenant {uuid} is registered already") from error
            wrote(1)
            self._know_tenant(fields | {"_id": uuid, "revision": 1})

    async def set_status(self, uuid: str, status: Status) -> bool:
        """Changes a tenant's status; False when there is no such tenant."""
        text(uuid, "the UUID")
        changes = {"$set": {"status": Status(status).value}} | _CHANGED_AGAIN
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            document = await self._database.tenants.find_one_and_update(
                {"_id": uuid}, changes, return_document=ReturnDocument.AFTER
            )
            if document is None:
                return False
            wrote(document["revision"])
            self._know_tenant(document)
            return True

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

    async def change_modules(self, owner: str, put: list[Module], remove: list[str]) -> ModuleSet:
        """Puts and removes modules in one step; a name in both is put.

        Raises ValueError when a bundle of `put` was not kept first or a module has another owner.
        """
        text(owner, "the owner")
        if strangers := [module.name for module in put if module.owner != owner]:
            raise ValueError(f"not modules of {owner}: {', '.join(strangers)}")
        records = [record(module) for module in put]
        with self._database.operation():
            async with self._changing:  # against others it is the revision that decides
                self._database.require_present()
                with self._watch.own(Change(What.MODULES, owner)) as wrote:
                    held, changed = await self._sets.change(owner, records, remove, self._known_sets.get(owner))
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

    def _know_tenant(self, document: Document) -> Tenant:
        tenant = read_tenant(document)
        if self._watch.is_latest(Change(What.TENANT, tenant.uuid), document.get("revision", 0)):
            self._known_tenants.put(tenant.uuid, tenant)
        return tenant

    def _know_set(self, held: Held) -> None:
        modules = held.modules
        if modules.revision and self._watch.is_latest(Change(What.MODULES, modules.owner), modules.revision):
            bytes_held = sum(len(module.report) + _MODULE_BYTES for module in modules.modules) + _MODULE_BYTES
            self._known_sets.put(modules.owner, held, bytes_held)

    def _changed(self, change: Change, document: Document) -> None:
        if change.what is What.MODULES:
            self._known_sets.drop(change.key)
        elif change.what is What.TENANT and self._known_tenants.get(change.key):
            self._known_tenants.drop(change.key)
            with contextlib.suppress(msgspec.ValidationError):  # who asks for the tenant is told
                self._know_tenant(document)
        for tell in self.on_change:
            tell(change)

    def _watch_ended(self, watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and (error := watching.exception()):
            log.critical("the store's watch failed", exc_info=error)
            self._database.give_up("the store's watch failed, see the log: restart Plugbay")
