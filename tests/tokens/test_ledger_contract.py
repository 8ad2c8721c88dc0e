"""What every kind of ledger promises: each token once, and only while it is fresh."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID, uuid4

import pytest

from calls.redis.gateway import RedisBroker
from tests.calls.redis_server import RedisServer, running
from tokens.ledger import Ledger
from tokens.memory import MemoryLedger
from tokens.opening import SKEW_SECS, BadToken, Opened
from tokens.redis import RedisLedger

LIFE_SECS = 30
TENANT = UUID("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1")


class Began:
    """A ledger that began just now. Tests tell the time of making in milliseconds from the first that it takes."""

    def __init__(self, ledger: Ledger, others: list[Ledger], begin: int) -> None:
        self.ledger = ledger
        self.others = others
        """Ledgers of other gateways that share what this one knows; itself where there is one gateway."""
        self._begin = begin

    def token(self, after_ms: int = 1) -> Opened:
        """A token made so long after the begin; what is made at the begin is refused."""
        return Opened(self._begin + after_ms, os.urandom(16))


@asynccontextmanager
async def memory() -> AsyncIterator[Began]:
    ledger = MemoryLedger(LIFE_SECS)
    begin = ledger._begin_ms
    await passed(begin)
    yield Began(ledger, [ledger], begin)


@asynccontextmanager
async def redis() -> AsyncIterator[Began]:
    with running() as server:
        async with connected(server) as one, connected(server) as other:
            with server.client() as client:
                _, _, begin = (client.get("plugbay:tokens:begin") or b"").partition(b" ")
            await passed(int(begin))
            yield Began(one, [one, other], int(begin))


async def passed(begin: int) -> None:
    """Returns when a token made right after this begin can come, from a clock that is furthest ahead."""
    while time.time() * 1000 < begin - SKEW_SECS * 1000 + 2:
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[RedisLedger]:
    """The ledger of a gateway that has noted when Redis began."""
    broker = RedisBroker(server.url, 10, 10, 2**20)
    ledger = RedisLedger(broker, LIFE_SECS)
    broker.on_join.append(ledger.joined)
    await broker.open()
    try:
        await begun(server)
        yield ledger
    finally:
        await broker.close()


async def begun(server: RedisServer) -> None:
    """Returns when this run of the server has its begin."""
    with server.client() as client:
        run = client.info("server")["run_id"].encode()
        while not (client.get("plugbay:tokens:begin") or b"").startswith(run):
            await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
async def began(request: pytest.FixtureRequest) -> AsyncIterator[Began]:
    kinds = {"memory": memory, "redis": redis}
    async with kinds[request.param]() as began:
        yield began


async def is_taken(ledger: Ledger, token: Opened, tenant: UUID = TENANT) -> bool:
    try:
        await ledger.spend(tenant, token)
    except BadToken:
        return False
    return True


# The first tokens that a ledger takes were made SKEW_SECS after it began, by the clocks that are furthest ahead:
# so these tests need not wait.


async def test_a_token_is_taken_once(began: Began) -> None:
    token = began.token()
    assert await is_taken(began.ledger, token)
    for ledger in (*began.others, *began.others):
        assert not await is_taken(ledger, token)


async def test_one_of_many_at_once_over_all_gateways(began: Began) -> None:
    for _ in range(5):
        token = began.token()
        tries = [is_taken(began.others[number % len(began.others)], token) for number in range(100)]
        assert sum(await asyncio.gather(*tries)) == 1


async def test_tokens_do_not_stand_in_each_others_way(began: Began) -> None:
    assert all(await asyncio.gather(*(is_taken(began.ledger, began.token()) for _ in range(200))))


async def test_what_a_tenant_used_says_nothing_of_another(began: Began) -> None:
    token = began.token()
    assert await is_taken(began.ledger, token)
    assert await is_taken(began.ledger, token, uuid4())


async def test_what_was_made_before_the_ledger_began_is_refused(began: Began) -> None:
    for after_ms in (0, -1, -1000, -SKEW_SECS * 1000):
        assert not await is_taken(began.ledger, began.token(after_ms))


async def test_what_is_too_old_or_from_the_future_is_refused(began: Began) -> None:
    now = int(time.time() * 1000)
    for issued in (0, now - LIFE_SECS * 1000 - 1000, now + SKEW_SECS * 1000 + 1000, 2**63, 2**64 - 1):
        assert not await is_taken(began.ledger, Opened(issued, os.urandom(16)))


# The clock of the process, which tests of its own ledger can set.


class Clock:
    """Unix time as a test says."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def clocked() -> Iterator[tuple[MemoryLedger, Clock, Callable[[float], Opened]]]:
    """A ledger that has been there for a while, its clock, and what makes tokens of an age in seconds."""
    clock = Clock()
    ledger = MemoryLedger(LIFE_SECS, clock)
    clock.now += 1000
    yield ledger, clock, lambda age: Opened(int((clock.now - age) * 1000), os.urandom(16))


@pytest.mark.parametrize(
    ("age", "taken"), [(0, True), (29.9, True), (30, False), (31, False), (-4, True), (-5, True), (-6, False)]
)
async def test_life_and_skew(age: float, taken: bool) -> None:
    with clocked() as (ledger, _, token):
        assert await is_taken(ledger, token(age)) is taken


@pytest.mark.parametrize("step", [1, 30, 36, 120, 3600, -30, -36, -120, -3600])
@pytest.mark.parametrize("age", [0, 29, -5])
async def test_no_step_of_the_clock_makes_a_token_good_again(step: float, age: float) -> None:
    with clocked() as (ledger, clock, token):
        used = token(age)
        assert await is_taken(ledger, used)
        clock.now += 40  # long enough to forget it, if anybody asks
        await is_taken(ledger, token(0))
        for _ in range(100):
            clock.now -= abs(step) / 50
            assert not await is_taken(ledger, used)
        for _ in range(200):
            clock.now += abs(step) / 50
            assert not await is_taken(ledger, used)


async def test_memory_does_not_grow_with_what_is_over() -> None:
    with clocked() as (ledger, clock, token):
        for _ in range(20):
            for _ in range(100):
                assert await is_taken(ledger, token(0))
            clock.now += LIFE_SECS
        assert len(ledger._spent) == len(ledger._order) == 100
