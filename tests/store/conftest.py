"""Fixtures: MongoDB servers with change streams, and servers of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.store.mongo_server import STANDALONE, MongoServer, started
from tests.store.mongo_stores import Stores, database_of, shared

TOPOLOGIES = {"replica-set": [], "standalone": [STANDALONE]}
"""With change streams and without."""


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A running server that stays as it is, without change streams; every folder has a database of its own there."""
    with shared(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """The same with change streams."""
    server = started(MongoServer(tmp_path_factory.mktemp("mongo")))
    yield server
    server.kill()


@pytest.fixture(params=TOPOLOGIES)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """Stores on one empty database, with and without change streams."""
    server = request.getfixturevalue("replica_set" if request.param == "replica-set" else "mongo")
    stores = Stores(server.uri, database_of(tmp_path))
    async with stores.stack:
        yield stores


@pytest.fixture(params=TOPOLOGIES)
def own_mongo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MongoServer]:
    """A running server that a test may stop; what it has acknowledged is on the disk, as with MongoDB."""
    server = started(MongoServer(tmp_path / "mongo", "--sync-on-commit", *TOPOLOGIES[request.param]))
    yield server
    server.kill()
