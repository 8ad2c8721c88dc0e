"""Given a tenant with API keys, when a key is sent, then it opens what it was made for, as long as it is good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway import api_keys
from gateway.api_keys import EVERYTHING, MAX_API_KEYS, NOTHING, ApiKey, Scope, TooManyKeys, granted
from gateway.tenant_keys import SentKey, digest, new_key, without_keys
from store.contract import Tenant, TenantChange
from store.sqlite import SqliteStore

ADA = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
BOB = "7b1de1cc-93cb-4bd1-9d5b-0f5c2f6c8a10"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    for uuid in (ADA, BOB):
        await store.add_tenant(Tenant(uuid=uuid))
    yield store
    await store.close()


async def made(store: SqliteStore, *scopes: Scope, uuid: str = ADA, expires: float | None = None) -> tuple[str, ApiKey]:
    """A key of a tenant."""
    found = await api_keys.make(store, uuid, "test", scopes or (Scope.CALL,), expires)
    assert found is not None
    return found


async def opened(store: SqliteStore, text: str, uuid: str = ADA) -> frozenset[Scope]:
    """What a text opens of a tenant's."""
    sent = SentKey.parse(text.encode("latin-1"))
    return NOTHING if sent is None else granted(sent, await store.tenant(uuid))


@pytest.mark.parametrize(
    ("scopes", "opens"),
    [
        ((Scope.CALL,), {Scope.CALL}),
        ((Scope.DEPLOY,), {Scope.DEPLOY}),
        ((Scope.CALL, Scope.DEPLOY), {Scope.CALL, Scope.DEPLOY}),
        ((Scope.MANAGE,), EVERYTHING),
    ],
)
async def test_a_key_opens_its_scopes(store: SqliteStore, scopes: tuple[Scope, ...], opens: set[Scope]) -> None:
    text, _ = await made(store, *scopes)
    assert await opened(store, text) == opens
    assert await opened(store, text, BOB) == NOTHING
    assert granted(SentKey(ADA, "", digest(text)), None) == NOTHING


async def test_the_first_key_opens_everything(store: SqliteStore) -> None:
    first = new_key(ADA)
    await made(store)
    assert await opened(store, first) == NOTHING
    await store.change_tenant(ADA, TenantChange(key=digest(first)))
    assert await opened(store, first) == EVERYTHING
    assert await opened(store, first, BOB) == NOTHING


async def test_h4_changed_in_any_way_it_opens_nothing(store: SqliteStore) -> None:
    text, _ = await made(store)
    bits = [text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :] for at in range(len(text)) for bit in range(8)]
    cuts = [text[:length] for length in range(len(text))] + [text[length:] for length in range(1, len(text))]
    more = [text + "A", text + "=", text + "\n", "\n" + text, text.upper(), text.swapcase(), text.replace("pba", "pbt")]
    for other in (*bits, *cuts, *more):
        assert await opened(store, other) == NOTHING, other
    assert await opened(store, text) == {Scope.CALL}


async def test_parts_of_two_keys_are_no_key(store: SqliteStore) -> None:
    (one, _), (two, _) = await made(store), await made(store, Scope.MANAGE)
    stranger, _ = await made(store, uuid=BOB)
    first = new_key(ADA)
    await store.change_tenant(ADA, TenantChange(key=digest(first)))
    for head, tail in ((one, two), (two, one), (one, stranger), (stranger, one), (one, first)):
        mixed = head[:-43] + tail[-43:]
        assert await opened(store, mixed) == await opened(store, mixed, BOB) == NOTHING
    assert await opened(store, first[:-43] + one[-43:]) == NOTHING


async def test_it_ends_at_its_time(store: SqliteStore) -> None:
    now = time.time()
    text, key = await made(store, expires=now + 3600)
    assert [key.ended(at) for at in (now, now + 3599.9, now + 3600, now + 3601)] == [False, False, True, True]
    assert await opened(store, text) == {Scope.CALL}
    over, _ = await made(store, Scope.MANAGE, expires=now - 1)
    assert await opened(store, over) == NOTHING


async def test_one_that_was_revoked_opens_nothing_and_others_do(store: SqliteStore) -> None:
    (one, key), (two, _) = await made(store), await made(store)
    assert not await api_keys.revoke(store, BOB, key.id)
    assert await opened(store, one) == {Scope.CALL}
    assert await api_keys.revoke(store, ADA, key.id)
    assert not await api_keys.revoke(store, ADA, key.id)
    assert [await opened(store, text) for text in (one, two)] == [NOTHING, {Scope.CALL}]


async def test_a_tenant_has_so_many_and_those_that_have_ended_do_not_count(store: SqliteStore) -> None:
    _, over = await made(store, expires=time.time() - 1)
    ended: list[tuple[str, ApiKey] | BaseException] = [await made(store) for _ in range(MAX_API_KEYS - 10)]
    ended += await asyncio.gather(*(made(store) for _ in range(15)), return_exceptions=True)
    assert [type(one) for one in ended if isinstance(one, BaseException)] == [TooManyKeys] * 5
    tenant = await store.tenant(ADA)
    assert tenant is not None
    there = {key.id for key in api_keys.of(tenant)}
    assert there == {one[1].id for one in ended if isinstance(one, tuple)}
    assert len(there) == MAX_API_KEYS and over.id not in there
    await api_keys.revoke(store, ADA, there.pop())
    await made(store)


async def test_what_is_kept_is_no_key(store: SqliteStore) -> None:
    text, key = await made(store, Scope.DEPLOY, Scope.CALL)
    tenant = await store.tenant(ADA)
    assert tenant is not None
    assert text[-43:] not in tenant.api_keys
    assert api_keys.of(tenant) == (key,)
    assert key.digest == digest(text) and key.scopes == (Scope.CALL, Scope.DEPLOY)
    for guess in (key.digest, f"{text[:-43]}{key.digest[:43]}"):
        assert await opened(store, guess) == NOTHING


async def test_what_is_kept_of_one_tenant_s_is_no_key_of_another(store: SqliteStore) -> None:
    text, _ = await made(store)
    ada = await store.tenant(ADA)
    assert ada is not None
    await store.change_tenant(BOB, TenantChange(api_keys=ada.api_keys))
    assert await opened(store, text, BOB) == NOTHING
    assert await opened(store, text) == {Scope.CALL}


async def test_nobody_has_none(store: SqliteStore) -> None:
    nobody = "22222222-2222-4222-8222-222222222222"
    assert await api_keys.make(store, nobody, "test", (Scope.CALL,), None) is None
    assert not await api_keys.revoke(store, nobody, "0" * 16)


async def test_a_scope_of_another_version_opens_nothing(store: SqliteStore) -> None:
    """Fail closed: what is kept and not understood is an error, and no key."""
    text, key = await made(store)
    other = msgspec.json.encode([msgspec.to_builtins(key) | {"scopes": ["fly"]}]).decode()
    await store.change_tenant(ADA, TenantChange(api_keys=other))
    with pytest.raises(msgspec.ValidationError):
        await opened(store, text)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}", "Token {}", "Bearer x, Bearer {}", "Bearer {}x"])
async def test_headers_lose_what_looks_like_a_key(store: SqliteStore, form: str) -> None:
    text, _ = await made(store)
    for key in (text, new_key(ADA), text.upper()):
        value = form.format(key).encode()
        headers = [(b"host", b"a"), (b"authorization", b"Bearer eyJ"), (b"authorization", value), (b"x-key", value)]
        assert list(without_keys(headers)) == [headers[0], headers[1], headers[3]]
