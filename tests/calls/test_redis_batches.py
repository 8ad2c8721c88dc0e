"""Given many calls at once, when they travel through Redis, then they share few round trips, and owners take turns."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from calls.broker import ask
from calls.call import Outcome
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, PatientHost, bounds, call, owner, submit
from tests.calls.redis_server import RedisServer

pytestmark = pytest.mark.needs("redis")

CALLS = 100


async def test_what_one_turn_sends_shares_a_round_trip(ends: Ends, redis: RedisServer) -> None:
    await ends.host(EchoHost())
    gateway = await ends.gateway()
    await gateway.ready()
    replies = await asyncio.gather(*[ask(gateway, call(payload=b"%d" % number)) for number in range(CALLS)])
    assert [reply.payload for reply in replies] == [b"%d" % number for number in range(CALLS)]
    # One push there; back one for every turn of the host's in which it gave calls to its pools.
    assert redis.calls_of("rpush") <= 1 + 3
    assert redis.calls_of("blmpop") <= 8


async def test_a_read_takes_many_messages(ends: Ends, redis: RedisServer) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=2000))
    gateway = await ends.gateway()
    await gateway.ready()
    for _ in range(1000):
        submit(gateway, call())
    await host.has(1000)
    assert redis.calls_of("rpush") == 1
    assert redis.calls_of("blmpop") <= 2 + 1000 // 128 + 2


async def test_an_owner_that_asks_for_much_leaves_room_for_others(ends: Ends) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=8))
    gateway = await ends.gateway()
    await gateway.ready()
    greedy, modest = owner(1), owner(2)
    for _ in range(500):
        submit(gateway, call(greedy))
    answer = submit(gateway, call(modest))
    await host.has(5)
    assert [one.owner for one, _ in host.accepted] == [greedy] * 4 + [modest]
    host.answer(4)
    assert (await answer).outcome is Outcome.VALUE


async def test_owners_that_wait_take_turns(ends: Ends) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=2))
    gateway = await ends.gateway()
    await gateway.ready()
    for number in (1, 2, 3):
        for _ in range(3):
            submit(gateway, call(owner(number)))
    for number in range(9):
        await host.has(number + 1)
        host.answer(number)
    served = [one.owner for one, _ in host.accepted]
    assert served == [owner(number) for number in (1, 2, 3)] * 3


@pytest.mark.parametrize("found", ["in its pools' turns", "in the list"])
async def test_a_call_that_nobody_waits_for_is_not_run(ends: Ends, found: str) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=2))
    gateway = await ends.gateway()
    await gateway.ready()
    late: dict[str, Any] = {"deadline": time.time() + (0.05 if found == "in its pools' turns" else -0.001)}
    submit(gateway, call())
    await host.has(1)
    expired = await submit(gateway, call(**late))
    assert expired.outcome is Outcome.UNAVAILABLE
    host.answer()
    last = call()
    submit(gateway, last)
    await host.has(2)
    assert host.accepted[1][0] == last
