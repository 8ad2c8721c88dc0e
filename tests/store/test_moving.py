"""What a tenant takes along into a store of its own: sealed anew, and its files apart from its uploads."""

import io
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from calls import bundle as bundles
from store.contract import ADMIN_TOKEN_KEYS, UPLOADED, Module, Role, Tenant, Version
from store.moving import Resealer, move
from store.records import FORMAT, BadFile, Begin, BundleRecord, ModuleRecord, Record, Writing
from store.sealing import Sealer, Unsealable, token_keys_of, variables_of
from store.sqlite import SqliteStore
from store.transfer import export_tenant, import_store
from tests.store.test_contract import ADMIN, TENANT, module

OLD, NEW, OTHER = (secrets.token_urlsafe(32) for _ in range(3))
TOKEN_KEYS = Sealer(OLD).seal(token_keys_of(TENANT), b"token keys")
VARIABLES = Sealer(OLD).seal(variables_of(TENANT), b"variables")
FILES = {"stock/__init__.py": b"import expose", "stock/data/tea.txt": b"3"}


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "old")
    await store.open()
    yield store
    await store.close()


def tenant() -> Tenant:
    return Tenant(
        uuid=TENANT,
        name="Ada",
        plan="standard",
        created=1.5,
        key="ab" * 32,
        token_keys=TOKEN_KEYS,
        signing_keys="[]",
        signatures="{}",
        address="http://127.0.0.1:8081",
        admin=ADMIN,
    )


async def furnished(store: SqliteStore) -> list[Module]:
    """A tenant with an upload and a module from a folder, besides another owner's; gives the upload."""
    await store.add_tenant(tenant())
    await store.variables.put(TENANT, VARIABLES, 0)
    earlier, newer = [await store.put_bundle(bundles.pack({"shop.py": text})) for text in (b"1", b"2")]
    versions = (Version(1, earlier, 1.0, "ab"), Version(2, newer, 2.0))
    shop = module("shop", newer, owner=TENANT, version=2, versions=versions)
    upload = msgspec.structs.replace(shop, source=UPLOADED)
    folder = module("stock", await store.put_bundle(bundles.pack(FILES)), owner=TENANT)
    await store.change_modules(TENANT, [upload, folder], [])
    await store.change_modules(ADMIN, [module("other", newer)], [])
    await store.put_setting("url_parameters", "not the tenant's")
    return [upload]


async def exported(store: SqliteStore) -> io.BytesIO:
    return io.BytesIO(b"".join([part async for part in export_tenant(store, tenant())]))


async def test_it_is_the_admin_of_a_store_of_its_own(old: SqliteStore, tmp_path: Path) -> None:
    uploads = await furnished(old)
    made = io.BytesIO()
    assert list(move(await exported(old), made, Resealer(NEW, OLD))) == [FILES]
    store = SqliteStore(tmp_path / "new")
    await store.open()
    for _ in range(2):  # it can be repeated
        made.seek(0)
        await import_store(store, made)
        assert await store.tenants() == [
            msgspec.structs.replace(tenant(), plan="", token_keys="", address="", role=Role.ADMIN, admin="")
        ]
        assert list((await store.modules(TENANT)).modules) == uploads
        assert await store.owners() == [TENANT]
        assert [await store.bundle(digest) is None for digest in sorted(uploads[0].digests)] == [False, False]
        assert [*await store.settings()] == [ADMIN_TOKEN_KEYS]
        keys = await store.setting(ADMIN_TOKEN_KEYS)
        assert keys is not None
        assert Sealer(NEW).read(token_keys_of(TENANT), keys) == b"token keys"
        assert Sealer(NEW).read(variables_of(TENANT), (await store.variables.get(TENANT)).sealed) == b"variables"
    await store.close()


async def test_the_key_before_the_last_rotation_is_tried_too(old: SqliteStore) -> None:
    await furnished(old)
    assert list(move(await exported(old), io.BytesIO(), Resealer(NEW, OTHER, OLD))) == [FILES]
    for keys in ((OTHER,), ("",), (NEW,)):
        with pytest.raises(Unsealable):
            list(move(await exported(old), io.BytesIO(), Resealer(NEW, *keys)))


async def test_an_export_that_was_broken_off_is_none(old: SqliteStore) -> None:
    await furnished(old)
    whole = (await exported(old)).getvalue()
    made = io.BytesIO()
    with pytest.raises(BadFile):
        list(move(io.BytesIO(whole[: len(whole) * 2 // 3]), made, Resealer(NEW, OLD)))
    assert made.getvalue() == b""


@pytest.mark.parametrize("path", ["../x.py", "/x.py", "stock/../../x.py", "stock//x.py", ""])
async def test_no_file_lies_outside_of_the_plugin_folder(path: str) -> None:
    bundle = bundles.pack({path: b"x"})
    folder = module("stock", bundles.digest(bundle), owner=TENANT)
    writing = Writing()
    wanted: list[Record] = [Begin(FORMAT), BundleRecord(bundle), ModuleRecord(folder)]
    file = io.BytesIO(b"".join(writing.bytes_of(record) for record in wanted) + writing.end())
    with pytest.raises(BadFile, match="outside"):
        list(move(file, io.BytesIO(), Resealer(NEW, OLD)))
