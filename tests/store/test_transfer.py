"""Copies of a store as a file: from each kind to each, and files that are none."""

import hashlib
import io
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from calls import bundle as bundles
from store.audit import Entry, new_id
from store.contract import Module, Role, Status, Store, Tenant, Version
from store.records import FORMAT, BadFile, Begin, BundleRecord, End, ModuleRecord, Record
from store.transfer import Copied, Interfered, export_store, import_store
from tests.store.test_contract import ADMIN, HOSTILE, KINDS, TENANT, kept, module

Make = Callable[[str], Awaitable[Store]]


@pytest.fixture
async def make(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Opens an empty store of a kind."""
    number = itertools.count()
    async with AsyncExitStack() as stack:

        async def opened(kind: str) -> Store:
            if kind == "mongo":
                request.getfixturevalue("mongo")
            store = KINDS[kind](tmp_path / f"{kind}-{next(number)}")
            stack.push_async_callback(store.close)
            await store.open()
            return store

        yield opened


async def fill(store: Store) -> None:
    """Something of everything, and what is hard to carry."""
    await store.add_tenant(
        Tenant(
            uuid=TENANT,
            name="Ada",
            plan="standard",
            status=Status.ELEVATED,
            address="http://127.0.0.1:8081",
            created=1.5,
            key="ab",
            signing_keys="k",
            signatures="s",
            api_keys="a",
            admin=ADMIN,
        )
    )
    await store.add_tenant(Tenant(uuid=ADMIN, plan="", role=Role.ADMIN, status=Status.DISABLED))
    await store.variables.put(TENANT, "sealed", 0)
    await store.audit.add(
        [
            Entry(
                id=new_id(number),
                who=text,
                what=text,
                address=text,
                tenant=TENANT,
                about=((text, text), ("n", "1")),
                admin=ADMIN,
            )
            for number in range(30)
            for text in HOSTILE
        ]
    )
    for text in HOSTILE:
        await store.put_setting(text, text)
    same = await kept(store, "same")
    odd = [
        module(text, same.digest, owner=TENANT, alias=text or None, report=os.urandom(100)) for text in HOSTILE if text
    ]
    await store.change_modules(TENANT, odd, [])
    earlier = await store.put_bundle(b"an earlier version")
    versions = (Version(4, earlier, 1.5, "ab"), Version(7, same.digest, 2.5))
    await store.change_modules(TENANT, [module("odd", same.digest, owner=TENANT, version=7, versions=versions)], [])
    many = [module(f"m{number}", same.digest) for number in range(120)]
    large = module("large", await store.put_bundle(bundles.pack({"large/data": os.urandom(5 * 1024 * 1024)})))
    await store.change_modules(ADMIN, [*many, large], [])


async def content(store: Store) -> list[object]:
    """All that a store holds, but for revisions."""
    sets = {owner: (await store.modules(owner)).modules for owner in await store.owners()}
    digests = sorted({digest for modules in sets.values() for module in modules for digest in module.digests})
    held = [await store.bundle(digest) for digest in digests]
    sealed = {owner: (await store.variables.get(owner)).sealed for owner in await store.variables.owners()}
    return [await store.tenants(), sealed, await store.settings(), await store.audit.find("", "", "", 999), sets, held]


async def exported(store: Store) -> io.BytesIO:
    """The store as a file, at its beginning."""
    file = io.BytesIO()
    await export_store(store, file)
    file.seek(0)
    return file


@pytest.mark.parametrize(("source", "target"), [("sqlite", "mongo"), ("mongo", "sqlite")])
async def test_a_store_moves_to_the_other_kind_whole(make: Make, source: str, target: str) -> None:
    first, second = await make(source), await make(target)
    await fill(first)
    file = io.BytesIO()
    expected = Copied(
        tenants=2, settings=len(HOSTILE), modules=122 + len(HOSTILE) - 1, bundles=3, entries=30 * len(HOSTILE)
    )
    assert await export_store(first, file) == expected
    file.seek(0)
    assert await import_store(second, file) == expected
    assert await content(second) == await content(first)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_import_can_be_repeated_and_leaves_what_it_does_not_name(make: Make, kind: str) -> None:
    first, second = await make("sqlite"), await make(kind)
    await first.add_tenant(Tenant(uuid=TENANT, status=Status.DISABLED))
    await first.put_setting("limit", "1")
    mine, theirs = (Entry(id=new_id(at), who="admin", what="tenant changed", address="::1") for at in (2.0, 1.0))
    await first.audit.add([mine])
    await second.audit.add([theirs, msgspec.structs.replace(mine, what="another")])
    await first.change_modules(TENANT, [await kept(first, "a", owner=TENANT)], [])
    await second.add_tenant(Tenant(uuid=TENANT))
    await second.put_setting("other", "1")
    await second.put_setting("limit", "2")
    await second.change_modules(TENANT, [await kept(second, name, owner=TENANT, code=b"y") for name in "ab"], [])
    for _ in range(2):
        await import_store(second, await exported(first))
    assert await second.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.DISABLED)
    assert await second.settings() == {"limit": "1", "other": "1"}
    assert [entry.what for entry in await second.audit.find("", "", "", 9)] == ["another", "tenant changed"]
    found = {one.name: one for one in (await second.modules(TENANT)).modules}
    assert found.keys() == {"a", "b"}
    assert found["a"] == (await first.modules(TENANT)).modules[0]


async def test_a_file_of_before_tenants_had_names_and_keys_leaves_those_there_are(make: Make) -> None:
    store = await make("sqlite")
    await store.add_tenant(Tenant(uuid=TENANT, name="Ada", key="ab"))
    content = packed(
        msgspec.msgpack.encode({"type": "Begin", "format": 1}),
        *(
            msgspec.msgpack.encode({"type": "TenantRecord", "tenant": {"uuid": uuid, "status": "disabled"}})
            for uuid in (TENANT, ADMIN)
        ),
    )
    await import_store(store, io.BytesIO(content + packed(End(hashlib.sha256(content).digest()))))
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT, name="Ada", status=Status.DISABLED, key="ab")
    assert await store.tenant(ADMIN) == Tenant(uuid=ADMIN, status=Status.DISABLED)


async def test_a_name_that_another_tenant_has_is_told(make: Make) -> None:
    first, second = await make("sqlite"), await make("sqlite")
    await first.add_tenant(Tenant(uuid=TENANT, name="Ada"))
    await second.add_tenant(Tenant(uuid=ADMIN, name="ada"))
    with pytest.raises(Interfered, match="is called Ada"):
        await import_store(second, await exported(first))


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_an_admin_does_not_take_the_place_of_a_tenant(make: Make, kind: str) -> None:
    first, second = await make("sqlite"), await make(kind)
    await first.add_tenant(Tenant(uuid=TENANT, plan="", role=Role.ADMIN))
    await second.add_tenant(Tenant(uuid=TENANT))
    with pytest.raises(Interfered, match=f"{TENANT} is tenant here, and admin there"):
        await import_store(second, await exported(first))
    assert await second.tenants() == [Tenant(uuid=TENANT)]


async def test_an_empty_store_gives_an_empty_one(make: Make) -> None:
    second = await make("sqlite")
    assert await import_store(second, await exported(await make("sqlite"))) == Copied()
    assert await content(second) == [[], {}, {}, [], {}, []]


async def test_what_follows_in_the_same_stream_is_not_read_before_the_start(make: Make) -> None:
    store = await make("sqlite")
    await store.put_setting("limit", "1")
    file = io.BytesIO(b"header" + (await exported(store)).getvalue())
    file.seek(6)
    assert (await import_store(await make("sqlite"), file)).settings == 1


def packed(*records: Record | bytes) -> bytes:
    """A file of these records."""
    encoded = [record if isinstance(record, bytes) else msgspec.msgpack.encode(record) for record in records]
    return b"".join(len(one).to_bytes(4, "big") + one for one in encoded)


_LOST = Module(owner="o", name="m", alias=None, digest="0" * 64, source="", environment="", report=b"")
_LOST_VERSION = msgspec.structs.replace(_LOST, digest=bundles.digest(b"x"), versions=(Version(1, "0" * 64, 1.0),))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no export"),
        (b"PK\x03\x04 something else", "no export"),
        (b"\xff\xff\xff\xff", "no export"),
        (packed(End(b"")), "no export"),
        (packed(Begin(FORMAT + 1)), "newer Plugbay"),
        (packed(Begin(FORMAT)), "not complete"),
        (packed(Begin(FORMAT), b"\xc1"), "damaged"),
        (packed(Begin(FORMAT), Begin(FORMAT)), "no export"),
        (packed(Begin(FORMAT), End(b"wrong")), "damaged"),
        (packed(Begin(FORMAT), BundleRecord(b"other"), ModuleRecord(_LOST)), "lacks a bundle of module m"),
        (packed(Begin(FORMAT), BundleRecord(b"x"), ModuleRecord(_LOST_VERSION)), "lacks a bundle of module m"),
        (packed(Begin(FORMAT), b"\x91" * 100_000), "damaged"),
    ],
)
async def test_a_file_that_is_no_export_changes_nothing(make: Make, data: bytes, told: str) -> None:
    store = await make("sqlite")
    with pytest.raises(BadFile, match=told):
        await import_store(store, io.BytesIO(data))
    assert await content(store) == [[], {}, {}, [], {}, []]


async def test_damage_anywhere_is_found_before_anything_is_stored(make: Make) -> None:
    first, second = await make("sqlite"), await make("sqlite")
    await first.add_tenant(Tenant(uuid=TENANT))
    await first.put_setting("limit", "1")
    await first.audit.add([Entry(id=new_id(1.0), who="admin", what="tenant changed", address="::1")])
    await first.change_modules(ADMIN, [await kept(first, "a")], [])
    good = (await exported(first)).getvalue()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x10
        for data in (bytes(bad), good[:place], good + b"\0"):
            with pytest.raises(BadFile):
                await import_store(second, io.BytesIO(data))
    assert await content(second) == [[], {}, {}, [], {}, []]
