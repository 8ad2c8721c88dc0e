"""Bundles in MongoDB: small ones are one document, large ones lie in GridFS and have a document that says where.

The document is written last: a bundle that has one is complete. What an interrupted write leaves in GridFS
is found by the sweep.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gridfs.errors import NoFile
from pymongo.errors import DuplicateKeyError

from calls import bundle as bundles
from store.mongo.database import Database, Document

INLINE_BYTES: Final = 1024 * 1024
"""Larger bundles go to GridFS: MongoDB takes documents of 16 MiB, and writes one anew whenever it is kept again."""

_KEPT: Final = {"$currentDate": {"kept": True}}
"""Puts a bundle at the end of those that may be forgotten."""


class Bundles:
    """Bundles by digest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, digest: str) -> bytes | None:
        """The bundle, or None."""
        found = await self._database.bundles.find_one({"_id": digest})
        if found is None:
            return None
        if "file" not in found:
            return bytes(found["data"])
        with self._database.bulk():
            try:
                stream = await self._database.files.open_download_stream(found["file"])
                return await stream.read()
            except NoFile:  # forgotten since its document was read
                return None

    async def put(self, data: bytes) -> str:
        """Keeps a bundle and gives its digest."""
        digest = await asyncio.to_thread(bundles.digest, data)
        if await self.keep({digest}):
            return digest
        with self._database.bulk():
            if len(data) <= INLINE_BYTES:
                await self._add(digest, {"bytes": len(data), "data": data})
            else:
                file = await self._database.files.upload_from_stream(digest, data)
                if not await self._add(digest, {"bytes": len(data), "file": file}):
                    await self._database.files.delete(file)
        return digest

    async def keep(self, digests: set[str]) -> bool:
        """Saves these from being forgotten for the next while; False when one of them is not there."""
        result = await self._database.bundles.update_many({"_id": {"$in": sorted(digests)}}, _KEPT)
        return result.matched_count == len(digests)

    async def missing(self, digests: set[str]) -> set[str]:
        """Those of `digests` that are not there."""
        found = self._database.bundles.find({"_id": {"$in": sorted(digests)}}, {"_id": True})
        return digests - {document["_id"] async for document in found}

    async def _add(self, digest: str, content: Document) -> bool:
        """Whether this made the document: another one may have kept the same bundle meanwhile."""
        try:
            result = await self._database.bundles.update_one(
                {"_id": digest}, {"$setOnInsert": content} | _KEPT, upsert=True
            )
        except DuplicateKeyError:
            return False
        return result.upserted_id is not None
