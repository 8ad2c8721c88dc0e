"""What an operator reads when the database cannot be used; and what stays as it is when it can."""

import pytest

from store.contract import Conflict, StoreUnavailable, Tenant
from store.mongo.database import VERSION
from store.mongo.store import MongoStore
from tests.store.mongo_server import STANDALONE, MongoServer
from tests.store.mongo_stores import Stores, names
from tests.store.test_contract import ADMIN, TENANT


async def refused(uri: str, database: str = "VYPERADMIN") -> str:
    """What an operator reads when this store cannot be opened."""
    store = MongoStore(uri, names(database))
    with pytest.raises(StoreUnavailable) as refusal:
        await store.open()
    with pytest.raises(StoreUnavailable):
        await store.tenants()
    await store.close()
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)
    return str(refusal.value)


async def test_nothing_there_is_named() -> None:
    told = await refused("mongodb://somebody:secret@127.0.0.1:9/?authSource=VYPERADMIN")
    assert "127.0.0.1:9 does not answer" in told
    assert "MONGO_URI" in told


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://somebody:secret@@127.0.0.1",
        "mongodb://somebody:secret/x@127.0.0.1",
        "mongodb://127.0.0.1:secret",
        "mongodb://127.0.0.1:99999",
        "mongodb://",
        "http://127.0.0.1",
    ],
)
async def test_what_is_no_address_is_not_shown(uri: str) -> None:
    assert "MONGO_URI is no address of MongoDB" in await refused(uri)


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_database_of_a_newer_plugbay_is_left_alone(stores: Stores) -> None:
    await (await stores.open()).add_tenant(Tenant(uuid=TENANT))
    with stores.client() as client:
        schema = client[stores.database]["MODULES.schema"]
        schema.update_one({"_id": "version"}, {"$set": {"version": VERSION + 1}})
    assert "newer Plugbay" in await refused(stores.uri, stores.database)


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_document_that_cannot_be_read_is_named(stores: Stores) -> None:
    store = await stores.open()
    with stores.client() as client:
        client[stores.database]["TENANT"].insert_one({"_id": TENANT, "status": "unheard of"})
    with pytest.raises(StoreUnavailable, match="cannot read"):
        await store.tenant(TENANT)


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_refused_store_opens_once_the_reason_is_gone(stores: Stores) -> None:
    with stores.client() as client:
        schema = client[stores.database]["MODULES.schema"]
        schema.insert_one({"_id": "version", "version": VERSION + 1})
        store = MongoStore(stores.uri, names(stores.database))
        with pytest.raises(StoreUnavailable):
            await store.open()
        schema.update_one({"_id": "version"}, {"$set": {"version": VERSION}})
    await store.open()
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.open()


@pytest.mark.parametrize("own_mongo", ["standalone"], indirect=True)
async def test_a_password_is_asked_for(own_mongo: MongoServer) -> None:
    with Stores(own_mongo.uri, "VYPERADMIN").client() as client:
        roles = [{"role": "readWrite", "db": "VYPERADMIN"}]
        client["VYPERADMIN"].command("createUser", "plugbay", pwd="right", roles=roles)
    own_mongo.stop()
    own_mongo.options = (STANDALONE, "--auth")
    own_mongo.start()
    address = f"{own_mongo.address}/?authSource=VYPERADMIN"
    assert "refuses the user or password" in await refused(f"mongodb://plugbay:secret@{address}")
    assert "may not use" in await refused(own_mongo.uri)
    store = MongoStore(f"mongodb://plugbay:right@{address}", names())
    await store.open()
    await store.add_tenant(Tenant(uuid=TENANT))
    assert await store.tenants() == [Tenant(uuid=TENANT)]
    await store.close()


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_database_from_before_there_were_further_admins_is_taken_up(stores: Stores) -> None:
    ada = {"_id": TENANT, "name": "Ada", "folded": "ada", "plan": "free", "status": "enabled", "created": 1.5}
    with stores.client() as client:
        database = client[stores.database]
        database["MODULES.schema"].insert_one({"_id": "version", "version": 1})
        database["TENANT"].create_index(["folded"], unique=True, sparse=True)
        database["TENANT"].insert_many([ada | {"key": "", "revision": 3}, {"_id": "1", "revision": 2}])
        for _ in range(2):
            store = await stores.open()
            assert await store.tenant(TENANT) == Tenant(uuid=TENANT, name="Ada", created=1.5)
            with pytest.raises(Conflict, match="is called"):
                await store.add_tenant(Tenant(uuid=ADMIN, name="ADA"))
        await store.add_tenant(Tenant(uuid=ADMIN, name="ADA", admin=TENANT))
        assert database["MODULES.schema"].find_one({}) == {"_id": "version", "version": VERSION}
