"""Variables and usage of tenants in MongoDB.

Variables of a tenant that is removed leave their document for a while, without what was in it: so that everybody
who watches is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from store.contract import Conflict, SealedVariables
from store.mongo.cache import Cache
from store.mongo.database import Database, Document
from store.mongo.documents import text
from store.mongo.watch import Change, Watch, What
from store.usage import FIELDS, Usage

VARIABLES_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Variables kept in memory, together, sealed as they are."""
_OVERHEAD_BYTES: Final = 200
"""What a tenant's count for besides their length."""

_CHANGED_AGAIN: Final[Document] = {"$currentDate": {"changed": True}, "$inc": {"revision": 1}}
_NONE: Final = SealedVariables()


class MongoVariables:
    """See store.variables.VariableStore."""

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch
        self._known: Cache[SealedVariables] = Cache(VARIABLES_KEPT_BYTES)

    async def get(self, owner: str) -> SealedVariables:
        """The tenant's; those that are known are given from memory, also while the database is away."""
        self._database.require_open()
        known = self._known.get(text(owner, "the owner"))
        if known is not None:
            return known
        with self._database.operation():
            document = await self._database.variables.find_one({"_id": owner})
            return self._know(owner, document)

    async def owners(self) -> list[str]:
        """See VariableStore."""
        with self._database.operation():
            found = self._database.variables.find({"sealed": {"$gt": ""}}, {"_id": True}).sort("_id")
            return [document["_id"] async for document in found]

    async def put(self, owner: str, sealed: str, revision: int) -> SealedVariables:
        """See VariableStore."""
        present = {"removed": {"$exists": False}} if revision else {"removed": {"$exists": True}}
        at = {"revision": revision} if revision else {}
        with self._database.operation(), self._watch.own(Change(What.VARIABLES, text(owner, "the owner"))) as wrote:
            try:
                document = await self._database.variables.find_one_and_update(
                    {"_id": owner} | present | at,
                    {"$set": {"sealed": text(sealed, "the variables")}, "$unset": {"removed": ""}} | _CHANGED_AGAIN,
                    upsert=not revision,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                document = None
            if document is None:
                self._known.drop(owner)
                raise Conflict(f"the variables of {owner} were changed meanwhile")
            wrote(document["revision"])
            return self._know(owner, document)

    async def forget(self, owner: str) -> None:
        """Forgets a tenant's."""
        gone = {"$unset": {"sealed": ""}, "$inc": {"revision": 1}}
        with self._database.operation(), self._watch.own(Change(What.VARIABLES, text(owner, "the owner"))) as wrote:
            document = await self._database.variables.find_one_and_update(
                {"_id": owner, "removed": {"$exists": False}},
                gone | {"$currentDate": {"changed": True, "removed": True}},
                {"revision": True},
                return_document=ReturnDocument.AFTER,
            )
            if document is not None:
                wrote(document["revision"])
            self._known.drop(owner)

    def changed(self, owner: str) -> None:
        """Another process has changed a tenant's."""
        self._known.drop(owner)

    def _know(self, owner: str, document: Document | None) -> SealedVariables:
        there = document is not None and "removed" not in document
        kept = msgspec.convert(document, SealedVariables) if there else _NONE
        revision = document["revision"] if document is not None else 0
        if self._watch.is_latest(Change(What.VARIABLES, owner), revision):
            self._known.put(owner, kept, len(kept.sealed) + _OVERHEAD_BYTES)
        return kept


class MongoUsage:
    """See store.usage.UsageStore. One document per tenant and day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, day: str, used: Mapping[str, Usage]) -> None:
        """See UsageStore."""
        steps = [
            UpdateOne(
                {"_id": f"{text(owner, 'the owner')} {day}"},
                {
                    "$set": {"owner": owner, "day": text(day, "the day")},
                    "$inc": {name: getattr(usage, name) for name in FIELDS},
                },
                upsert=True,
            )
            for owner, usage in used.items()
        ]
        if steps:
            with self._database.operation():
                await self._database.usage.bulk_write(steps, ordered=False)

    async def of(self, owner: str, since: str) -> dict[str, Usage]:
        """See UsageStore."""
        wanted = {"owner": text(owner, "the owner"), "day": {"$gte": text(since, "the day")}}
        with self._database.operation():
            found = self._database.usage.find(wanted).sort("day")
            return {document["day"]: msgspec.convert(document, Usage) async for document in found}

    async def forget(self, before: str) -> None:
        """See UsageStore."""
        with self._database.operation():
            await self._database.usage.delete_many({"day": {"$lt": text(before, "the day")}})

    async def forget_owner(self, owner: str) -> None:
        """Forgets a tenant's."""
        with self._database.operation():
            await self._database.usage.delete_many({"owner": text(owner, "the owner")})
