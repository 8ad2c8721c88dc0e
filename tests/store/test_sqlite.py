"""What is particular to the embedded store: its file, and clear lines for what an operator can meet."""

import asyncio
import contextlib
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from settings import ROOT
from store.audit import Entry, new_id
from store.contract import Conflict, Status, StoreUnavailable, Tenant, TenantChange, Version
from store.sqlite import SqliteStore
from store.sqlite_file import VERSION
from store.usage import Usage
from tests.store.test_contract import ADMIN, TENANT, kept, module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(folder)
    await opened.open()
    yield opened
    await opened.close()


async def refused(folder: Path) -> str:
    """What an operator reads when the store of this folder cannot be opened."""
    store = SqliteStore(folder)
    with pytest.raises(StoreUnavailable) as refusal:
        await store.open()
    await store.close()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def modes(folder: Path) -> dict[str, int]:
    """Permission bits of the folder, as ".", and of what is in it."""
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    return found | {".": stat.S_IMODE(folder.stat().st_mode)}


def put_file(folder: Path, content: bytes = b"", mode: int = 0o644) -> None:
    """What stood in a folder before Plugbay opens it."""
    folder.mkdir(parents=True, mode=0o755)
    (folder / "plugbay.sqlite").write_bytes(content)
    (folder / "plugbay.sqlite").chmod(mode)


async def test_only_the_owner_can_read_it(folder: Path, store: SqliteStore) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    assert modes(folder) == {
        ".": 0o700,
        "plugbay.lock": 0o600,
        "plugbay.sqlite": 0o600,
        "plugbay.sqlite-shm": 0o600,
        "plugbay.sqlite-wal": 0o600,
    }


async def test_a_file_left_readable_is_closed_to_others(folder: Path) -> None:
    put_file(folder)
    store = SqliteStore(folder)
    await store.open()
    await store.close()
    assert modes(folder)["plugbay.sqlite"] == 0o600
    assert modes(folder)["."] == 0o755, "a folder that somebody else made is theirs"


async def test_a_second_plugbay_on_the_folder_is_refused(folder: Path, store: SqliteStore) -> None:
    assert "used by another Plugbay" in await refused(folder)
    await store.add_tenant(Tenant(uuid=TENANT))


