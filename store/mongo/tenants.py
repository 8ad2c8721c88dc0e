"""Tenants and further admins in MongoDB: one document each, in the collection of its role, and what of them is kept in
memory.

One that is removed leaves its document for a while, without its fields: so that everybody who watches is told.
"""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec
from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from store.contract import Conflict, Role, Tenant, TenantChange, changing
from store.mongo.cache import TENANTS_KEPT, Cache
from store.mongo.database import Database, Document
from store.mongo.documents import TENANT_FIELDS, read_tenant, tenant_fields, text
from store.mongo.watch import Change, Watch, What
from store.tenant_search import beginning_with, folded, taken

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
            for accounts in self._accounts():
                document = await accounts.find_one({"_id": uuid})
                if document is not None:
                    return self._know(document)
            return None

    def _accounts(self, role: Role | None = None) -> list[AsyncCollection[Document]]:
        """Where those of a role are, or all. A UUID stands in one of them."""
        kept = {Role.TENANT: self._database.tenants, Role.ADMIN: self._database.admins}
        return list(kept.values()) if role is None else [kept[Role(role)]]

    async def every(self) -> list[Tenant]:
        """All of them, by UUID."""
        with self._database.operation():
            return await self._found(_PRESENT, 0)

    async def search(self, prefix: str, after: str, limit: int, role: Role | None, admin: str | None) -> list[Tenant]:
        """See Store.find_tenants."""
        begin, end = beginning_with(folded(text(prefix, "the text")))
        within = {"$gte": begin, "$lt": end}
        conditions: list[Document] = [{"$or": [{"_id": within}, {"folded": within}]}]
        if admin is not None:
            conditions.append({"$or": [{"_id": text(admin, "the admin")}, {"admin": admin}]})
        wanted = _PRESENT | {"_id": {"$gt": text(after, "the UUID")}, "$and": conditions}
        with self._database.operation():
            return await self._found(wanted, limit, role)

    async def _found(self, wanted: Document, limit: int, role: Role | None = None) -> list[Tenant]:
        """The first `limit` of them by UUID; 0: all."""
        found: list[Tenant] = []
        for accounts in self._accounts(role):
            documents = accounts.find(wanted).sort("_id").limit(limit)
            found += [tenant async for document in documents if (tenant := read_tenant(document))]
        found.sort(key=lambda tenant: tenant.uuid)
        return found[:limit] if limit else found

    async def add(self, tenant: Tenant) -> None:
        """Registers a tenant. Raises Conflict."""
        uuid, fields = tenant.uuid, tenant_fields(tenant)
        [accounts] = self._accounts(tenant.role)
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            for others in self._accounts():  # who watches goes by the revisions of one document
                if others.name != accounts.name and await others.find_one({"_id": uuid}, {"_id": True}):
                    raise Conflict(f"{uuid} is registered already, or was lately, and is no {tenant.role}")
            try:
                # Matches one that was removed, or nothing: then it inserts, unless the UUID is there.
                document = await accounts.find_one_and_update(
                    {"_id": uuid, "removed": {"$exists": True}},
                    {"$set": fields, "$unset": {"removed": ""}} | _CHANGED_AGAIN,
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError as error:
                there = await accounts.find_one({"_id": uuid} | _PRESENT, {"_id": True})
                if there is None and tenant.name:
                    raise Conflict(f"another {tenant.role} is called {tenant.name}") from error
                raise Conflict(f"{tenant.role} {uuid} is registered already") from error
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
            for accounts in self._accounts():
                try:
                    document = await accounts.find_one_and_update(
                        there | only, change | _CHANGED_AGAIN, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError as error:
                    raise taken(wanted) from error
                if document is not None:
                    wrote(document["revision"])
                    return self._know(document)
                if only and await accounts.find_one(there, {"_id": True}):
                    self._known.drop(uuid)
                    raise Conflict(f"{', '.join(only)} of {uuid} is another by now")
            return None

    async def remove(self, uuid: str) -> bool:
        """Forgets a tenant; False when there is none."""
        text(uuid, "the UUID")
        gone = {"$unset": dict.fromkeys(TENANT_FIELDS, ""), "$inc": {"revision": 1}}
        with self._database.operation(), self._watch.own(Change(What.TENANT, uuid)) as wrote:
            removed = False
            for accounts in self._accounts():
                document = await accounts.find_one_and_update(
                    {"_id": uuid} | _PRESENT,
                    gone | {"$currentDate": {"changed": True, "removed": True}},
                    {"revision": True},
                    return_document=ReturnDocument.AFTER,
                )
                if document is not None:
                    wrote(document["revision"])
                    removed = True
            self._known.drop(uuid)
            return removed

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
