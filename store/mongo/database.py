"""The MongoDB database: its collections, how long it is waited for, and whether it is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec
import pymongo
from gridfs import AsyncGridFSBucket
from pymongo import DESCENDING, AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, ConnectionFailure, DuplicateKeyError, PyMongoError

from store.contract import StoreUnavailable
from store.mongo.refusals import explain

log = logging.getLogger("plugbay.store")

Document: TypeAlias = dict[str, Any]

VERSION: Final = 2
"""Of the documents' shape, kept in the database. 1 had no further admins, and one name space for all tenants."""

OPERATION_SECS: Final = 2.0
"""How long one request to the database may take, connecting included."""
MAX_CONNECTIONS: Final = 16
"""Requests under way at once, and connections besides the few for watching; further ones wait."""
CLOSE_SECS: Final = 1.0
"""The same for disconnecting."""
BULK_SECS: Final = 20.0
"""The same for requests that carry bundles or many modules."""
REMOVED_SECS: Final = 30 * 24 * 3600
"""How long a tenant that was removed leaves a mark, so that every process is told."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the database and its collections are called."""

    admin: str
    """Collection of this installation's own data."""
    admins: str = "ADMIN"
    """Collection of further admins."""
    database: str = "VYPERADMIN"
    tenant: str = "TENANT"
    modules: str = "MODULES"
    """Versions of modules; what belongs to them stands in collections named `<modules>.<what>`."""
    audit: str = "AUDIT"