_HOLDER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store.sqlite import SqliteStore
asyncio.run(SqliteStore(Path(sys.argv[1])).open())
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the store of the folder open."""
    command = [sys.executable, "-c", _HOLDER, str(folder), str(ROOT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        yield other
        other.kill()


async def test_the_other_plugbay_is_named_and_its_death_frees_the_folder(
    folder: Path, holder: subprocess.Popen[bytes]
) -> None:
    assert f"(process {holder.pid})" in await refused(folder)
    holder.kill()
    holder.wait()
    store = SqliteStore(folder)
    await store.open()
    await store.close()


async def test_a_closed_store_frees_the_folder(folder: Path, store: SqliteStore) -> None:
    await store.close()
    again = SqliteStore(folder)
    await again.open()
    await again.close()


async def test_a_refused_store_opens_once_the_reason_is_gone(folder: Path, store: SqliteStore) -> None:
    second = SqliteStore(folder)
    with pytest.raises(StoreUnavailable):
        await second.open()
    await store.close()
    await second.open()
    await second.close()


@pytest.mark.parametrize(
    "content", [b"not a database, and longer than a header" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
async def test_a_damaged_file_is_named_with_what_to_do(folder: Path, content: bytes) -> None:
    put_file(folder, content)
    told = await refused(folder)
    assert str(folder / "plugbay.sqlite") in told
    assert "damaged" in told
    assert (folder / "plugbay.sqlite").read_bytes() == content


async def test_damage_found_later_is_unavailable_too(folder: Path) -> None:
    store = SqliteStore(folder)
    await store.open()
    digest = await store.put_bundle(b"x" * 500_000)
    await store.close()
    file = folder / "plugbay.sqlite"
    whole = file.read_bytes()
    half = len(whole) // 2  # the bundle's pages, by far most of them
    file.write_bytes(whole[:half] + b"\xff" * (len(whole) - half))
    store = SqliteStore(folder)
    await store.open()
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.bundle(digest)
    await store.close()


async def test_a_file_of_a_newer_plugbay_is_left_alone(folder: Path, store: SqliteStore) -> None:
    await store.close()
    with sqlite3.connect(folder / "plugbay.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    assert "newer Plugbay" in await refused(folder)


_VERSION_1 = """
CREATE TABLE tenant (uuid TEXT PRIMARY KEY, status TEXT NOT NULL);
CREATE TABLE bundle (digest TEXT PRIMARY KEY, kept INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX bundle_kept ON bundle (kept);
CREATE TABLE module (
    owner TEXT NOT NULL, name TEXT NOT NULL, alias TEXT, digest TEXT NOT NULL REFERENCES bundle,
    source TEXT NOT NULL, environment TEXT NOT NULL, report BLOB NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX module_digest ON module (digest);
CREATE TABLE revision (owner TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO tenant VALUES ('0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1', 'disabled');
INSERT INTO tenant VALUES ('4a1bf01e-0693-48c5-a52b-fc275205c1d8', 'enabled');
INSERT INTO setting VALUES ('limit', '1');
PRAGMA user_version = 1;
"""


async def test_a_file_of_the_first_schema_is_taken_up_with_all_it_has(folder: Path) -> None:
    folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "plugbay.sqlite")) as connection:
        connection.executescript(_VERSION_1)
    for _ in range(2):
        store = SqliteStore(folder)
        await store.open()
        assert await store.tenants() == [Tenant(uuid=TENANT, status=Status.DISABLED), Tenant(uuid=ADMIN)]
        assert await store.setting("limit") == "1"
        await store.close()
    store = SqliteStore(folder)
    await store.open()
    await store.change_tenant(TENANT, TenantChange(name="Ada"))
    with pytest.raises(Conflict):
        await store.change_tenant(ADMIN, TenantChange(name="ADA"))
    await store.close()


_VERSION_2 = (
    _VERSION_1
    + """
ALTER TABLE tenant ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN folded TEXT NOT NULL DEFAULT '';
ALTER TABLE tenant ADD COLUMN plan TEXT NOT NULL DEFAULT 'free';
ALTER TABLE tenant ADD COLUMN created REAL NOT NULL DEFAULT 0;
ALTER TABLE tenant ADD COLUMN key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX tenant_folded ON tenant (folded) WHERE folded != '';
UPDATE tenant SET name = 'Ada', folded = 'ada' WHERE status = 'disabled';
PRAGMA user_version = 2;
"""
)


async def test_a_file_of_the_second_schema_is_taken_up_with_all_it_has(folder: Path) -> None:
    folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "plugbay.sqlite")) as connection:
        connection.executescript(_VERSION_2)
    ada = Tenant(uuid=TENANT, name="Ada", status=Status.DISABLED)
    for _ in range(2):
        store = SqliteStore(folder)
        await store.open()
        assert await store.tenants() == [ada, Tenant(uuid=ADMIN)]
        await store.close()
    store = SqliteStore(folder)
    await store.open()
    await store.change_tenant(TENANT, TenantChange(token_keys="sealed", api_keys="[]"))
    digest = await store.put_bundle(b"x")
    new = module("new", digest, owner=TENANT, version=1, versions=(Version(1, digest, 1.5),))
    assert new in (await store.change_modules(TENANT, [new], [])).modules
    assert (await store.variables.put(TENANT, "sealed", 0)).sealed == "sealed"
    entry = Entry(id=new_id(1.5), who="admin", what="tenant changed", address="::1")
    await store.audit.add([entry])
    assert await store.audit.find("", "", "", 9) == [entry]
    await store.usage.add("2026-01-02", {TENANT: Usage(calls=1, cpu_seconds=0.5)})
    assert await store.usage.of(TENANT, "") == {"2026-01-02": Usage(calls=1, cpu_seconds=0.5)}
    assert await store.tenant(TENANT) == msgspec.structs.replace(ada, token_keys="sealed", api_keys="[]")
    await store.close()


async def test_who_is_there_and_who_is_not_is_answered_from_memory(folder: Path, store: SqliteStore) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    first = await store.tenant(TENANT)
    with contextlib.closing(sqlite3.connect(folder / "plugbay.sqlite")) as other:
        other.execute("UPDATE tenant SET uuid = ?", (ADMIN,))
        other.commit()
    assert await store.tenant(TENANT) is first
    assert await store.tenant(ADMIN) is None
    assert [tenant.uuid for tenant in await store.tenants()] == [ADMIN]


async def test_a_change_that_nobody_waits_for_any_more_is_known(store: SqliteStore) -> None:
    await store.add_tenant(Tenant(uuid=TENANT))
    bundle = asyncio.create_task(store.put_bundle(b"x" * 1_000_000))  # keeps the thread busy
    change = asyncio.create_task(store.change_tenant(TENANT, TenantChange(name="Ada")))
    await asyncio.wait([bundle])
    change.cancel()
    await asyncio.wait([change])
    assert await store.tenants() == [await store.tenant(TENANT)]  # whether it was done or not


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = await refused(tmp_path / "file" / "data")
    assert str(tmp_path / "file" / "data") in told
    assert "Not a directory" in told


async def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "plugbay.sqlite").mkdir(parents=True)
    assert str(folder) in await refused(folder)


@pytest.fixture
def link(folder: Path, tmp_path: Path) -> Path:
    """A symbolic link stands where the file belongs; the path is what it points to."""
    put_file(folder)
    (tmp_path / "elsewhere").touch(0o644)
    (folder / "plugbay.sqlite").unlink()
    (folder / "plugbay.sqlite").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


async def test_a_link_in_place_of_the_file_is_not_followed(folder: Path, link: Path) -> None:
    assert str(folder) in await refused(folder)
    assert modes(link.parent)["elsewhere"] == 0o644


async def test_a_locked_file_is_said_to_be_locked(
    folder: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    monkeypatch.setattr("store.sqlite_file.BUSY_SECS", 0.05)
    store = SqliteStore(folder)
    await store.open()
    other = sqlite3.connect(folder / "plugbay.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another program"):
        await store.add_tenant(Tenant(uuid=TENANT))
    other.execute("ROLLBACK")
    other.close()
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.close()


async def test_bundles_that_no_module_names_do_not_pile_up(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.sqlite_modules.UNNAMED_KEPT", 10)
    monkeypatch.setattr("store.sqlite_modules.UNNAMED_KEPT_BYTES", 5000)
    big = await store.put_bundle(b"x" * 5000)
    small = [await store.put_bundle(b"%d" % turn) for turn in range(20)]
    await store.put_bundle(b"0")  # kept again: the latest now
    await store.change_modules(ADMIN, [await kept(store, "a")], [])
    assert await store.bundle(big) is None
    assert [digest for digest in small if await store.bundle(digest) is not None] == [small[0], *small[-9:]]
    second = await store.put_bundle(b"y" * 4990)
    await store.change_modules(ADMIN, [await kept(store, "b")], [])
    assert await store.bundle(second) is not None
    assert [digest for digest in small if await store.bundle(digest) is not None] == [small[0], *small[-4:]]


async def test_a_bundle_that_an_earlier_version_names_is_kept(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.sqlite_modules.UNNAMED_KEPT", 0)
    first, second = await store.put_bundle(b"1"), await store.put_bundle(b"2")
    versions = (Version(1, first, 1.0), Version(2, second, 2.0))
    await store.change_modules(ADMIN, [module("m", second, version=2, versions=versions)], [])
    await store.change_modules(ADMIN, [await kept(store, "other")], [])
    assert await store.bundle(first) == b"1"
    await store.change_modules(ADMIN, [module("m", second, version=2, versions=versions[1:])], [])
    assert await store.bundle(first) is None
    assert await store.bundle(second) == b"2"
    await store.change_modules(ADMIN, [], ["m"])
    assert await store.bundle(second) is None


async def test_a_store_whose_file_was_removed_takes_no_writes(folder: Path, store: SqliteStore) -> None:
    shutil.rmtree(folder)
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        await store.add_tenant(Tenant(uuid=TENANT))
