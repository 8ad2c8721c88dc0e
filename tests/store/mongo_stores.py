"""MongoDB stores as the suites make them: one database per folder, on the server of the test run."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from store.mongo.database import Names
from store.mongo.store import MongoStore
from store.mongo.watch import Change
from tests.store.mongo_server import STANDALONE, MongoServer, started

SERVER = "PLUGBAY_TEST_MONGO"
"""Environment variable with the URI of the test run's server, for the processes that tests start too."""
ADMIN_COLLECTION = "ADMIN-4a1bf01e-0693-48c5-a52b-fc275205c1d8"


@contextmanager
def shared(folder: Path) -> Iterator[MongoServer]:
    """A server without change streams, on which every folder has a database of its own for `mongo_store`. Of several
    such servers only one may run at a time."""
    assert SERVER not in os.environ
    server = started(MongoServer(folder, STANDALONE))
    os.environ[SERVER] = server.uri
    try:
        yield server
    finally:
        del os.environ[SERVER]
        server.kill()


def mongo_store(folder: Path) -> MongoStore:
    """The store that lives in a folder."""
    return MongoStore(os.environ[SERVER], names(database_of(folder)))


def database_of(folder: Path) -> str:
    """Name of the database for a folder."""
    return f"PLUGBAY-{hashlib.sha256(bytes(folder)).hexdigest()[:16]}"


def names(database: str = "VYPERADMIN") -> Names:
    """The names of a database's collections."""
    return Names(database=database, admin=ADMIN_COLLECTION)


class Stores:
    """Opens stores on one database, and closes them at the end of the test."""

    def __init__(self, uri: str, database: str) -> None:
        self.uri = uri
        self.database = database
        self.stack = AsyncExitStack()

    async def open(self) -> MongoStore:
        """One more store, as another process would have it."""
        store = MongoStore(self.uri, names(self.database))
        self.stack.push_async_callback(store.close)
        await store.open()
        return store

    def client(self) -> MongoClient[dict[str, Any]]:
        """An ordinary client of the server, to be closed."""
        return MongoClient(self.uri)


def told(store: MongoStore) -> asyncio.Queue[Change]:
    """What the store tells from now on."""
    changes: asyncio.Queue[Change] = asyncio.Queue()
    store.on_change.append(changes.put_nowait)
    return changes


async def until_told(changes: asyncio.Queue[Change], change: Change) -> list[Change]:
    """Waits for this; gives what was told before it."""
    before: list[Change] = []
    async with asyncio.timeout(20):
        while (latest := await changes.get()) != change:
            before.append(latest)
    return before
