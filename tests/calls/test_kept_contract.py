"""What every kind of kept calls promises: each runs, its result is there for a while, and all of it is bounded."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calls.kept import RECORD_BYTES, Found, Full, KeptBounds, KeptCall, KeptCalls, KeptUnavailable, Result, Taken
from calls.redis.kept import RedisKept
from calls.sqlite.kept import SqliteKept
from tests.calls.ends import owner
from tests.calls.redis_server import running
from tests.docs.markdown import ROOT
from tests.waiting import PATIENCE_SECS

BOUNDS = KeptBounds(max_owner=5, max_total=8, max_bytes=400_000, secs=60, lease_secs=60)
MANY = 1000
"""Results an owner may have, where that is not what is tested."""

Kind = Callable[[Path], AbstractAsyncContextManager["Place"]]


class Place:
    """Where calls are kept: makes processes' views of it, each with bounds of its own, that are closed at the end."""

    def __init__(self, make: Callable[[KeptBounds], KeptCalls]) -> None:
        self._make = make
        self.stack = AsyncExitStack()

    async def open(self, **bounds: Any) -> KeptCalls:
        """As the one process that there is, or as one more."""
        kept = self._make(replace(BOUNDS, **bounds))
        await kept.open()
        self.stack.push_async_callback(kept.close)
        return kept


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Place]:
    place = Place(lambda bounds: SqliteKept(folder, bounds))
    async with place.stack:
        yield place


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Place]:
    del folder  # it has one of its own
    with running(*as_in_the_stack()) as server:
        url = server.url.replace("unix://", "unix://gateway:secret@")
        place = Place(lambda bounds: RedisKept(url, bounds))
        async with place.stack:
            yield place


def as_in_the_stack() -> list[str]:
    """What the stack's Redis for kept calls is told, with another password, but for where it listens and writes."""
    script = (ROOT / "images" / "redis" / "kept.sh").read_text(encoding="utf-8")
    told = script.partition("<<END\n")[2].removesuffix("END\n").splitlines()
    lines = [line for line in told if line.partition(" ")[0] not in ("port", "bind", "dir")]
    assert len(lines) == len(told) - 3
    return [line.replace('#$(digest "$REDIS_GATEWAY_PASSWORD")', ">secret") for line in lines]


@pytest.fixture(params=[sqlite, pytest.param(redis, marks=pytest.mark.needs("redis"))], ids=lambda kind: kind.__name__)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    kind: Kind = request.param
    async with kind(tmp_path) as made:
        yield made


@pytest.fixture
async def kept(place: Place) -> KeptCalls:
    return await place.open()


def call(of: int = 0, payload: bytes = b"p") -> KeptCall:
    """A call of one of many owners."""
    return KeptCall(
        id=secrets.token_hex(24),
        owner=owner(of),
        call=secrets.token_hex(16),
        method="POST",
        path="/rest/services/f/",
        client="127.0.0.1",
        payload=payload,
        size=3,
        accepted=time.time(),
    )


def result(body: bytes = b"done", **changed: Any) -> Result:
    usual: dict[str, Any] = {"call": "0" * 32, "status": 200, "headers": ((b"a", b"b"),), "outcome": "VALUE"}
    return Result(body=body, **(usual | changed))


async def put(kept: KeptCalls, *calls: KeptCall, most: int = MANY) -> None:
    for one in calls:
        await kept.put(one, most)


async def run(kept: KeptCalls, *answers: Result, most: int = MANY) -> list[str]:
    """Takes as many calls, and gives them these results."""
    ids = []
    for answer in answers:
        taken = await kept.take()
        assert taken is not None
        await kept.finish(taken.call.id, answer, most)
        ids.append(taken.call.id)
    return ids


async def found(kept: KeptCalls, one: KeptCall) -> Result | None:
    there = await kept.find(one.id)
    assert there is not None
    return there.result


async def test_a_call_is_taken_once_and_its_result_is_found_again_and_again(kept: KeptCalls) -> None:
    one = call(payload=bytes(range(256)))
    assert await kept.find(one.id) is None
    await put(kept, one)
    assert await kept.find(one.id) == Found(one.owner, None, b"")
    assert await kept.take() == Taken(one, 1)
    assert await kept.take() is None
    assert await kept.find(one.id) == Found(one.owner, None, b"")
    assert kept.waiting == 1
    await kept.finish(one.id, result(b"\0\xff"), MANY)
    for _ in range(2):
        assert await found(kept, one) == result(b"\0\xff")
    assert await kept.take() is None
    assert kept.waiting == 0


async def test_the_first_result_stands(kept: KeptCalls) -> None:
    one = call()
    await put(kept, one)
    await run(kept, result(b"first"))
    await kept.finish(one.id, result(b"second"), MANY)
    assert await found(kept, one) == result(b"first")


