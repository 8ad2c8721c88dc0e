"""Keys for tokens that two gateways change at once: none is lost, none comes back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.token_keys import TokenKeys
from store.contract import Tenant
from store.sealing import Sealer
from store.sqlite import SqliteStore

ADMIN = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[tuple[TokenKeys, TokenKeys]]:
    store = SqliteStore(tmp_path)
    await store.open()
    await store.add_tenant(Tenant(uuid=TENANT))
    sealer = Sealer(base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="), "")
    yield TokenKeys(ADMIN, sealer, store), TokenKeys(ADMIN, sealer, store)
    await store.close()


async def test_keys_made_at_once_are_both_good(gateways: tuple[TokenKeys, TokenKeys]) -> None:
    made = await asyncio.gather(*(gateway.make(TENANT) for gateway in gateways))
    assert {kept.id for _, kept in made} == {kept.id for kept in await gateways[0].of(TENANT)}


async def test_a_key_that_is_retired_while_another_is_made_is_good_no_more(
    gateways: tuple[TokenKeys, TokenKeys],
) -> None:
    here, there = gateways
    _, old = await here.make(TENANT)
    retired, (_, new) = await asyncio.gather(here.retire(TENANT, old.id), there.make(TENANT))
    assert retired
    assert [kept.id for kept in await there.of(TENANT)] == [new.id]
