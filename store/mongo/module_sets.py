"""The modules of each owner in MongoDB.

A version of a module is a record that is never changed. An owner has one document: revision, and the keys of
the records that are its modules now. Writing that document, on condition that the revision is still the one
that was read, is the one step by which a set changes; whoever reads it has the whole set before or after.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Final

import msgspec
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from store.contract import Conflict, ModuleSet, StoreUnavailable
from store.mongo.bundles import Bundles
from store.mongo.database import Database
from store.mongo.documents import Head, Record, fields, read_head, read_record

_ATTEMPTS: Final = 20
"""How often a step is tried again when others changed the same owner's modules meanwhile."""
_PAUSE_SECS: Final = 0.02
"""Between two attempts at most, times the number of attempts so far."""
_BATCH: Final = 1000
"""Records asked for at once."""
_DUPLICATE_KEY: Final = 11000


class Held(msgspec.Struct, frozen=True):
    """One owner's modules at one moment."""

    modules: ModuleSet
    records: dict[str, Record]
    """By name of the module, in its order."""


class ModuleSets:
    """Module sets by owner."""

    def __init__(self, database: Database, bundles: Bundles) -> None:
        self._database = database
        self._bundles = bundles

    async def owners(self) -> list[str]:
        """Who owns at least one module."""
        found = self._database.sets.find({"modules.0": {"$exists": True}}, {"_id": True}).sort("_id")
        return [document["_id"] async for document in found]

    async def read(self, owner: str) -> Held:
        """The owner's modules now."""
        for attempt in range(_ATTEMPTS):
            found = await self._of(owner, await self._head(owner))
            if found is not None:
                return found
            await _pause(attempt)
        raise _contended(owner)

    async def change(
        self, owner: str, put: list[Record], remove: list[str], known: Held | None, revision: int | None
    ) -> tuple[Held, bool]:
        """One step as the contract has it, and whether it changed anything.

        `known` spares reading what has not changed since. Raises ValueError when a bundle was not kept, and
        Conflict when the set is not at `revision`.
        """
        gone = set(remove)
        for attempt in range(_ATTEMPTS):
            head = await self._head(owner)
            if revision not in (None, head.revision):
                raise Conflict(f"the modules of {owner} were changed meanwhile")
            fresh = known and known.modules.revision == head.revision
            before = known if fresh else await self._of(owner, head)
            if before is not None:
                wanted = {name: record for name, record in before.records.items() if name not in gone}
                wanted |= {record.module.name: record for record in put}
                if wanted == before.records:
                    return before, False
                after = _held(owner, before.modules.revision + 1, wanted.values())
                await self._keep([record for record in put if before.records.get(record.module.name) != record])
                if await self._commit(before.modules.revision, after):
                    return after, True
            await _pause(attempt)
        raise _contended(owner)

    async def _head(self, owner: str) -> Head:
        document = await self._database.sets.find_one({"_id": owner})
        return Head(0, []) if document is None else read_head(document)

    async def _of(self, owner: str, head: Head) -> Held | None:
        """The set that a document names; None when its records are gone, because there is a newer one."""
        records: list[Record] = []
        with self._database.bulk():
            for start in range(0, len(head.modules), _BATCH):
                found = self._database.records.find({"_id": {"$in": head.modules[start : start + _BATCH]}})
                records += [read_record(document) async for document in found]
        return _held(owner, head.revision, records) if len(records) == len(head.modules) else None

    async def _keep(self, records: list[Record]) -> None:
        """Keeps these. Raises ValueError when the bundle of one was not kept."""
        if not records:
            return
        digests = {digest for record in records for digest in record.module.digests}
        if not await self._bundles.keep(digests):
            missing = await self._bundles.missing(digests)
            for record in records:
                if record.module.digests & missing:
                    raise ValueError(f"a bundle of module {record.module.name} was not kept")
        writes = [
            UpdateOne(
                {"_id": record.key},
                {"$setOnInsert": fields(record), "$currentDate": {"kept": True}},
                upsert=True,
            )
            for record in records
        ]
        try:
            with self._database.bulk():
                await self._database.records.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # Another one kept the same record at the same moment, which serves as well.
            if any(failed["code"] != _DUPLICATE_KEY for failed in error.details["writeErrors"]):
                raise

    async def _commit(self, revision: int, after: Held) -> bool:
        """The step itself; False when the owner is not at this revision any more."""
        keys = [record.key for record in after.records.values()]
        try:
            result = await self._database.sets.update_one(
                {"_id": after.modules.owner, "revision": revision},
                {"$set": {"revision": after.modules.revision, "modules": keys}, "$currentDate": {"changed": True}},
                upsert=revision == 0,
            )
        except DuplicateKeyError:
            return False
        return bool(result.matched_count or result.upserted_id is not None)


def _held(owner: str, revision: int, records: Iterable[Record]) -> Held:
    by_name = {record.module.name: record for record in sorted(records, key=lambda record: record.module.name)}
    modules = ModuleSet(owner=owner, revision=revision, modules=tuple(record.module for record in by_name.values()))
    return Held(modules, by_name)


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, _PAUSE_SECS * (attempt + 1)))


def _contended(owner: str) -> StoreUnavailable:
    return StoreUnavailable(f"the modules of {owner} are being changed by others: try again")
