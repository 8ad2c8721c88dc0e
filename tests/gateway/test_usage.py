"""What is counted of tenants' calls, and how it comes into the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.usage import UsageMeter
from store.contract import StoreUnavailable, Tenant
from store.sqlite import SqliteStore
from store.usage import Usage

ADA = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
GONE = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a2"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.add_tenant(Tenant(uuid=ADA))
    yield store
    await store.close()


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


async def test_two_gateways_add_up(store: SqliteStore) -> None:
    before = today()
    meters = [UsageMeter(store, 90) for _ in range(2)]
    for meter in meters:
        meter.count(ADA, Usage(calls=1, run_seconds=0.25, bytes_in=3))
        meter.count(ADA, Usage(calls=1, errors=1))
        meter.count(GONE, Usage(calls=1))
        await meter.flush()
        await meter.flush()
    if before == today():
        assert await meters[0].of(ADA, 1) == {today(): Usage(calls=4, errors=2, run_seconds=0.5, bytes_in=6)}
    assert await meters[0].of(GONE, 1) == {}


async def test_what_could_not_be_told_is_told_later(store: SqliteStore, tmp_path: Path) -> None:
    meter = UsageMeter(store, 90)
    meter.count(ADA, Usage(calls=1))
    (tmp_path / "plugbay.sqlite").rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable):
        await meter.flush()
    meter.count(ADA, Usage(calls=1))
    (tmp_path / "away").rename(tmp_path / "plugbay.sqlite")
    assert sum(used.calls for used in (await meter.of(ADA, 2)).values()) == 2


async def test_the_last_is_told_at_the_end_and_days_go(store: SqliteStore) -> None:
    await store.usage.add("2020-01-01", {ADA: Usage(calls=5)})
    meter = UsageMeter(store, 90)
    meter.start()
    meter.count(ADA, Usage(calls=1))
    await meter.close()
    assert sum(used.calls for used in (await store.usage.of(ADA, "2020-01-02")).values()) == 1
    await meter._sweep()
    assert "2020-01-01" not in await store.usage.of(ADA, "2020-01-01")