class Database:
    """One connection pool. Knows whether the database is away: then nobody waits for it but the watch."""

    def __init__(self, uri: str, names: Names) -> None:
        self._uri = uri
        self._names = names
        self._hosts = uri.partition("://")[2].rpartition("@")[2].partition("/")[0].partition("?")[0]
        self._client: AsyncMongoClient[Document] | None = None
        self._closed = False
        self._away: str | None = None
        self._broken: str | None = None
        self._answered = 0.0
        self._under_way = 0
        self._idle = asyncio.Event()
        self.opened = datetime.min
        """The server's time when it was opened."""

    @property
    def database(self) -> AsyncDatabase[Document]:
        """The database itself. Raises StoreUnavailable when it is not open."""
        if self._client is None:
            raise StoreUnavailable("the store is not open")
        return self._client[self._names.database]

    @property
    def tenants(self) -> AsyncCollection[Document]:
        """One document per tenant, and, for a while, one without its fields per tenant that was removed."""
        return self.database[self._names.tenant]

    @property
    def admins(self) -> AsyncCollection[Document]:
        """The same of further admins."""
        return self.database[self._names.admins]

    @property
    def variables(self) -> AsyncCollection[Document]:
        """One document per tenant that has, or had, variables."""
        return self.database[f"{self._names.tenant}.variables"]

    @property
    def usage(self) -> AsyncCollection[Document]:
        """One document per tenant and day."""
        return self.database[f"{self._names.tenant}.usage"]

    @property
    def audit(self) -> AsyncCollection[Document]:
        """One document per entry of the audit trail; never changed."""
        return self.database[self._names.audit]

    @property
    def watched(self) -> tuple[tuple[str, AsyncCollection[Document]], ...]:
        """Collections whose documents say when they were changed, each with what they are of."""
        return (
            ("tenant", self.tenants),
            ("tenant", self.admins),
            ("modules", self.sets),
            ("setting", self.settings),
            ("variables", self.variables),
        )

    @property
    def settings(self) -> AsyncCollection[Document]:
        """One document per run-time setting that was ever set."""
        return self.database[self._names.admin]

    @property
    def sets(self) -> AsyncCollection[Document]:
        """One document per owner: revision, and the keys of its modules' records."""
        return self.database[f"{self._names.modules}.sets"]

    @property
    def records(self) -> AsyncCollection[Document]:
        """One document per version of a module, under the digest of all that it says; never changed."""
        return self.database[self._names.modules]

    @property
    def bundles(self) -> AsyncCollection[Document]:
        """One document per bundle; what is large stands in `files`."""
        return self.database[f"{self._names.modules}.bundles"]

    @property
    def files(self) -> AsyncGridFSBucket:
        """GridFS in the collections `<modules>.files` and `<modules>.chunks`."""
        return AsyncGridFSBucket(self.database, bucket_name=self._names.modules)

    @property
    def chunks(self) -> AsyncCollection[Document]:
        """The parts of `files`."""
        return self.database[f"{self._names.modules}.chunks"]

    async def open(self) -> None:
        """Connects and makes the indexes. Raises StoreUnavailable, and then holds nothing."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._client = self._connect()
        try:
            await self._prepare()
        except BaseException as error:
            client, self._client = self._client, None
            await _disconnect(client)
            if isinstance(error, PyMongoError):
                raise StoreUnavailable(self._explain(error)) from error
            raise

    async def finish(self) -> None:
        """Refuses what is new, for good, and waits for what is under way."""
        self._closed = True
        while self._under_way:
            await self._idle.wait()

    async def close(self) -> None:
        """Disconnects. May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await _disconnect(client)

    async def time(self) -> datetime:
        """The server's clock: one clock for everybody who uses the database."""
        now: datetime = (await self.database.command("hello"))["localTime"]
        return now

    def require_open(self) -> None:
        """Raises StoreUnavailable when it is not open."""
        if self._closed or self._client is None:
            raise StoreUnavailable("the store is closed" if self._closed else "the store is not open")

    def require_present(self) -> None:
        """Raises StoreUnavailable at once while the database is known to be away."""
        if reason := self._broken or self._away:
            raise StoreUnavailable(reason)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Around everything that a caller asks of the database; what the database refuses becomes StoreUnavailable."""
        self.require_open()
        self.require_present()
        self._under_way += 1
        self._idle.clear()
        began = time.monotonic()
        try:
            yield
            self.found()
        except PyMongoError as error:
            if isinstance(error, ConnectionFailure) or error.timeout:
                self.lost(error, began)
            raise StoreUnavailable(self._explain(error)) from error
        except msgspec.ValidationError as error:
            raise StoreUnavailable(
                f"the database {self._names.database} holds what this Plugbay cannot read ({error}): "
                "update Plugbay, or correct the document"
            ) from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    @staticmethod
    def bulk() -> AbstractContextManager[None]:
        """Around requests that carry much: they get longer. For after one that has shown that the server answers."""
        return pymongo.timeout(BULK_SECS)

    def lost(self, error: PyMongoError, began: float) -> None:
        """What was begun then had no answer, or a bad one: until `found`, everybody is refused at once."""
        if self._answered > began:  # it has answered another one since
            return
        if self._away is None:
            log.warning("%s; what is known is served on, changes are refused", self._explain(error))
        self._away = self._explain(error)

    def give_up(self, reason: str) -> None:
        """From here on everybody is refused."""
        self._broken = reason

    def found(self) -> None:
        """The database answers."""
        self._answered = time.monotonic()
        if self._away is not None:
            log.info("MongoDB at %s is back", self._hosts)
            self._away = None

    def _connect(self) -> AsyncMongoClient[Document]:
        try:
            return AsyncMongoClient(
                self._uri,
                appname="plugbay",
                maxPoolSize=MAX_CONNECTIONS,
                timeoutMS=int(OPERATION_SECS * 1000),
                connectTimeoutMS=int(OPERATION_SECS * 1000),
                w="majority",
                journal=True,
            )
        except (ConfigurationError, ValueError) as error:
            # What exactly is wrong may quote a password.
            raise StoreUnavailable(
                "MONGO_URI is no address of MongoDB: write mongodb://user:password@host:port/?authSource=database, "
                "with special characters of user and password as %XX"
            ) from error

    async def _prepare(self) -> None:
        self.opened = await self.time()
        schema = self.database[f"{self._names.modules}.schema"]
        found = await schema.find_one({"_id": "version"})
        if found is None:
            try:
                await schema.insert_one({"_id": "version", "version": VERSION})
            except DuplicateKeyError:
                found = await schema.find_one({"_id": "version"})
        if found is not None and found["version"] > VERSION:
            raise StoreUnavailable(
                f"the database {self._names.database} was made by a newer Plugbay (its documents are of version "
                f"{found['version']}, this one knows {VERSION}): update Plugbay or choose another MONGO_DATABASE"
            )
        for accounts in (self.tenants, self.admins):
            named = {"folded": {"$exists": True}}
            await accounts.create_index(["admin", "folded"], unique=True, partialFilterExpression=named)
        await self._update(schema, found)
        for kept in (self.tenants, self.admins, self.variables):
            await kept.create_index(["removed"], expireAfterSeconds=REMOVED_SECS)
        await self.usage.create_index(["owner", "day"])
        await self.usage.create_index(["day"])
        for field in ("tenant", "who", "admin"):
            await self.audit.create_index([field, ("_id", DESCENDING)])
        for _, watched in self.watched:
            await watched.create_index([("changed", DESCENDING), ("revision", DESCENDING)])
        # These have all that a sweep asks for, so that it reads no bundle and no report.
        await self.records.create_index(["digest", "_id"])
        await self.records.create_index(["versions.digest"], sparse=True)
        await self.bundles.create_index([("kept", DESCENDING), "bytes", "_id"])
        await self.bundles.create_index(["file"], sparse=True)

    async def _update(self, schema: AsyncCollection[Document], found: Document | None) -> None:
        """Brings documents of an earlier version up to date; can be repeated."""
        if found is None or found["version"] == VERSION:
            return
        await self.tenants.update_many({"admin": {"$exists": False}}, {"$set": {"admin": ""}})
        if "folded_1" in await self.tenants.index_information():
            await self.tenants.drop_index("folded_1")
        await schema.update_one({"_id": "version"}, {"$max": {"version": VERSION}})

    def _explain(self, error: PyMongoError) -> str:
        return explain(error, self._hosts, self._names.database)


async def _disconnect(client: AsyncMongoClient[Document]) -> None:
    with pymongo.timeout(CLOSE_SECS):  # it says good-bye to the server
        await client.close()
