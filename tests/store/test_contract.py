"""What every kind of store promises. A kind is one line in KINDS: how to make one that lives in a folder."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from calls import bundle as bundles
from settings import ROOT
from store.changing import change_tenant
from store.contract import (
    Conflict,
    Module,
    ModuleSet,
    Role,
    Status,
    Store,
    StoreUnavailable,
    Tenant,
    TenantChange,
    Version,
)
from store.sqlite import SqliteStore
from tests.store.mongo_stores import mongo_store

KINDS: dict[str, Callable[[Path], Store]] = {
    "sqlite": SqliteStore,
    "mongo": mongo_store,
}

ADMIN = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
OTHER = "7c1f6f0e-6b0a-4a53-8d1c-2f4e9a7b3c55"
HOSTILE = [
    "x'); DROP TABLE tenant;--",
    '"; DELETE FROM module; --',
    "$where",
    "a.b",
    "nul\0inside",
    "%_",
    "ünïcode ‮ ☃",
    "",
    "n" * 10_000,
]

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture(params=KINDS)
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the store; again: closes it and opens what it left."""
    if request.param == "mongo":
        request.getfixturevalue("mongo")
    async with AsyncExitStack() as stack:

        async def opened() -> Store:
            await stack.aclose()
            store = KINDS[request.param](tmp_path / "data")
            stack.push_async_callback(store.close)
            await store.open()
            return store

        yield opened


@pytest.fixture
async def store(reopen: Reopen) -> Store:
    return await reopen()


def module(
    name: str,
    digest: str,
    *,
    owner: str = ADMIN,
    alias: str | None = None,
    report: bytes = b"{}",
    version: int = 0,
    versions: tuple[Version, ...] = (),
) -> Module:
    return Module(
        owner=owner,
        name=name,
        alias=alias,
        digest=digest,
        source=f"/p/{name}.py",
        environment="e",
        report=report,
        version=version,
        versions=versions,
    )


async def kept(store: Store, name: str, *, owner: str = ADMIN, code: bytes = b"x = 1\n") -> Module:
    return module(name, await store.put_bundle(bundles.pack({f"{name}.py": code})), owner=owner)


def names(modules: ModuleSet) -> list[str]:
    return [module.name for module in modules.modules]


async def test_a_tenant_is_found_once_it_is_registered(store: Store) -> None:
    assert await store.tenant(TENANT) is None
    await store.add_tenant(Tenant(uuid=TENANT, status=Status.ELEVATED))
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.ELEVATED)


async def test_tenants_are_listed_by_uuid(store: Store) -> None:
    for uuid in (ADMIN, TENANT):
        await store.add_tenant(Tenant(uuid=uuid))
    assert [tenant.uuid for tenant in await store.tenants()] == sorted([ADMIN, TENANT])


async def test_of_50_concurrent_registrations_of_one_uuid_one_succeeds(store: Store) -> None:
    outcomes = await asyncio.gather(*(store.add_tenant(Tenant(uuid=TENANT)) for _ in range(50)), return_exceptions=True)
    assert outcomes.count(None) == 1
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(conflicts) == 49
    assert TENANT in str(conflicts[0])
    assert len(await store.tenants()) == 1


async def test_a_status_changes_only_for_a_tenant_that_exists(store: Store) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    assert await store.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT, status=Status.DISABLED)
    assert not await store.change_tenant(ADMIN, TenantChange(status=Status.DISABLED))
    assert await store.tenant(ADMIN) is None


FULL = Tenant(
    uuid=TENANT,
    name="Ada & Söhne",
    plan="standard",
    status=Status.DISABLED,
    created=1.5,
    key="ab" * 32,
    token_keys="s",
    address="http://127.0.0.1:8081",
)


async def test_all_of_a_tenant_comes_back_as_it_was_registered(reopen: Reopen) -> None:
    store = await reopen()
    await store.add_tenant(FULL)
    assert await store.tenant(TENANT) == FULL
    store = await reopen()
    assert await store.tenant(TENANT) == FULL
    assert await store.tenants() == [FULL]


