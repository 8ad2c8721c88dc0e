"""How changes come into the store's audit trail, also when the store is away, and how much of it is kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit_trail import AuditTrail
from store.audit import Entry, new_id
from store.contract import StoreUnavailable
from store.sqlite import SqliteStore

TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"


class Away:
    """Takes the store's file away, and puts it back."""

    def __init__(self, folder: Path) -> None:
        self._file, self._elsewhere = folder / "plugbay.sqlite", folder / "elsewhere"

    def begin(self) -> None:
        self._file.rename(self._elsewhere)

    def end(self) -> None:
        self._elsewhere.rename(self._file)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def away(tmp_path: Path) -> Away:
    return Away(tmp_path)


def entry(what: str, at: float | None = None, who: str = "admin") -> Entry:
    return Entry(id=new_id(time.time() if at is None else at), who=who, what=what, address="127.0.0.1")


def trail(store: SqliteStore, most: int = 100) -> AuditTrail:
    return AuditTrail(store.audit, keep_days=10, keep_entries=most)


async def whats(store: SqliteStore) -> list[str]:
    """What the store has, the oldest first."""
    return [one.what for one in reversed(await store.audit.find("", "", "", 999))]


async def test_an_entry_is_in_the_store_at_once(store: SqliteStore) -> None:
    kept = trail(store)
    one = entry("tenant changed")
    await kept.add(one)
    assert await store.audit.find("", "", "", 9) == [one] == await kept.find("", "tenant", "", 9)


async def test_what_the_store_did_not_take_is_told_and_comes_when_it_is_back(
    store: SqliteStore, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    kept = trail(store)
    away.begin()
    await kept.add(entry("first"))
    await kept.add(entry("second"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "lacks 2 of the changes" in caplog.messages[1]
    with pytest.raises(StoreUnavailable):
        await kept.find("", "", "", 9)
    away.end()
    await kept.add(entry("third"))
    await kept.flush()
    assert await whats(store) == ["first", "second", "third"]


async def test_it_comes_without_another_change(store: SqliteStore, away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.audit_trail.RETRY_SECS", 0.01)
    kept = trail(store)
    away.begin()
    await kept.add(entry("first"))
    kept.start()
    await asyncio.sleep(0)
    away.end()
    async with asyncio.timeout(20):
        while await whats(store) != ["first"]:
            await asyncio.sleep(0.01)
    await kept.close()


async def test_more_than_may_wait_stay_in_the_log(
    store: SqliteStore, away: Away, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.audit_trail.MAX_WAITING", 2)
    kept = trail(store)
    away.begin()
    for what in ("first", "second", "third"):
        await kept.add(entry(what))
    [lost] = [record.__dict__["audit"] for record in caplog.records if "in the log alone" in record.getMessage()]
    assert (lost["what"], lost["who"], lost["from"]) == ("first", "admin", "127.0.0.1")
    away.end()
    await kept.close()
    assert await whats(store) == ["second", "third"]


async def test_what_waits_at_the_end_is_told_or_given_to_the_log(
    store: SqliteStore, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    kept, other = trail(store), trail(store)
    away.begin()
    await kept.add(entry("first"))
    await other.add(entry("second"))
    await kept.close()
    lost = [record.__dict__["audit"]["what"] for record in caplog.records if "audit" in record.__dict__]
    assert lost == ["first"]
    away.end()
    await other.close()
    assert await whats(store) == ["second"]


async def test_the_newest_of_each_are_kept(store: SqliteStore) -> None:
    kept = trail(store, most=2)
    await kept.add(entry("admin's"))
    for number in range(5):
        await kept.add(entry(f"tenant's {number}", who=TENANT))
    assert await whats(store) == ["admin's", "tenant's 3", "tenant's 4"]


async def test_what_is_too_old_goes_at_the_start(store: SqliteStore) -> None:
    day = 86400.0
    await store.audit.add([entry("old", time.time() - 10.1 * day), entry("younger", time.time() - 9.9 * day)])
    kept = trail(store)
    kept.start()
    async with asyncio.timeout(20):
        while await whats(store) != ["younger"]:
            await asyncio.sleep(0.01)
    await kept.close()


async def test_changes_at_once_are_all_kept(store: SqliteStore) -> None:
    kept = trail(store, most=300)
    await asyncio.gather(*(kept.add(entry(f"{number:03}")) for number in range(250)))
    assert sorted(await whats(store)) == [f"{number:03}" for number in range(250)]
