"""The audit trail in MongoDB: one document per entry, under its id."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from pymongo import DESCENDING, UpdateOne

from store.audit import Entry, first_id
from store.mongo.database import Database, Document
from store.mongo.documents import text
from store.tenant_search import beginning_with


class MongoAudit:
    """See store.audit.AuditStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entries: Sequence[Entry]) -> None:
        """See AuditStore."""
        steps = [UpdateOne({"_id": entry.id}, {"$setOnInsert": _fields(entry)}, upsert=True) for entry in entries]
        if steps:
            with self._database.operation():
                await self._database.audit.bulk_write(steps, ordered=False)

    async def find(self, tenant: str, what: str, before: str, limit: int, admin: str = "") -> list[Entry]:
        """See AuditStore."""
        begin, end = beginning_with(text(what, "what was done"))
        wanted: Document = {"what": {"$gte": begin, "$lt": end}}
        if text(tenant, "the tenant"):
            wanted["tenant"] = tenant
        if text(admin, "the admin"):
            wanted["admin"] = admin
        if text(before, "the id"):
            wanted["_id"] = {"$lt": before}
        with self._database.operation():
            found = self._database.audit.find(wanted).sort("_id", DESCENDING).limit(limit)
            return [_entry(document) async for document in found]

    async def trim(self, who: str, most: int) -> None:
        """See AuditStore."""
        by = {"who": text(who, "who did it")}
        with self._database.operation():
            past = self._database.audit.find(by, {"_id": True}).sort("_id", DESCENDING).skip(most).limit(1)
            for newest in [document["_id"] async for document in past]:
                await self._database.audit.delete_many(by | {"_id": {"$lte": newest}})

    async def forget(self, before: float) -> None:
        """See AuditStore."""
        with self._database.operation():
            await self._database.audit.delete_many({"_id": {"$lt": first_id(before)}})


def _fields(entry: Entry) -> Document:
    """What an entry's document holds besides its id. Raises msgspec.ValidationError when a field is no text."""
    fields: Document = msgspec.to_builtins(entry, builtin_types=(bytes,))
    msgspec.convert(fields, Entry)
    return {name: value for name, value in fields.items() if name != "id"}


def _entry(document: Document) -> Entry:
    """The entry in a document. Raises msgspec.ValidationError."""
    return msgspec.convert(document | {"id": document["_id"]}, Entry)
