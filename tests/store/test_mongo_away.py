"""The database is away: what is known is served, nothing is changed, and it goes on by itself when it is back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store.contract import Status, StoreUnavailable, Tenant, TenantChange
from store.mongo.store import MongoStore
from store.mongo.watch import Change, What
from tests.store.mongo_server import MongoServer
from tests.store.mongo_stores import Stores, database_of, told, until_told
from tests.store.test_contract import ADMIN, TENANT, kept


@pytest.fixture
async def own_stores(own_mongo: MongoServer) -> AsyncIterator[Stores]:
    """Stores on a server that the test may stop."""
    stores = Stores(own_mongo.uri, "VYPERADMIN")
    async with stores.stack:
        yield stores


async def refused(store: MongoStore) -> str:
    """What a caller who changes something is told."""
    with pytest.raises(StoreUnavailable) as refusal:
        await store.put_setting("while away", "1")
    return str(refusal.value)


async def until_back(store: MongoStore) -> None:
    """Returns when changes are taken again."""
    async with asyncio.timeout(30):
        while True:
            try:
                await store.put_setting("back", "1")
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_killed_database_costs_changes_and_what_is_not_known(
    own_mongo: MongoServer, own_stores: Stores
) -> None:
    store, other = await own_stores.open(), await own_stores.open()
    await store.add_tenant(Tenant(uuid=TENANT))
    before = await store.change_modules(ADMIN, [await kept(store, "a")], [])
    changes = told(store)

    own_mongo.kill()
    for _ in range(2):  # the first finds out, the second knows
        assert own_mongo.address in await refused(store)
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT)
    assert await store.modules(ADMIN) == before
    assert await store.bundle(before.modules[0].digest) is not None
    for unknown in (store.tenant(ADMIN), store.modules(TENANT), store.bundle("0" * 64), store.tenants()):
        with pytest.raises(StoreUnavailable):
            await unknown
    with pytest.raises(StoreUnavailable):
        await store.change_modules(ADMIN, [], ["a"])
    with pytest.raises(StoreUnavailable):
        await store.put_bundle(b"new")
    assert await store.modules(ADMIN) == before

    own_mongo.start()
    await until_back(store)
    assert await store.setting("while away") is None
    assert await store.tenants() == [Tenant(uuid=TENANT)]
    await until_back(other)
    await other.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    await until_told(changes, Change(What.TENANT, TENANT))
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.DISABLED)


@pytest.fixture
def stopped(replica_set: MongoServer) -> Iterator[MongoServer]:
    """The server of all tests, continued at the end."""
    yield replica_set
    replica_set.signal(signal.SIGCONT)


async def test_a_database_that_hangs_is_not_waited_for_by_everybody(stopped: MongoServer, tmp_path: Path) -> None:
    stores = Stores(stopped.uri, database_of(tmp_path))
    async with stores.stack:
        store, other = await stores.open(), await stores.open()
        await store.add_tenant(Tenant(uuid=TENANT))
        changes = told(store)
        stopped.signal(signal.SIGSTOP)
        refusals = await asyncio.gather(*(refused(store) for _ in range(20)))
        assert all("does not answer" in refusal for refusal in refusals)
        async with asyncio.timeout(20):  # a tenth of what waiting for each would take
            for _ in range(100):
                await refused(store)
        assert await store.tenant(TENANT) == Tenant(uuid=TENANT)
        stopped.signal(signal.SIGCONT)
        await until_back(other)
        await other.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
        await until_told(changes, Change(What.TENANT, TENANT))
        await until_back(store)


async def test_closing_does_not_wait_for_a_database_that_hangs(stopped: MongoServer, tmp_path: Path) -> None:
    stores = Stores(stopped.uri, database_of(tmp_path))
    async with stores.stack:
        store = await stores.open()
        stopped.signal(signal.SIGSTOP)
        async with asyncio.timeout(10):
            await store.close()


async def test_a_store_that_would_not_notice_changes_any_more_serves_nothing_new(
    mongo: MongoServer, tmp_path: Path
) -> None:
    def fail(change: Change) -> None:
        raise ZeroDivisionError

    stores = Stores(mongo.uri, database_of(tmp_path))
    async with stores.stack:
        store, other = await stores.open(), await stores.open()
        store.on_change.append(fail)
        await other.put_setting("limit", "1")
        async with asyncio.timeout(20):
            while True:
                try:
                    await store.setting("limit")
                except StoreUnavailable as error:
                    assert "restart Plugbay" in str(error)
                    break
                await asyncio.sleep(0.02)
