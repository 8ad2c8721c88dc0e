"""The audit trail, as every kind of store keeps it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store.audit import Entry, first_id, new_id
from store.contract import Store, StoreUnavailable, Tenant
from tests.store.mongo_stores import Stores
from tests.store.test_contract import ADMIN, HOSTILE, KINDS, TENANT, kept


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "mongo":
        request.getfixturevalue("mongo")
    store = KINDS[request.param](tmp_path / "data")
    await store.open()
    yield store
    await store.close()


def entry(at: float, what: str = "tenant changed", **other: Any) -> Entry:
    """What was done at this Unix time."""
    return Entry(id=new_id(at), what=what, **({"who": "admin", "address": "192.0.2.7", "tenant": TENANT} | other))


async def found(store: Store, tenant: str = "", what: str = "", before: str = "", limit: int = 99) -> list[Entry]:
    return await store.audit.find(tenant, what, before, limit)


def test_an_id_says_when_and_is_no_other() -> None:
    ids = [new_id(1_700_000_000.123456) for _ in range(100)]
    assert len(set(ids)) == 100
    assert {entry_of.time for entry_of in (Entry(id=one, who="", what="", address="") for one in ids)} == {
        1_700_000_000.123456
    }
    assert first_id(1_700_000_000.123456) <= min(ids)
    assert max(ids) < new_id(1_700_000_000.123458)
    assert first_id(-1.0) == "0" * 32


async def test_entries_come_back_as_they_were_the_newest_first(store: Store) -> None:
    assert await found(store) == []
    await store.audit.add([])
    full = entry(3.5, "module uploaded", who=TENANT, about=(("module", "m"), ("version", "3"), ("module", "again")))
    bare = entry(2.25, tenant="", address="")
    await store.audit.add([bare, full])
    await store.audit.add([entry(1.0)])
    assert [(await found(store))[0], (await found(store))[1]] == [full, bare]
    assert [one.time for one in await found(store)] == [3.5, 2.25, 1.0]


async def test_entries_are_found_by_tenant_and_what_page_by_page(store: Store) -> None:
    whats = ["module removed", "module uploaded", "tenant changed"]
    kept_all = [
        entry(float(number), what, tenant=tenant)
        for number, (what, tenant) in enumerate(itertools.product(whats, [TENANT, ADMIN, ""]))
    ]
    await store.audit.add(kept_all)
    newest = kept_all[::-1]
    assert await found(store) == newest
    assert await found(store, TENANT) == [one for one in newest if one.tenant == TENANT]
    assert await found(store, "", "module") == [one for one in newest if one.what.startswith("module")]
    of_an_admin = [entry(20.0, admin=ADMIN), entry(21.0, admin=ADMIN, tenant=ADMIN), entry(22.0, admin=TENANT)]
    await store.audit.add(of_an_admin)
    assert await store.audit.find("", "", "", 99, ADMIN) == of_an_admin[1::-1]
    assert await store.audit.find(TENANT, "tenant", of_an_admin[1].id, 99, ADMIN) == of_an_admin[:1]
    await store.audit.forget(23.0)
    await store.audit.add(kept_all)
    assert await found(store, ADMIN, "module u") == [kept_all[4]]
    assert await found(store, TENANT, "Module") == await found(store, TENANT[:8]) == []
    pages, before = [], ""
    while page := await found(store, "", "", before, 2):
        pages.append(page)
        before = page[-1].id
    assert list(itertools.chain.from_iterable(pages)) == newest
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]


async def test_an_entry_that_is_there_is_never_changed(store: Store) -> None:
    first = entry(1.0)
    await store.audit.add([first])
    await store.audit.add([msgspec.structs.replace(first, what="something else"), entry(2.0)])
    assert [one.what for one in await found(store)] == ["tenant changed", "tenant changed"]
    assert (await found(store))[1] == first


async def test_the_newest_of_each_are_kept(store: Store) -> None:
    mine = [entry(float(number), who=TENANT) for number in range(5)]
    admins = [entry(float(number)) for number in range(5)]
    await store.audit.add(mine + admins)
    await store.audit.trim(TENANT, 2)
    await store.audit.trim("nobody", 0)
    left = await found(store)
    assert [one for one in left if one.who == TENANT] == mine[:2:-1]
    assert [one for one in left if one.who == "admin"] == admins[::-1]
    await store.audit.trim("admin", 5)
    assert await found(store) == left
    await store.audit.trim("admin", 0)
    assert await found(store) == mine[:2:-1]


async def test_what_is_too_old_goes(store: Store) -> None:
    entries = [entry(at) for at in (1.0, 2.0, 3.0)]
    await store.audit.add(entries)
    await store.audit.forget(2.0)
    assert await found(store) == [entries[2], entries[1]]


async def test_a_tenant_that_is_removed_leaves_what_is_about_it(store: Store) -> None:
    about = [entry(1.0), entry(2.0, who=TENANT)]
    await store.add_tenant(Tenant(uuid=TENANT, name="Ada"))
    await store.change_modules(TENANT, [await kept(store, "a", owner=TENANT)], [])
    await store.audit.add(about)
    assert await store.remove_tenant(TENANT)
    assert await found(store, TENANT) == about[::-1]


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_is_data(store: Store, text: str) -> None:
    other = entry(1.0)
    odd = entry(2.0, text, who=text, address=text, tenant=text, about=((text, text),))
    await store.audit.add([other, odd])
    assert odd in await found(store, text, text)
    assert other not in await found(store, text or "none", text)
    assert await found(store, "", "", text or "0") in ([], [odd, other])
    await store.audit.trim(text, 0)
    assert await found(store) == [other]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_trail_is_there_after_closing_and_opening(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "mongo":
        request.getfixturevalue("mongo")
    one = entry(1.0)
    store = KINDS[kind](tmp_path / "data")
    await store.open()
    await store.audit.add([one])
    await store.close()
    for refused in (store.audit.add([one]), store.audit.trim("admin", 1), store.audit.forget(0.0), found(store)):
        with pytest.raises(StoreUnavailable):
            await refused
    store = KINDS[kind](tmp_path / "data")
    await store.open()
    assert await found(store) == [one]
    await store.close()


async def test_what_another_process_added_is_there_at_once(stores: Stores) -> None:
    here, there = await stores.open(), await stores.open()
    entries = [entry(1.0), entry(2.0)]
    await here.audit.add(entries[:1])
    await there.audit.add(entries)
    assert await found(here) == await found(there) == entries[::-1]
