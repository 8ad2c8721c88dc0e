"""Given kept calls in Redis, when a gateway or Redis itself goes away, then none is lost and none is run twice at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from calls.kept import KeptCalls, KeptUnavailable, Taken
from calls.redis import kept as module
from calls.redis.fitness import Unfit
from calls.redis.kept import RedisKept
from tests.calls.redis_server import RedisServer, running
from tests.calls.test_kept_contract import BOUNDS, MANY, call, found, put, result
from tests.waiting import PATIENCE_SECS

pytestmark = pytest.mark.needs("redis")


def at(redis: RedisServer, **bounds: float) -> RedisKept:
    return RedisKept(redis.url, replace(BOUNDS, **bounds))  # type: ignore[arg-type]


@asynccontextmanager
async def opened(redis: RedisServer, **bounds: float) -> AsyncIterator[RedisKept]:
    """One gateway's."""
    kept = at(redis, **bounds)
    try:
        yield kept
    finally:
        await kept.close()


async def taken(kept: KeptCalls) -> Taken:
    """The next call, which is there soon."""
    async with asyncio.timeout(PATIENCE_SECS):
        while (one := await kept.take()) is None:
            pass
    return one


async def test_a_lease_ends_unless_it_is_renewed(redis: RedisServer) -> None:
    async with opened(redis, lease_secs=0.3) as one, opened(redis, lease_secs=60) as other:
        first, second = call(), call(1)
        await put(one, first, second)
        assert await one.take() == Taken(first, 1)
        assert await one.take() == Taken(second, 1)
        await other.renew([first.id])
        assert await taken(other) == Taken(second, 2)
        assert await other.take() is None
        await one.finish(second.id, result(b"of who was given up"), MANY)
        await other.finish(second.id, result(b"late"), MANY)
        assert await found(one, second) == result(b"of who was given up")
        assert await other.take() is None


async def test_many_gateways_take_each_call_once(redis: RedisServer) -> None:
    gateways = [at(redis, max_owner=100, max_total=100) for _ in range(4)]
    calls = [call(number % 3) for number in range(60)]
    await put(gateways[0], *calls)

    async def take(kept: KeptCalls) -> list[str]:
        ids = []
        while (one := await kept.take()) is not None:
            ids.append(one.call.id)
            await kept.finish(one.call.id, result(), MANY)
        return ids

    ids = [id for ids in await asyncio.gather(*map(take, gateways)) for id in ids]
    assert sorted(ids) == sorted(one.id for one in calls)
    for kept in gateways:
        await kept.close()


async def test_nothing_is_left_in_redis_of_what_was_forgotten(redis: RedisServer) -> None:
    kept = at(redis, secs=0)
    one, other = call(), call(1)
    await put(kept, one, other)
    assert await kept.take() == Taken(one, 1)
    await kept.finish(one.id, result(), MANY)
    assert await kept.hold("key", other.owner, b"m", 0) is None
    await kept.forget(other.id)
    assert await kept.take() is None
    with redis.client() as client:
        assert client.keys("*") == [b"plugbay:kept:turn"]
    await kept.close()


async def test_redis_goes_and_comes_back_with_what_it_wrote() -> None:
    with running("appendonly yes", "appendfsync always") as redis:
        kept = at(redis)
        await kept.open()
        one, other = call(), call()
        await put(kept, one, other)
        await kept.take()
        await kept.finish(one.id, result(), MANY)
        redis.kill()
        with pytest.raises(KeptUnavailable):
            await kept.find(one.id)
        redis.start()
        assert await found(kept, one) == result()
        assert await kept.take() == Taken(other, 1)
        await kept.close()


async def test_a_redis_that_does_not_answer_is_not_waited_for(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECS", 0.2)
    kept = at(redis)
    await kept.open()
    redis.signal(signal.SIGSTOP)
    try:
        with pytest.raises(KeptUnavailable, match="did not answer"):
            await kept.find("x")
    finally:
        redis.signal(signal.SIGCONT)
    monkeypatch.undo()
    assert await kept.find("x") is None
    await kept.close()


async def test_a_redis_that_may_throw_calls_away_is_refused() -> None:
    with (
        running("maxmemory 10mb", "maxmemory-policy allkeys-lru") as redis,
        pytest.raises(Unfit, match=r"KEPT_URL: .*noeviction"),
    ):
        await at(redis).open()


async def test_what_cannot_be_read_is_forgotten(redis: RedisServer) -> None:
    kept = at(redis)
    one, other = call(), call()
    await put(kept, one, other)
    with redis.client() as client:
        client.hset(f"plugbay:kept:call:{one.id}", "c", b"\x93\x01")
    assert await kept.take() == Taken(other, 1)
    assert await kept.find(one.id) is None
    await kept.finish(other.id, result(), MANY)
    with redis.client() as client:
        client.hset(f"plugbay:kept:call:{other.id}", "r", b"\x93\x01")
    assert await kept.find(other.id) is None
    assert await kept.hold(other.id, other.owner, b"mark", 60) is None, "nor does it hold a key"
    await kept.close()


async def test_a_redis_without_memory_left_goes_on_with_what_frees_some() -> None:
    with running("maxmemory-policy noeviction") as redis:
        kept = at(redis, max_owner=100, max_total=100, max_bytes=1 << 30)
        calls = [call(payload=bytes(100_000)) for _ in range(4)]
        await put(kept, *calls)
        assert await kept.take() == Taken(calls[0], 1)
        with redis.client() as client:
            client.config_set("maxmemory", 1)
        with pytest.raises(KeptUnavailable, match="OOM"):
            await put(kept, call())
        await kept.finish(calls[0].id, result(), MANY)
        assert await found(kept, calls[0]) == result()
        assert await kept.take() == Taken(calls[1], 1)
        await kept.renew([calls[1].id])
        await kept.again(Taken(calls[1], 1), 0, counts=True)
        for one in calls:
            assert await kept.forget(one.id)
        await kept.close()
