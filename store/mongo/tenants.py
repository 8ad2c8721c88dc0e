"""Tenants in MongoDB: one document each, and what of them is kept in memory.

One that is removed leaves its document for a while, without its fields: so that everybody who watches is told.
"""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from store.contract import Conflict, Tenant, TenantChange, changing
from store.mongo.cache import TENANTS_KEPT, Cache
from store.mongo.database import Database, Document
from store.mongo.documents import TENANT_FIELDS, read_tenant, tenant_fields, text
from store.mongo.watch import Change, Watch, What
from store.tenant_search import beginning_with, folded

_CHANGED_AGAIN: Final[Document] = {"$currentDate": {"changed": True}, "$inc": {"revision": 1}}
_PRESENT: Final[Document] = {"removed": {"$exists": False}}


class Tenants:
    """Tenants by UUID."""

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch
        self._known: Cache[Tenant] = Cache(TENANTS_KEPT)

    async def get(self, uuid: str) -> Tenant | None:
        """One tenant; one that is known is given from memory, also while the database is away."""
        self._database.require_open()
        known = self._known.get(text(uuid, "the UUID"))
        if known is not None:
            return known
        with self._database.operation():
            document = await self._database.tenants.find_one({"_id": uuid})
            return None if document is None else self._know(document)

    async def every(self) -> list[Tenant]:
        """All tenants, by UUID."""
        with self._database.operation():
            found = self._database.tenants.find(_PRESENT).sort("_id")
            return [tenant async for document in found if (tenant := read_tenant(document))]

    async def search(self, prefix: str, after: str, limit: int) -> list[Tenant]:
        """See Store.find_tenants."""
        begin, end = beginning_with(folded(text(prefix, "the text")))
        within = {"$gte": begin, "$lt": end}
        wanted = _PRESENT | {
            "_id": {"$gt": text(after, "the UUID")},
            "$or": [{"_id": within}, {"folded": within}],
        }
        with self._database.operation():
            found = self._database.tenants.find(wanted).sort("_id").limit(limit)
            return [tenant async for document in found if (tenant := read_tenant(document))]

    async def add(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict."""
        uuid, fields = tenant.uuid, tenant_fields(tenant)
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            try:
                # Matches one that was removed, or nothing: then it inserts, unless the UUID is there.
                document = await self._database.tenants.find_one_and_update(
                    {"_id": uuid, "removed": {"$exists": True}},
                    {"$set": fields, "$unset": {"removed": ""}} | _CHANGED_AGAIN,
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError as error:
                there = await self._database.tenants.find_one({"_id": uuid} | _PRESENT, {"_id": True})
                if there is None and tenant.name:
                    raise Conflict(f"another tenant is called {tenant.name}") from error
                raise Conflict(f"tenant {uuid} is registered already") from error
            assert document is not None  # it was made, if it was not there
            wrote(document["revision"])
            self._know(document)

    async def change(self, uuid: str, wanted: TenantChange, before: Tenant | None) -> Tenant | None:
        """See Store.change_tenant."""
        there = {"_id": text(uuid, "the UUID")} | _PRESENT
        only: Document = {}
        if before is not None:
            was, blank = tenant_fields(before), tenant_fields(Tenant(uuid=uuid))
            for field in changing(wanted):  # what was never set may be no field of the document
                only[field] = {"$in": [was[field], *([None] if was[field] == blank[field] else [])]}
        fields = tenant_fields(wanted)
        change = {"$set": fields} if fields else {}
        if fields.get("name") == "":
            change["$unset"] = {"folded": ""}
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            try:
                document = await self._database.tenants.find_one_and_update(
                    there | only, change | _CHANGED_AGAIN, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError as error:
                raise Conflict(f"another tenant is called {wanted.name}") from error
            if document is None:
                if only and await self._database.tenants.find_one(there, {"_id": True}):
                    self._known.drop(uuid)
                    raise Conflict(f"{', '.join(only)} of {uuid} is another by now")
                return None
            wrote(document["revision"])
            return self._know(document)

    async def remove(self, uuid: str) -> bool:
        """Forgets a tenant; False when there is none."""
        text(uuid, "the UUID")
        gone = {"$unset": dict.fromkeys(TENANT_FIELDS, ""), "$inc": {"revision": 1}}
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            document = await self._database.tenants.find_one_and_update(
                {"_id": uuid} | _PRESENT,
                gone | {"$currentDate": {"changed": True, "removed": True}},
                {"revision": True},
                return_document=ReturnDocument.AFTER,
            )
            if document is not None:
                wrote(document["revision"])
            self._known.drop(uuid)
            return document is not None

    def changed(self, document: Document) -> None:
        """Another process has written this document."""
        uuid = document["_id"]
        if self._known.get(uuid):
            self._known.drop(uuid)
            with contextlib.suppress(msgspec.ValidationError):  # who asks for the tenant is told
                self._know(document)

    def _know(self, document: Document) -> Tenant | None:
        tenant = read_tenant(document)
        change = Change(What.TENANT, document["_id"])
        if tenant is not None and self._watch.is_latest(change, document.get("revision", 0)):
            self._known.put(tenant.uuid, tenant)
        return tenant
