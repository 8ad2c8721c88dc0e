"""Variables and usage of tenants, as every kind of store keeps them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.contract import Conflict, SealedVariables, Store, Tenant
from store.mongo.watch import Change, What
from store.sealing import Sealer, Unsealable
from store.usage import Usage
from store.variables import MAX_BYTES, MAX_VARIABLES, TooMuch, Variable, Variables, name_flaw
from tests.store.mongo_stores import Stores, told, until_told
from tests.store.test_contract import ADMIN, KINDS, TENANT

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
NEWER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "mongo":
        request.getfixturevalue("mongo")
    store = KINDS[request.param](tmp_path / "data")
    await store.open()
    yield store
    await store.close()


async def test_variables_are_kept_on_condition_of_their_revision(store: Store) -> None:
    assert await store.variables.get(TENANT) == SealedVariables()
    first = await store.variables.put(TENANT, "sealed", 0)
    assert (first.sealed, await store.variables.get(TENANT)) == ("sealed", first)
    for revision in (0, first.revision + 1):
        with pytest.raises(Conflict):
            await store.variables.put(TENANT, "other", revision)
    second = await store.variables.put(TENANT, "", first.revision)
    assert second.revision > first.revision
    assert await store.variables.get(TENANT) == second
    assert await store.variables.owners() == []
    await store.variables.put(TENANT, "again", second.revision)
    assert await store.variables.owners() == [TENANT]


async def test_usage_is_added_up_by_tenant_and_day(store: Store) -> None:
    await store.usage.add(
        "2026-01-02", {TENANT: Usage(calls=2, run_seconds=0.5, cpu_seconds=0.25), ADMIN: Usage(calls=9)}
    )
    await store.usage.add("2026-01-02", {TENANT: Usage(calls=1, errors=1, bytes_in=5, bytes_out=7, cold_starts=1)})
    await store.usage.add("2026-01-01", {TENANT: Usage(calls=4, refused=3)})
    await store.usage.add("2026-01-03", {})
    first = Usage(calls=4, refused=3)
    second = Usage(calls=3, errors=1, run_seconds=0.5, cpu_seconds=0.25, bytes_in=5, bytes_out=7, cold_starts=1)
    assert await store.usage.of(TENANT, "2026-01-01") == {"2026-01-01": first, "2026-01-02": second}
    assert list(await store.usage.of(TENANT, "2026-01-01")) == ["2026-01-01", "2026-01-02"]
    assert await store.usage.of(TENANT, "2026-01-02") == {"2026-01-02": second}
    await store.usage.forget("2026-01-02")
    assert await store.usage.of(TENANT, "2026-01-01") == {"2026-01-02": second}


async def test_both_go_with_their_tenant_alone(store: Store) -> None:
    for uuid in (TENANT, ADMIN):
        await store.add_tenant(Tenant(uuid=uuid, name=uuid))
        await store.variables.put(uuid, "sealed", 0)
        await store.usage.add("2026-01-02", {uuid: Usage(calls=1)})
    await store.remove_tenant(TENANT)
    assert (await store.variables.get(TENANT)).sealed == ""
    assert await store.usage.of(TENANT, "") == {}
    assert await store.variables.owners() == [ADMIN]
    assert await store.usage.of(ADMIN, "") == {"2026-01-02": Usage(calls=1)}
    await store.variables.put(TENANT, "again", (await store.variables.get(TENANT)).revision)
    assert (await store.variables.get(TENANT)).sealed == "again"


async def test_another_process_is_told_and_reads_what_is_new(stores: Stores) -> None:
    mine, other = await stores.open(), await stores.open()
    changes = told(mine)
    assert await mine.variables.get(TENANT) == SealedVariables()
    kept = await other.variables.put(TENANT, "sealed", 0)
    await until_told(changes, Change(What.VARIABLES, TENANT))
    assert await mine.variables.get(TENANT) == kept
    await other.add_tenant(Tenant(uuid=TENANT))
    await other.remove_tenant(TENANT)
    await until_told(changes, Change(What.VARIABLES, TENANT))
    assert (await mine.variables.get(TENANT)).sealed == ""


async def test_a_value_is_nowhere_in_what_is_kept(store: Store) -> None:
    variables = Variables(store.variables, Sealer(KEY))
    assert await variables.set(TENANT, Variable("B", "canary-of-b", secret=True)) is False
    assert await variables.set(TENANT, Variable("A", "1", secret=False, module="m")) is False
    assert await variables.set(TENANT, Variable("B", "canary-of-b", secret=False)) is True
    assert [(one.name, one.module, one.value) for one in await variables.of(TENANT)] == [
        ("A", "m", "1"),
        ("B", "", "canary-of-b"),
    ]
    kept = (await store.variables.get(TENANT)).sealed
    assert "canary" not in kept
    assert await variables.unset(TENANT, "A", "") is False
    assert await variables.unset(TENANT, "A", "m") is True
    assert await variables.unset(TENANT, "B", "") is True
    assert (await store.variables.get(TENANT)).sealed == ""


async def test_those_of_one_tenant_are_no_use_as_anothers(store: Store) -> None:
    variables = Variables(store.variables, Sealer(KEY))
    await variables.set(TENANT, Variable("A", "1", secret=True))
    await store.variables.put(ADMIN, (await store.variables.get(TENANT)).sealed, 0)
    with pytest.raises(Unsealable):
        await variables.of(ADMIN)


async def test_changes_at_once_are_all_kept(store: Store) -> None:
    variables = [Variables(store.variables, Sealer(KEY)) for _ in range(4)]
    await asyncio.gather(
        *(one.set(TENANT, Variable(f"V{number}", "x", secret=True)) for number, one in enumerate(variables))
    )
    assert [one.name for one in await variables[0].of(TENANT)] == ["V0", "V1", "V2", "V3"]


async def test_variables_are_bounded_in_number_and_bytes(store: Store) -> None:
    variables = Variables(store.variables, Sealer(KEY))
    with pytest.raises(TooMuch, match="65536 bytes"):
        await variables.set(TENANT, Variable("A", "é" * (MAX_BYTES // 2), secret=True))
    await variables.set(TENANT, Variable("A", "é" * (MAX_BYTES // 2 - 1), secret=True))
    await variables.set(TENANT, Variable("A", "", secret=True))
    for number in range(MAX_VARIABLES - 1):
        await variables.set(TENANT, Variable(f"V{number}", "x", secret=True))
    with pytest.raises(TooMuch, match="100 variables"):
        await variables.set(TENANT, Variable("one_more", "x", secret=True))
    await variables.set(TENANT, Variable("V1", "y", secret=True))


async def test_another_key_takes_over_once_all_is_sealed_with_it(store: Store) -> None:
    await Variables(store.variables, Sealer(KEY)).set(TENANT, Variable("A", "1", secret=True))
    with pytest.raises(Unsealable, match="SECRETS_KEY is another"):
        await Variables(store.variables, Sealer(NEWER)).of(TENANT)
    rotating = Variables(store.variables, Sealer(NEWER, KEY))
    assert [one.value for one in await rotating.of(TENANT)] == ["1"]
    assert (await rotating.reseal(), await rotating.reseal()) == (1, 0)
    assert [one.value for one in await Variables(store.variables, Sealer(NEWER)).of(TENANT)] == ["1"]


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHASHSEED", "PATH", "IFS"),
        *("PLUGBAY_RUNNER", "$set", "a.b", "a\0b", "", "1A", "A=B", "A" * 129, "Ä", "A\n"),
    ],
)
def test_names_that_load_code_or_are_none_are_refused(name: str) -> None:
    assert name_flaw(name)


@pytest.mark.parametrize("name", ["A", "_", "__proto__", "PATHS", "database_url", "A" * 128])
def test_other_names_are_taken(name: str) -> None:
    assert name_flaw(name) == ""