@pytest.mark.parametrize("name", ["Ada & Söhne", "ADA & SÖHNE", "ada & s\u00f6hne", "Ada & So\u0308hne"])
async def test_no_two_tenants_have_one_name(store: Store, name: str) -> None:
    await store.add_tenant(FULL)
    with pytest.raises(Conflict, match="is called"):
        await store.add_tenant(Tenant(uuid=ADMIN, name=name))
    assert await store.tenant(ADMIN) is None
    await store.add_tenant(Tenant(uuid=ADMIN, name="another"))
    with pytest.raises(Conflict, match="is called"):
        await store.change_tenant(ADMIN, TenantChange(name=name, plan="standard"))
    assert await store.tenant(ADMIN) == Tenant(uuid=ADMIN, name="another")


async def test_any_number_of_tenants_have_no_name(store: Store) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.add_tenant(Tenant(uuid=ADMIN))
    assert len(await store.tenants()) == 2


async def test_of_a_tenant_what_is_to_change_changes(store: Store) -> None:
    await store.add_tenant(FULL)
    for change in ({"name": "other"}, {"plan": "free"}, {"status": Status.ENABLED}, {"key": "cd" * 32}, {}):
        before = await store.tenant(TENANT)
        assert before is not None
        after = msgspec.structs.replace(before, **change)
        assert await store.change_tenant(TENANT, TenantChange(**change)) == after
        assert await store.tenant(TENANT) == after
    await store.add_tenant(Tenant(uuid=ADMIN, name=FULL.name))


async def test_changes_of_a_tenant_at_the_same_moment_are_all_kept(store: Store) -> None:
    await store.add_tenant(FULL)
    changes = [
        *(TenantChange(name="other"), TenantChange(plan="free")),
        *(TenantChange(key="0" * 64), TenantChange(token_keys="sealed")),
    ]
    await asyncio.gather(*(store.change_tenant(TENANT, change) for change in changes for _ in range(5)))
    changed = msgspec.structs.replace(FULL, name="other", plan="free", key="0" * 64, token_keys="sealed")
    assert await store.tenant(TENANT) == changed


async def test_a_tenant_is_removed_with_its_modules(store: Store) -> None:
    for tenant in (FULL, Tenant(uuid=ADMIN)):
        await store.add_tenant(tenant)
        await store.change_modules(tenant.uuid, [await kept(store, "a", owner=tenant.uuid)], [])
    assert await store.remove_tenant(TENANT)
    assert await store.tenant(TENANT) is None
    assert [tenant.uuid for tenant in await store.tenants()] == [ADMIN]
    assert await store.find_tenants("", "", 9) == await store.tenants()
    assert (await store.modules(TENANT)).modules == ()
    assert await store.owners() == [ADMIN]
    assert not await store.remove_tenant(TENANT)
    assert await store.change_tenant(TENANT, TenantChange(status=Status.ENABLED)) is None


async def test_modules_without_a_tenant_are_removed_too(store: Store) -> None:
    await store.change_modules(TENANT, [await kept(store, "a", owner=TENANT)], [])
    assert await store.remove_tenant(TENANT)
    assert await store.owners() == []


async def test_a_tenant_that_was_removed_can_be_registered_again(store: Store) -> None:
    await store.add_tenant(FULL)
    before = await store.change_modules(TENANT, [await kept(store, "a", owner=TENANT)], [])
    await store.remove_tenant(TENANT)
    again = Tenant(uuid=TENANT, name=FULL.name)
    await store.add_tenant(again)
    assert await store.tenant(TENANT) == again
    assert (await store.modules(TENANT)).revision > before.revision


