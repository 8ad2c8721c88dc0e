"""Forgets what no module set names any more.

Nothing is forgotten that was kept within FORGET_SECS. A module set names only what was kept just before, so
what another one is about to name is not taken from under it, and no lock is needed.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from bson import ObjectId
from gridfs.errors import NoFile
from pymongo.errors import PyMongoError

from store.mongo.database import Database, Document

log = logging.getLogger("plugbay.store")

SWEEP_SECS: Final = 60.0
"""Between two sweeps of one store."""
FORGET_SECS: Final = 60.0
"""Longer than any step takes from keeping something to naming it."""
ORPHAN_SECS: Final = 3600.0
"""Age of what an interrupted write has left in GridFS when it goes; told by clocks of clients."""
UNNAMED_KEPT: Final = 1000
UNNAMED_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bundles kept though no module names them, the latest ones: versions that are being inspected."""
_BATCH: Final = 1000
"""Documents removed at once."""


class Sweep:
    """The sweeps of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._swept = time.monotonic()

    async def when_due(self) -> None:
        """Sweeps when the last one is long enough ago. One that fails is no matter: the next one sweeps the same."""
        if time.monotonic() - self._swept < SWEEP_SECS:
            return
        self._swept = time.monotonic()
        try:
            now = await self._database.time()
            with self._database.bulk():
                await self._sweep(now)
        except PyMongoError as error:
            log.warning("what no module names could not be removed from the store: %s", error)

    async def _sweep(self, now: datetime) -> None:
        kept_before = {"$lt": now - timedelta(seconds=FORGET_SECS)}
        named = {key async for head in self._database.sets.find({}, {"modules": True}) for key in head["modules"]}
        digests: set[str] = set()
        unnamed: list[str] = []
        # Every record fulfils the condition; it makes the index serve.
        async for record in self._database.records.find({"digest": {"$gte": ""}}, {"digest": True}):
            if record["_id"] in named:
                digests.add(record["digest"])
            else:
                unnamed.append(record["_id"])
        # Those of records that no set names are among them: their bundles go with a later sweep.
        async for record in self._database.records.find({"versions.digest": {"$gte": ""}}, {"versions.digest": True}):
            digests.update(version["digest"] for version in record["versions"])
        for start in range(0, len(unnamed), _BATCH):
            await self._database.records.delete_many(
                {"_id": {"$in": unnamed[start : start + _BATCH]}, "kept": kept_before}
            )
        for digest in await self._too_many(digests):
            await self._forget_bundle({"_id": digest, "kept": kept_before})
        await self._forget_orphans(now - timedelta(seconds=ORPHAN_SECS))

    async def _too_many(self, named: set[str]) -> list[str]:
        """Digests of unnamed bundles beyond those that may stay."""
        count = size = 0
        too_many: list[str] = []
        async for bundle in self._database.bundles.find({}, {"kept": True, "bytes": True}).sort("kept", -1):
            if bundle["_id"] not in named:
                count += 1
                size += bundle["bytes"]
                if count > UNNAMED_KEPT or size > UNNAMED_KEPT_BYTES:
                    too_many.append(bundle["_id"])
        return too_many

    async def _forget_bundle(self, condition: Document) -> None:
        gone = await self._database.bundles.find_one_and_delete(condition, {"file": True})
        if gone and "file" in gone:
            await self._forget_file(gone["file"])

    async def _forget_orphans(self, before: datetime) -> None:
        """Removes what lies in GridFS and belongs to no bundle."""
        large = self._database.bundles.find({"file": {"$exists": True}}, {"file": True, "_id": False})
        used = {bundle["file"] async for bundle in large}
        there: set[ObjectId] = set(await self._database.chunks.distinct("files_id"))
        for file in there - used:
            if file.generation_time.replace(tzinfo=None) < before:
                await self._forget_file(file)

    async def _forget_file(self, file: ObjectId) -> None:
        try:
            await self._database.files.delete(file)
        except NoFile:  # its chunks are gone now; it was never completed
            return