async def test_owners_take_turns_and_calls_of_one_come_in_their_order(kept: KeptCalls) -> None:
    ones, others = [call(0) for _ in range(4)], [call(1) for _ in range(2)]
    await put(kept, *ones, *others)
    order = [await kept.take() for _ in range(6)]
    wanted = [ones[0], others[0], ones[1], others[1], ones[2], ones[3]]
    assert [taken.call if taken else None for taken in order] == wanted


async def test_owners_that_are_left_out_wait(kept: KeptCalls) -> None:
    ones, other = [call(0) for _ in range(3)], call(1)
    await put(kept, *ones, other)
    assert await kept.take({owner(0)}) == Taken(other, 1)
    assert await kept.take({owner(0)}) is None
    assert await kept.take({owner(1)}) == Taken(ones[0], 1)


async def test_a_call_that_is_run_again_counts_its_attempts(kept: KeptCalls) -> None:
    one = call()
    await put(kept, one)
    for attempt, counts in ((1, True), (2, False), (2, True), (3, True)):
        assert await kept.take() == Taken(one, attempt)
        await kept.again(Taken(one, attempt), 0, counts=counts)
    assert await kept.take() == Taken(one, 4)
    await kept.again(Taken(one, 4), 60, counts=True)
    assert await kept.take() is None


async def test_a_lease_ends_unless_it_is_renewed(place: Place) -> None:
    kept = await place.open(lease_secs=0.3)
    renewed, other = call(), call(1)
    await put(kept, renewed, other)
    assert await kept.take() == Taken(renewed, 1)
    assert await kept.take() == Taken(other, 1)
    async with asyncio.timeout(PATIENCE_SECS):
        while (again := await kept.take()) is None:
            await kept.renew([renewed.id])
    assert again == Taken(other, 2)
    await kept.again(Taken(other, 1), 0, counts=True)
    assert await kept.take() is None, "what is said of an attempt that is over has no effect"


async def test_what_is_forgotten_is_not_run_and_not_found(kept: KeptCalls) -> None:
    waiting, taken, done, other = call(), call(), call(), call(1)
    await put(kept, done)
    await run(kept, result())
    await put(kept, taken)
    assert await kept.take() == Taken(taken, 1)
    await put(kept, waiting, other)
    for one in (waiting, taken, done):
        assert await kept.forget(one.id)
        assert not await kept.forget(one.id)
        assert await kept.find(one.id) is None
    await kept.finish(taken.id, result(), MANY)
    await kept.again(Taken(taken, 1), 0, counts=True)
    assert await kept.find(taken.id) is None
    assert await kept.take() == Taken(other, 1)
    assert await kept.take() is None


async def test_an_owner_is_forgotten_with_all_that_is_its_own(kept: KeptCalls) -> None:
    ones, other = [call() for _ in range(3)], call(1)
    await put(kept, *ones[:2], other)
    await run(kept, result(), result())
    await put(kept, ones[2])
    assert await kept.hold("key", owner(0), b"m", 60) is None
    await kept.forget_owner(owner(0))
    assert [await kept.find(id) for id in ("key", *(one.id for one in ones))] == [None] * 4
    assert await kept.find(other.id) is not None
    assert await kept.take() is None


async def test_calls_that_wait_are_bounded(kept: KeptCalls) -> None:
    with pytest.raises(Full, match="results"):
        await put(kept, *(call() for _ in range(3)), most=2)
    with pytest.raises(Full, match=r"5 calls of this owner .*MAX_KEPT,") as own:
        await put(kept, *(call() for _ in range(4)))
    await put(kept, *(call(1) for _ in range(3)))
    with pytest.raises(Full, match="MAX_KEPT_TOTAL") as all:
        await put(kept, call(2))
    assert (own.value.limited, all.value.limited) == (True, False)
    await run(kept, result())
    await put(kept, call(2))


async def test_what_was_taken_counts_as_waiting_until_it_has_a_result(kept: KeptCalls) -> None:
    await put(kept, *(call() for _ in range(5)))
    for _ in range(5):
        assert await kept.take() is not None
    with pytest.raises(Full):
        await put(kept, call())


async def test_the_oldest_results_of_an_owner_go_first(kept: KeptCalls) -> None:
    ones, other = [call() for _ in range(4)], call(1)
    await put(kept, other)
    await run(kept, result())
    for one in ones:
        await put(kept, one)
        await run(kept, result(), most=3)
    assert await kept.find(ones[0].id) is None
    assert [await found(kept, one) for one in (*ones[1:], other)] == [result()] * 4