async def test_tenants_are_found_by_the_beginning_of_name_or_uuid(store: Store) -> None:
    called = {"Ada": "1", "adam": "2", "ADÉLE": "3", "Bob": "4", "x Ada": "5", "%": "6", "": "ad"}
    for name, digit in called.items():
        await store.add_tenant(Tenant(uuid=f"{digit}a", name=name))

    async def found(text: str, after: str = "", limit: int = 9) -> list[str]:
        return [tenant.name for tenant in await store.find_tenants(text, after, limit)]

    assert await found("aD") == ["Ada", "adam", "ADÉLE", ""]
    assert await found("adé") == ["ADÉLE"]
    assert await found("ad", "2a") == ["ADÉLE", ""]
    assert await found("ad", limit=2) == ["Ada", "adam"]
    assert await found("4") == ["Bob"]
    assert await found("%") == ["%"]
    assert await found(".*") == []
    assert len(await found("")) == 7


def further(uuid: str, name: str = "", key: str = "") -> Tenant:
    return Tenant(uuid=uuid, name=name, key=key, plan="", role=Role.ADMIN)


async def test_a_further_admin_is_kept_as_a_tenant_is(reopen: Reopen) -> None:
    store = await reopen()
    admin, tenant = further(ADMIN, name="Ada", key="ab" * 32), Tenant(uuid=TENANT, name="Bob", admin=ADMIN)
    for one in (admin, tenant):
        await store.add_tenant(one)
        with pytest.raises(Conflict, match=one.uuid):
            await store.add_tenant(one)
    store = await reopen()
    assert await store.tenant(ADMIN) == admin
    assert await store.tenants() == [tenant, admin]
    disabled = msgspec.structs.replace(admin, status=Status.DISABLED)
    assert await store.change_tenant(ADMIN, TenantChange(status=Status.DISABLED), admin) == disabled
    with pytest.raises(Conflict):
        await store.change_tenant(ADMIN, TenantChange(status=Status.ENABLED), admin)
    await store.change_modules(ADMIN, [await kept(store, "a")], [])
    assert await store.remove_tenant(ADMIN)
    assert not await store.remove_tenant(ADMIN)
    assert await store.tenant(ADMIN) is None
    assert await store.owners() == []
    assert await store.tenants() == [tenant], "whose tenants are there still, the control plane does not remove"


async def test_accounts_are_found_by_role_and_by_admin(store: Store) -> None:
    for one in (further(ADMIN, name="A1"), further(OTHER, name="A2"), Tenant(uuid=TENANT, name="A3", admin=ADMIN)):
        await store.add_tenant(one)
    for digit, admin in (("1", ""), ("2", ADMIN), ("3", OTHER), ("9", ADMIN)):
        await store.add_tenant(Tenant(uuid=digit, name=f"A{digit}", admin=admin))

    async def found(
        role: Role | None, admin: str | None, text: str = "a", after: str = "", limit: int = 9
    ) -> list[str]:
        return [one.uuid for one in await store.find_tenants(text, after, limit, role, admin)]

    assert await found(Role.ADMIN, None) == [ADMIN, OTHER]
    assert await found(Role.ADMIN, None, limit=1) == [ADMIN]
    assert await found(Role.TENANT, None) == [TENANT, "1", "2", "3", "9"]
    assert await found(None, ADMIN) == [TENANT, "2", ADMIN, "9"]
    assert await found(None, ADMIN, after="2", limit=1) == [ADMIN]
    assert await found(Role.TENANT, ADMIN, text="a2") == ["2"]
    assert await found(Role.TENANT, "") == ["1"]
    assert await found(None, None) == [TENANT, "1", "2", "3", ADMIN, OTHER, "9"]
    assert await found(None, None, after=TENANT, limit=4) == ["1", "2", "3", ADMIN]


async def test_each_admin_has_names_of_its_own(store: Store) -> None:
    for uuid in (ADMIN, OTHER):
        await store.add_tenant(further(uuid, name=f"admin {uuid}"))
    for digit, admin in (("1", ""), ("2", ADMIN), ("3", OTHER)):
        await store.add_tenant(Tenant(uuid=digit, name="Ada", admin=admin))
        with pytest.raises(Conflict, match="is called ADA"):
            await store.add_tenant(Tenant(uuid="4", name="ADA", admin=admin))
    with pytest.raises(Conflict, match="is called"):
        await store.change_tenant(OTHER, TenantChange(name=f"ADMIN {ADMIN}"))
    await store.change_tenant(OTHER, TenantChange(name="Ada"))
    with pytest.raises(Conflict, match="its name"):
        await store.change_tenant("1", TenantChange(admin=OTHER))
    moved = await store.change_tenant("1", TenantChange(admin=OTHER, name="Bob"))
    assert moved == Tenant(uuid="1", name="Bob", admin=OTHER)


