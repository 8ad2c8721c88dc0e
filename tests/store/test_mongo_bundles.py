"""Bundles of every size in MongoDB, and what is forgotten of them."""

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from calls import bundle as bundles
from settings import Settings
from store.contract import Version
from store.mongo.bundles import INLINE_BYTES
from store.mongo.sweep import FORGET_SECS, ORPHAN_SECS, SWEEP_SECS, UNNAMED_KEPT
from tests.store.mongo_stores import Stores
from tests.store.test_contract import ADMIN, kept, module

_LARGEST = 16 * 1024 * 1024
"""The most that MAX_BUNDLE_BYTES can be set to, and the most that MongoDB takes in one document."""


def counted(stores: Stores, *collections: str) -> list[int]:
    """How many documents these collections have."""
    with stores.client() as client:
        return [client[stores.database][name].count_documents({}) for name in collections]


def test_the_largest_bundle_does_not_fit_into_a_document() -> None:
    assert bundles.pack({"m/data.bin": bytes(_LARGEST)}) > bytes(_LARGEST)
    with pytest.raises(ValueError, match="MAX_BUNDLE_BYTES"):
        Settings.model_validate({"ADMIN_UUID": ADMIN, "ADMIN_KEY": "k" * 16, "MAX_BUNDLE_BYTES": _LARGEST + 1})


@pytest.mark.parametrize(("size", "files"), [(0, 0), (INLINE_BYTES, 0), (INLINE_BYTES + 1, 1), (_LARGEST + 1000, 1)])
@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_bundle_of_any_size_comes_back_elsewhere(stores: Stores, size: int, files: int) -> None:
    here, there = await stores.open(), await stores.open()
    data = os.urandom(size)
    assert await here.put_bundle(data) == hashlib.sha256(data).hexdigest()
    assert await there.bundle(bundles.digest(data)) == data
    assert counted(stores, "MODULES.bundles", "MODULES.files") == [1, files]


@pytest.mark.parametrize("stores", ["replica-set"], indirect=True)
async def test_a_large_bundle_put_from_two_sides_lies_there_once(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    data = os.urandom(INLINE_BYTES + 1)
    digests = await asyncio.gather(here.put_bundle(data), there.put_bundle(data), here.put_bundle(data))
    assert set(digests) == {bundles.digest(data)}
    assert counted(stores, "MODULES.bundles", "MODULES.files") == [1, 1]
    assert await (await stores.open()).bundle(digests[0]) == data


@pytest.fixture
def sweeping(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every change sweeps, and nothing is too young to be forgotten."""
    assert SWEEP_SECS >= 10
    assert FORGET_SECS >= 60
    monkeypatch.setattr("store.mongo.sweep.SWEEP_SECS", 0)
    monkeypatch.setattr("store.mongo.sweep.FORGET_SECS", -1)
    return monkeypatch


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_bundles_that_no_module_names_do_not_pile_up(stores: Stores, sweeping: pytest.MonkeyPatch) -> None:
    assert UNNAMED_KEPT == 1000
    sweeping.setattr("store.mongo.sweep.UNNAMED_KEPT", 5)
    sweeping.setattr("store.mongo.sweep.UNNAMED_KEPT_BYTES", INLINE_BYTES)
    store = await stores.open()
    named = await kept(store, "a")
    await store.change_modules(ADMIN, [named], [])
    large = await store.put_bundle(os.urandom(INLINE_BYTES + 1))
    unnamed = [await store.put_bundle(b"%d" % turn) for turn in range(8)]
    await store.put_bundle(b"0")  # kept again: among the latest now
    fresh = await stores.open()
    assert await fresh.bundle(named.digest) is not None
    assert await fresh.bundle(large) is None
    found = [await fresh.bundle(digest) is not None for digest in unnamed]
    assert found == [True, False, False, False, True, True, True, True]
    assert counted(stores, "MODULES.files", "MODULES.chunks") == [0, 0]


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_versions_of_modules_that_are_not_served_any_more_go(
    stores: Stores, sweeping: pytest.MonkeyPatch
) -> None:
    store = await stores.open()
    for turn in range(5):
        await store.change_modules(ADMIN, [await kept(store, "a", code=b"x = %d\n" % turn), await kept(store, "b")], [])
    assert counted(stores, "MODULES") == [2]
    assert len((await (await stores.open()).modules(ADMIN)).modules) == 2


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_a_bundle_that_an_earlier_version_names_is_kept(stores: Stores, sweeping: pytest.MonkeyPatch) -> None:
    sweeping.setattr("store.mongo.sweep.UNNAMED_KEPT", 2)
    store = await stores.open()
    first, second = await store.put_bundle(b"1"), await store.put_bundle(b"2")
    versions = (Version(1, first, 1.0), Version(2, second, 2.0))
    await store.change_modules(ADMIN, [module("m", second, version=2, versions=versions)], [])
    for turn in range(4):
        await store.put_bundle(b"sweeps %d" % turn)
    assert await (await stores.open()).bundle(first) == b"1"
    await store.change_modules(ADMIN, [module("m", second, version=2, versions=versions[1:])], [])
    for turn in range(4):
        await store.put_bundle(b"sweeps again %d" % turn)
    fresh = await stores.open()
    assert await fresh.bundle(first) is None
    assert await fresh.bundle(second) == b"2"


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_what_is_young_is_not_forgotten(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.mongo.sweep.SWEEP_SECS", 0)
    monkeypatch.setattr("store.mongo.sweep.UNNAMED_KEPT", 0)
    store = await stores.open()
    digest = await store.put_bundle(b"about to be named")
    await store.put_bundle(b"sweeps")
    assert await (await stores.open()).bundle(digest) is not None


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_what_an_interrupted_write_left_goes_when_it_is_old(stores: Stores, sweeping: pytest.MonkeyPatch) -> None:
    store = await stores.open()
    large = await store.put_bundle(os.urandom(INLINE_BYTES + 1))
    now = datetime.now(UTC)
    old, young = (ObjectId.from_datetime(now - timedelta(seconds=ORPHAN_SECS * factor)) for factor in (2, 0.5))
    with stores.client() as client:
        chunks = client[stores.database]["MODULES.chunks"]
        chunks.insert_many([{"files_id": file, "n": 0, "data": b"part"} for file in (old, young)])
        await store.put_bundle(b"sweeps")
        left = set(chunks.distinct("files_id"))
    assert old not in left
    assert young in left
    assert len(left) == 2
    assert await (await stores.open()).bundle(large) is not None
