"""Two gateways on one database and the same plugin folders: what comes through one is served by both."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalogue.catalogue import Catalogue
from catalogue.unpacking import Limits
from store.contract import Tenant
from store.mongo.store import MongoStore
from tests.catalogue.conftest import ADMIN, TENANT, Runner, save, source, unbounded
from tests.store.mongo_server import MongoServer
from tests.store.mongo_stores import mongo_store, shared
from tests.waiting import until

MINE = f'__ID__ = "{TENANT}"'


@dataclass
class Gateway:
    """One gateway's catalogue."""

    store: MongoStore
    catalogue: Catalogue

    def serving(self) -> dict[str, list[str]]:
        """Module → APIs of the tenant."""
        view = self.catalogue.view(TENANT)
        modules = view.modules.items() if view else ()
        return {name: [one.api for one in module.report.endpoints] for name, module in modules if not module.broken}


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with shared(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture
async def gateways(
    mongo: MongoServer, tmp_path: Path, importer: subprocess.Popen[bytes]
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    (tmp_path / "plugins").mkdir()
    stores = [mongo_store(tmp_path) for _ in range(2)]
    for store in stores:
        await store.open()
    runner = Runner(stores[0], tmp_path, importer)
    limits = Limits(
        max_source=10_000, max_bundle=10_000, max_modules=100, max_versions=10, of_plan=unbounded, signed=frozenset()
    )
    started = []
    for store in stores:
        catalogue = Catalogue(
            admin=ADMIN, folders=[tmp_path / "plugins"], max_modules=100, limits=limits, store=store, inspect=runner.inspect, environment=lambda: "",
        )  # fmt: skip
        store.on_change.append(lambda change, catalogue=catalogue: catalogue.follow(change.key))  # type: ignore[misc]
        await catalogue.start()
        started.append(Gateway(store, catalogue))
    await stores[0].add_tenant(Tenant(uuid=TENANT))
    yield started[0], started[1]
    for gateway in started:
        await gateway.catalogue.close()
    runner.close()
    for store in stores:
        await store.close()


async def test_an_upload_and_its_removal_are_followed(gateways: tuple[Gateway, Gateway]) -> None:
    here, there = gateways
    await here.catalogue.uploads.put(TENANT, "hello", source("one").encode())
    await until(lambda: there.serving() == {"hello": ["one"]})
    await there.catalogue.uploads.put(TENANT, "hello", source("two").encode())
    await until(lambda: here.serving() == {"hello": ["two"]})
    await here.catalogue.uploads.remove(TENANT, "hello")
    await until(lambda: there.serving() == here.serving() == {})


async def test_a_tenant_that_is_removed_takes_its_modules_with_it(gateways: tuple[Gateway, Gateway]) -> None:
    here, there = gateways
    await here.catalogue.uploads.put(TENANT, "hello", source("one").encode())
    await until(lambda: there.serving() == {"hello": ["one"]})
    await there.store.remove_tenant(TENANT)
    there.catalogue.follow(TENANT)
    await until(lambda: there.serving() == here.serving() == {})
    assert await here.store.owners() == []


async def test_an_upload_wins_over_a_file_at_both(gateways: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    here, there = gateways
    save(tmp_path / "plugins" / "hello.py", source("file", header=MINE))
    await until(lambda: there.serving() == here.serving() == {"hello": ["file"]})
    await here.catalogue.uploads.put(TENANT, "hello", source("upload").encode())
    save(tmp_path / "plugins" / "hello.py", source("newer", header=MINE))
    save(tmp_path / "plugins" / "other.py", source("other", header=MINE))
    both = {"hello": ["upload"], "other": ["other"]}
    await until(lambda: there.serving() == here.serving() == both)
    await there.catalogue.uploads.remove(TENANT, "hello")
    await until(lambda: there.serving() == here.serving() == {"hello": ["newer"], "other": ["other"]})