async def test_a_set_that_is_at_another_revision_is_not_changed(store: Store) -> None:
    one, two = await kept(store, "a"), await kept(store, "b")
    first = await store.change_modules(ADMIN, [one], [], revision=0)
    with pytest.raises(Conflict):
        await store.change_modules(ADMIN, [two], [], revision=0)
    assert await store.modules(ADMIN) == first
    second = await store.change_modules(ADMIN, [two], ["a"], revision=first.revision)
    assert names(second) == ["b"]


async def test_an_owner_that_never_had_modules_is_at_revision_0(store: Store) -> None:
    assert await store.modules(ADMIN) == ModuleSet(owner=ADMIN, revision=0, modules=())
    assert await store.owners() == []


async def test_modules_are_put_and_removed_in_one_step(store: Store) -> None:
    first = await store.change_modules(ADMIN, [await kept(store, "b"), await kept(store, "a")], [])
    assert names(first) == ["a", "b"]
    second = await store.change_modules(ADMIN, [await kept(store, "c")], ["a", "nobody"])
    assert names(second) == ["b", "c"]
    assert second.revision > first.revision > 0
    assert await store.modules(ADMIN) == second
    assert await store.owners() == [ADMIN]


async def test_a_module_comes_back_as_it_was_put(store: Store) -> None:
    plain = await kept(store, "m")
    full = module("m", plain.digest, alias="v1", report=bytes(range(256)))
    assert (await store.change_modules(ADMIN, [full], [])).modules == (full,)
    assert (await store.modules(ADMIN)).modules == (full,)


async def test_with_nothing_to_change_set_and_revision_stay(store: Store) -> None:
    one = await kept(store, "a")
    before = await store.change_modules(ADMIN, [one], [])
    assert await store.change_modules(ADMIN, [one], ["nobody"]) == before
    assert await store.change_modules(ADMIN, [], []) == before


async def test_a_revision_is_never_used_again(store: Store) -> None:
    seen = []
    one = await kept(store, "a")
    for _ in range(3):
        seen.append((await store.change_modules(ADMIN, [one], [])).revision)
        seen.append((await store.change_modules(ADMIN, [], ["a"])).revision)
        one = await kept(store, "a")
    assert seen == sorted(set(seen))
    assert await store.owners() == []
    assert await store.modules(ADMIN) == ModuleSet(owner=ADMIN, revision=seen[-1], modules=())


async def test_owners_do_not_see_each_other(store: Store) -> None:
    await store.change_modules(ADMIN, [await kept(store, "a")], [])
    await store.change_modules(TENANT, [await kept(store, "a", owner=TENANT, code=b"y = 2\n")], [])
    await store.change_modules(TENANT, [], ["a"])
    assert names(await store.modules(ADMIN)) == ["a"]
    assert await store.owners() == [ADMIN]


async def test_a_module_of_another_owner_changes_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="not modules of"):
        await store.change_modules(ADMIN, [await kept(store, "a"), await kept(store, "b", owner=TENANT)], [])
    assert (await store.modules(ADMIN)).revision == 0


async def test_a_module_without_its_bundle_changes_nothing(store: Store) -> None:
    before = await store.change_modules(ADMIN, [await kept(store, "a")], [])
    with pytest.raises(ValueError, match="was not kept"):
        await store.change_modules(ADMIN, [await kept(store, "b"), module("c", "0" * 64)], ["a"])
    assert await store.modules(ADMIN) == before


async def test_a_bundle_is_kept_under_its_digest(store: Store) -> None:
    data = bundles.pack({"m.py": b"x" * 1_000_000})
    assert await store.put_bundle(data) == bundles.digest(data)
    assert await store.put_bundle(data) == bundles.digest(data)
    assert await store.bundle(bundles.digest(data)) == data
    assert await store.bundle("0" * 64) is None


