"""Several processes on one database: what one changes, the others know, whole and soon."""

import asyncio
import contextlib

import pytest

from store.contract import Conflict, Module, Status, Tenant, TenantChange
from store.mongo.store import MongoStore
from store.mongo.watch import Change, What
from tests.store.mongo_stores import Stores, told, until_told
from tests.store.test_contract import ADMIN, TENANT, kept, names


async def test_a_tenant_that_another_one_disables_is_known_as_disabled(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(there)
    await here.add_tenant(Tenant(uuid=TENANT))
    await until_told(changes, Change(What.TENANT, TENANT))
    assert await there.tenant(TENANT) == Tenant(uuid=TENANT)
    await here.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    await until_told(changes, Change(What.TENANT, TENANT))
    assert await there.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.DISABLED)


async def test_a_tenant_that_another_one_registered_is_there_at_once(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    assert await there.tenant(TENANT) is None
    await here.add_tenant(Tenant(uuid=TENANT))
    assert await there.tenant(TENANT) == Tenant(uuid=TENANT)
    with pytest.raises(Conflict):
        await there.add_tenant(Tenant(uuid=TENANT))


async def test_a_tenant_that_another_one_removes_is_gone_here_too(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(there)
    await here.add_tenant(Tenant(uuid=TENANT, name="Ada"))
    await here.change_modules(TENANT, [await kept(here, "a", owner=TENANT)], [])
    assert await there.tenant(TENANT) is not None
    assert names(await there.modules(TENANT)) == ["a"]
    await here.remove_tenant(TENANT)
    while await there.tenant(TENANT) is not None:
        await until_told(changes, Change(What.TENANT, TENANT))
    while names(await there.modules(TENANT)):
        await until_told(changes, Change(What.MODULES, TENANT))
    await there.add_tenant(Tenant(uuid=TENANT, name="Ada"))
    assert await there.tenants() == [Tenant(uuid=TENANT, name="Ada")]


async def test_a_key_that_another_one_replaced_is_known(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    await here.add_tenant(Tenant(uuid=TENANT, key="ab"))
    assert await there.tenant(TENANT) == Tenant(uuid=TENANT, key="ab")
    changes = told(there)
    await here.change_tenant(TENANT, TenantChange(key="cd"))
    while await there.tenant(TENANT) != Tenant(uuid=TENANT, key="cd"):
        await until_told(changes, Change(What.TENANT, TENANT))


async def test_a_set_that_another_one_changed_is_not_changed_unseen(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    first = await here.change_modules(ADMIN, [await kept(here, "a")], [], revision=0)
    assert await there.modules(ADMIN) == first
    second = await there.change_modules(ADMIN, [await kept(there, "b")], [], revision=first.revision)
    with pytest.raises(Conflict):
        await here.change_modules(ADMIN, [], ["a"], revision=first.revision)
    assert await here.modules(ADMIN) == second


async def test_a_tenant_of_before_names_and_keys_is_read(stores: Stores) -> None:
    store = await stores.open()
    with stores.client() as client:
        documents = client[stores.database]["TENANT"]
        for uuid in (TENANT, ADMIN):
            documents.insert_one({"_id": uuid, "status": "disabled", "revision": 3})
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.DISABLED)
    assert len(await store.find_tenants("", "", 9)) == 2


async def test_modules_that_another_one_changes_are_read_anew(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(there)
    await here.change_modules(ADMIN, [await kept(here, "a")], [])
    await until_told(changes, Change(What.MODULES, ADMIN))
    assert names(await there.modules(ADMIN)) == ["a"]
    after = await here.change_modules(ADMIN, [await kept(here, "b")], ["a"])
    await until_told(changes, Change(What.MODULES, ADMIN))
    assert await there.modules(ADMIN) == after


async def test_a_setting_that_another_one_changes_or_forgets_is_told(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(there)
    await here.put_setting("limit", "1")
    await until_told(changes, Change(What.SETTING, "limit"))
    assert await there.setting("limit") == "1"
    await here.put_setting("limit", None)
    await until_told(changes, Change(What.SETTING, "limit"))
    assert await there.setting("limit") is None


async def test_what_one_changed_himself_is_not_told(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(here)
    await here.add_tenant(Tenant(uuid=TENANT))
    await here.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    await here.put_setting("own", "1")
    await here.change_modules(ADMIN, [await kept(here, "a")], [])
    await there.put_setting("other", "1")
    assert await until_told(changes, Change(What.SETTING, "other")) == []


async def test_who_keeps_registering_a_tenant_does_not_hide_what_others_change(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes, learned = told(there), asyncio.Event()
    await here.add_tenant(Tenant(uuid=TENANT))
    await until_told(changes, Change(What.TENANT, TENANT))
    assert await there.tenant(TENANT) == Tenant(uuid=TENANT)

    async def register() -> None:
        while not learned.is_set():
            with contextlib.suppress(Conflict):
                await there.add_tenant(Tenant(uuid=TENANT))

    registering = [asyncio.create_task(register()) for _ in range(4)]
    await here.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    async with asyncio.timeout(20):
        while await there.tenant(TENANT) != Tenant(uuid=TENANT, status=Status.DISABLED):
            await changes.get()
    learned.set()
    await asyncio.gather(*registering)


async def test_many_changes_at_once_are_all_told(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    changes = told(there)
    wanted = {Change(What.SETTING, f"s{number}") for number in range(40)}
    await asyncio.gather(*(here.put_setting(change.key, "1") for change in wanted))
    async with asyncio.timeout(20):
        while wanted:
            wanted.discard(await changes.get())


async def test_changes_of_one_set_from_two_sides_are_all_kept(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()

    async def change(store: MongoStore, name: str) -> int:
        return (await store.change_modules(ADMIN, [await kept(store, name)], [])).revision

    revisions = await asyncio.gather(
        *(change(store, f"{side}{number}") for side, store in (("h", here), ("t", there)) for number in range(8))
    )
    assert sorted(revisions) == list(range(1, 17))
    fresh = await stores.open()
    assert len((await fresh.modules(ADMIN)).modules) == 16


async def test_readers_see_a_change_whole_or_not_at_all(stores: Stores) -> None:
    writer, reader = await stores.open(), await stores.open()

    async def version(number: int) -> list[Module]:
        code = b"version = %d\n" % number
        return [await kept(writer, name, code=code) for name in ("a", "b", "c")]

    async def write() -> None:
        for number in range(9):
            await writer.change_modules(ADMIN, await version(number % 3), [])

    await writer.change_modules(ADMIN, await version(2), [])
    pairs = {tuple(module.digest for module in await version(number)) for number in range(3)}
    writing = asyncio.create_task(write())
    revisions = []
    while not writing.done():
        found = await reader.modules(ADMIN)
        assert tuple(module.digest for module in found.modules) in pairs
        revisions.append(found.revision)
        await asyncio.sleep(0)
    await writing
    assert revisions == sorted(revisions)
    last = await (await stores.open()).modules(ADMIN)
    assert last.revision == 10