async def test_bytes_of_an_owner_are_bounded(kept: KeptCalls) -> None:
    most = BOUNDS.owner_bytes
    with pytest.raises(Full, match=r"100000 bytes of this owner .*MAX_KEPT_BYTES") as refused:
        await put(kept, call(payload=bytes(most)))
    assert refused.value.limited
    one, large, other = call(), call(payload=bytes(most // 2)), call(1)
    await put(kept, one, other)
    await run(kept, result(bytes(most // 2)), result())
    await put(kept, large)
    assert await kept.find(one.id) is None, "its oldest result makes room"
    assert await kept.find(other.id) is not None
    with pytest.raises(Full):
        await put(kept, call(payload=bytes(most // 2)))
    assert await kept.find(large.id) is not None, "what has not run does not"


async def test_bytes_in_all_are_bounded_and_the_oldest_result_makes_room_for_another(kept: KeptCalls) -> None:
    part = BOUNDS.owner_bytes - 2 * RECORD_BYTES
    ones = [call(number) for number in range(4)]
    for one in ones:
        await put(kept, one)
        await run(kept, result(bytes(part)))
    late = call(5)
    await put(kept, late)
    with pytest.raises(Full, match="400000 bytes are kept") as refused:
        await put(kept, call(6, bytes(8 * RECORD_BYTES)))
    assert not refused.value.limited
    await run(kept, result(bytes(part)))
    assert await kept.find(ones[0].id) is None
    assert await found(kept, late) == result(bytes(part))
    assert await found(kept, ones[3]) == result(bytes(part))


async def test_nothing_that_was_let_go_counts_any_more(kept: KeptCalls) -> None:
    for number in range(30):
        one = call(payload=bytes(30_000))
        await put(kept, one)
        if number % 3 == 0:
            await run(kept, result(bytes(30_000)), most=1)
        elif number % 3 == 1:
            await kept.forget(one.id)
        else:
            assert await kept.hold(str(number), one.owner, b"m", 60) is None
            await kept.forget_owner(one.owner)
    await put(kept, *(call(payload=bytes(12_000)) for _ in range(5)))


async def test_a_result_is_forgotten_when_its_time_is_over(place: Place) -> None:
    kept = await place.open(secs=0)
    one, other = call(), call()
    await put(kept, one, other)
    await run(kept, result(), result())
    assert await kept.find(one.id) is None
    assert not await kept.forget("nothing")
    await put(kept, *(call() for _ in range(5)))


async def test_an_id_is_held_for_one(kept: KeptCalls) -> None:
    answers = await asyncio.gather(*(kept.hold("key", owner(0), b"mark", 60) for _ in range(10)))
    assert answers.count(None) == 1
    assert await kept.hold("key", owner(0), b"other", 60) == Found(owner(0), None, b"mark")
    assert await kept.take() is None
    await kept.finish("key", result(b"kept"), MANY)
    assert await kept.hold("key", owner(0), b"mark", 60) == Found(owner(0), result(b"kept"), b"mark")
    assert await kept.forget("key")
    assert await kept.hold("key", owner(0), b"another", 60) is None


async def test_what_is_held_is_free_again_after_its_time(kept: KeptCalls) -> None:
    assert await kept.hold("key", owner(0), b"one", 0) is None
    assert await kept.hold("key", owner(1), b"another", 60) is None
    assert await kept.hold("key", owner(0), b"one", 60) == Found(owner(1), None, b"another")
    await kept.finish("key", result(), MANY)
    assert await kept.hold("key", owner(0), b"one", 60) == Found(owner(1), result(), b"another")


async def test_what_is_held_is_bounded(kept: KeptCalls) -> None:
    with pytest.raises(Full) as refused:
        for number in range(BOUNDS.owner_bytes // RECORD_BYTES + 1):
            await kept.hold(str(number), owner(0), b"m", 60)
    assert refused.value.limited
    assert await kept.hold("another", owner(1), b"m", 60) is None


async def test_another_process_finds_what_was_kept_and_runs_what_was_taken(place: Place) -> None:
    before = await place.open(lease_secs=0)
    waiting, taken, later, done = (call() for _ in range(4))
    await put(before, done)
    await run(before, result())
    await put(before, taken, later)
    assert await before.take() == Taken(taken, 1)
    assert await before.take() == Taken(later, 1)
    await before.again(Taken(later, 1), 0, counts=True)
    await put(before, waiting)
    others = [call(2) for _ in range(3)]
    await put(before, *others)
    assert await before.hold("key", owner(1), b"mark", 60) is None
    await before.close()
    after = await place.open()
    assert await after.find("key") == Found(owner(1), None, b"mark")
    assert await found(after, done) == result()
    assert [await after.take({owner(0)}) for _ in others] == [Taken(one, 1) for one in others]
    again = [await after.take() for _ in range(3)]
    assert {one.call.id: one.attempt for one in again if one} == {taken.id: 2, later.id: 2, waiting.id: 1}
    assert await after.take() is None
    assert after.waiting == 6


async def test_once_closed_it_says_so(kept: KeptCalls) -> None:
    await kept.close()
    await kept.close()
    with pytest.raises(KeptUnavailable):
        await kept.put(call(), 1)