async def test_a_bundle_that_a_module_names_is_never_forgotten(store: Store) -> None:
    first = await kept(store, "kept")
    await store.change_modules(ADMIN, [first], [])
    for turn in range(100):
        await store.change_modules(ADMIN, [await kept(store, "m", code=b"x = %d\n" % turn)], [])
    assert await store.bundle(first.digest) is not None


async def test_versions_of_a_module_are_kept_with_it(reopen: Reopen) -> None:
    store = await reopen()
    digests = [await store.put_bundle(bundles.pack({"m.py": b"%d" % number})) for number in range(3)]
    versions = tuple(Version(number, digest, number + 0.5, "ab" * number) for number, digest in enumerate(digests))
    for serving in (2, 0, 1):
        put = module("m", digests[serving], version=serving, versions=versions)
        revision = (await store.modules(ADMIN)).revision
        after = await store.change_modules(ADMIN, [put], [])
        assert (after.modules, after.revision) == ((put,), revision + 1)
        assert await store.change_modules(ADMIN, [put], []) == after
    store = await reopen()
    assert (await store.modules(ADMIN)).modules == (put,)
    fewer = module("m", digests[2], version=2, versions=versions[1:])
    assert (await store.change_modules(ADMIN, [fewer], [])).modules == (fewer,)
    await store.change_modules(ADMIN, [], ["m"])
    anew = module("m", digests[0])
    assert (await store.change_modules(ADMIN, [anew], [])).modules == (anew,)


async def test_a_version_without_its_bundle_changes_nothing(store: Store) -> None:
    good = await kept(store, "m")
    lost = msgspec.structs.replace(good, version=2, versions=(Version(1, "0" * 64, 1.0), Version(2, good.digest, 2.0)))
    with pytest.raises(ValueError, match="bundle of module m was not kept"):
        await store.change_modules(ADMIN, [lost], [])
    assert (await store.modules(ADMIN)).revision == 0


async def test_a_tenant_is_changed_only_from_what_it_was(store: Store) -> None:
    blank = Tenant(uuid=TENANT)
    assert await store.change_tenant(TENANT, TenantChange(signatures="a"), blank) is None
    await store.add_tenant(blank)
    changes = [store.change_tenant(TENANT, TenantChange(signatures=str(number)), blank) for number in range(20)]
    ended = await asyncio.gather(*changes, return_exceptions=True)
    [done] = [one for one in ended if isinstance(one, Tenant)]
    assert [type(one) for one in ended if one != done] == [Conflict] * 19
    assert await store.tenant(TENANT) == done
    with pytest.raises(Conflict):
        await store.change_tenant(TENANT, TenantChange(signatures="b"), blank)
    # What is not to be another may be another.
    await store.change_tenant(TENANT, TenantChange(plan="large", status=Status.DISABLED), blank)
    changed = await store.change_tenant(TENANT, TenantChange(signatures="b", signing_keys="k"), done)
    assert changed == await store.tenant(TENANT)
    assert changed == Tenant(uuid=TENANT, plan="large", status=Status.DISABLED, signatures="b", signing_keys="k")


@pytest.mark.parametrize("field", ["name", "plan", "status", "key", "token_keys", "signing_keys", "api_keys", "admin"])
async def test_every_field_is_compared(store: Store, field: str) -> None:
    there = Tenant(uuid=TENANT, name="n", plan="p", key="k", token_keys="t", signing_keys="s", api_keys="a")
    await store.add_tenant(there)
    other = {field: Status.DISABLED if field == "status" else "o"}
    change = msgspec.convert(other, TenantChange)
    with pytest.raises(Conflict):
        await store.change_tenant(TENANT, change, msgspec.structs.replace(there, **other))
    assert await store.tenant(TENANT) == there
    assert await store.change_tenant(TENANT, change, there) == msgspec.structs.replace(there, **other)


async def test_changes_that_follow_from_what_is_there_are_all_kept(store: Store) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))

    def one_more(tenant: Tenant) -> TenantChange:
        return TenantChange(token_keys=tenant.token_keys + "x")

    await asyncio.gather(*(change_tenant(store, TENANT, one_more) for _ in range(10)))
    found = await store.tenant(TENANT)
    assert found is not None
    assert found.token_keys == "x" * 10
    assert await change_tenant(store, "0e3c5f3a-4a3b-4f53-9be0-000000000000", one_more) is None


async def test_50_concurrent_changes_are_all_kept(store: Store) -> None:
    async def change(name: str) -> ModuleSet:
        return await store.change_modules(ADMIN, [await kept(store, name)], [])

    results = await asyncio.gather(*(change(f"m{number}") for number in range(50)))
    assert len({result.revision for result in results}) == 50
    assert len((await store.modules(ADMIN)).modules) == 50


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_is_data(store: Store, text: str) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.put_setting(text, text)
    await store.put_setting("other", "kept")
    assert await store.setting(text) == text
    one = await kept(store, "a")
    odd = Module(
        owner=text, name=text, alias=text, digest=one.digest, source=text, environment=text, report=text.encode()
    )
    assert (await store.change_modules(text, [odd], [])).modules == (odd,)
    assert await store.owners() == [text]
    assert names(await store.change_modules(text, [], [text])) == []
    assert await store.tenant(text) is None
    assert await store.bundle(text) is None
    assert await store.tenant(TENANT) is not None
    assert await store.setting("other") == "kept"


async def test_a_setting_is_replaced_and_forgotten(store: Store) -> None:
    assert await store.setting("limit") is None
    await store.put_setting("limit", "1")
    await store.put_setting("limit", "2")
    assert await store.setting("limit") == "2"
    await store.put_setting("limit", None)
    await store.put_setting("limit", None)
    assert await store.setting("limit") is None


async def test_settings_are_listed_by_name(store: Store) -> None:
    for name in ("b", "gone", "a"):
        await store.put_setting(name, f"value of {name}")
    await store.put_setting("gone", None)
    assert list((await store.settings()).items()) == [("a", "value of a"), ("b", "value of b")]


async def test_everything_is_there_after_closing_and_opening(reopen: Reopen) -> None:
    store = await reopen()
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.put_setting("limit", "1")
    before = await store.change_modules(ADMIN, [await kept(store, "a")], [])
    store = await reopen()
    assert await store.tenant(TENANT) == Tenant(uuid=TENANT)
    assert await store.setting("limit") == "1"
    assert await store.modules(ADMIN) == before
    assert await store.bundle(before.modules[0].digest) is not None


async def test_closing_completes_writes_under_way(reopen: Reopen) -> None:
    store = await reopen()
    writes = [asyncio.create_task(store.put_setting(f"s{number}", "kept")) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    await asyncio.gather(*writes)
    store = await reopen()
    assert [await store.setting(f"s{number}") for number in range(20)] == ["kept"] * 20


async def test_a_closed_store_is_unavailable(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.tenants()
    with pytest.raises(StoreUnavailable):
        await store.put_setting("a", "b")


_WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.store.test_contract import ADMIN, KINDS, kept

async def main():
    store = KINDS[sys.argv[1]](Path(sys.argv[2]))
    await store.open()
    number = 0
    while True:
        await store.change_modules(ADMIN, [await kept(store, f"m{number:04}")], [])
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


def kill_a_writer(kind: str, folder: Path) -> list[int]:
    """The numbers of the modules that a process had stored when it was killed."""
    command = [sys.executable, "-c", _WRITER, kind, str(folder), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        confirmed = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        return confirmed + [int(line) for line in writer.stdout.read().splitlines()]


async def test_what_a_completed_write_stored_survives_kill_9(
    reopen: Reopen, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    confirmed = kill_a_writer(request.node.callspec.params["reopen"], tmp_path / "data")
    store = await reopen()
    found = await store.modules(ADMIN)
    assert set(names(found)) >= {f"m{number:04}" for number in confirmed}
    assert found.revision == len(found.modules)
    for one in found.modules:
        assert await store.bundle(one.digest) is not None
