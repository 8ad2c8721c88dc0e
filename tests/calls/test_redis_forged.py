"""Given somebody who can reach Redis, when he sends what no gateway and no host would, then it is dropped."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.client import PubSub

from calls.call import Kind, Outcome, Reply
from calls.redis import reading, wire
from calls.redis.gateway import RedisBroker
from calls.redis.keys import GATEWAY, HOST
from calls.redis.wire import Answered, GatewayBeat, HostBeat, HostState, Invocation, Order, OrderKind
from tests.calls.conftest import Ends
from tests.calls.ends import PatientHost, call, submit
from tests.calls.redis_server import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")

ME = "ab" * 16
CALL: dict[str, dict[str, Any]] = {
    "another owner's form": {"owner": "../../4a1bf01e-0693-48c5-a52b-fc275205c1d8"},
    "an upper case owner": {"owner": "4A1BF01E-0693-48C5-A52B-FC275205C1D8"},
    "an owner with a line end": {"owner": "4a1bf01e-0693-48c5-a52b-fc275205c1d8\n"},
    "a path as module": {"module": "../../etc/passwd"},
    "a dotted module": {"module": "os.path"},
    "a module of the interpreter's": {"module": "__main__"},
    "a path as function": {"function": "a/b"},
    "no function": {"function": ""},
    "an endless function": {"function": "f" * 201},
    "a huge limit": {"limit": 1e9},
    "an infinite limit": {"limit": math.inf},
    "a limit that is no number": {"limit": math.nan},
    "no limit": {"limit": 0},
    "a negative limit": {"limit": -1},
    "a negative deadline": {"deadline": -1.0},
    "a deadline that is no number": {"deadline": math.nan},
    "a deadline of tomorrow": {"deadline": time.time() + 86400},
    "a negative concurrency": {"concurrency": -1},
    "a negative revision": {"revision": -1},
    "a guessable id": {"id": "1"},
    "a path in an inspection": {
        "kind": Kind.INSPECT,
        "function": "",
        "payload": msgspec.msgpack.encode({"../m": "0" * 64}),
    },
    "a path as digest": {"kind": Kind.INSPECT, "function": "", "payload": msgspec.msgpack.encode({"m": "../m"})},
    "an inspection of nothing": {"kind": Kind.INSPECT, "function": "", "payload": b"\xc1"},
}
FORGED: dict[str, bytes] = {
    what: wire.encode(Invocation(gateway=ME, call=call(**change))) for what, change in CALL.items()
}
FORGED |= {
    "no gateway": wire.encode(Invocation(gateway="*", call=call())),
    "a gateway that is a key": wire.encode(Invocation(gateway="x:" + ME, call=call())),
    "nothing": b"",
    "noise": secrets.token_bytes(100),
    "half of it": wire.encode(Invocation(gateway=ME, call=call()))[:-1],
    "a length of 4 GiB": b"\xdd\xff\xff\xff\xff",
    "bytes of 4 GiB": b"\x93\x01\xa1x\xc6\xff\xff\xff\xff",
    "deep nesting": b"\x91" * 100_000,
    "another kind of message": msgspec.msgpack.encode([9, ME, []]),
    "one field more": msgspec.msgpack.encode([1, ME, msgspec.to_builtins(call()), "more"]),
    "a kind of call that is none": wire.encode(Invocation(gateway=ME, call=call(kind=7))),
    "text for a number": wire.encode(Invocation(gateway=ME, call=call(limit="1"))),
    "no UTF-8": wire.encode(Invocation(gateway=ME, call=call(module="@@@"))).replace(b"@@@", b"\xff\xfe\xfd"),
    "a pool that is a path": wire.encode(Order(ME, ME, OrderKind.SCALE, "../admin", 1)),
    "a negative size": wire.encode(Order(ME, ME, OrderKind.SCALE, "admin", -1)),
    "a runner that is a path": wire.encode(Order(ME, ME, OrderKind.DRAIN_RUNNER, "../r")),
    "an order of no kind": wire.encode(Order(ME, ME, 9, "h")),  # type: ignore[arg-type]
}


class Outsider:
    """Speaks to Redis as gateways and hosts do, but says what it likes."""

    def __init__(self, server: RedisServer) -> None:
        self.redis = server.client()
        self._hosts: PubSub = self.redis.pubsub()  # type: ignore[no-untyped-call]
        self._hosts.subscribe(HOST.speaks)

    def host(self) -> str:
        """Incarnation of the host that says next that it lives."""
        while True:
            message = self._hosts.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None:
                return reading.read_host_beat(message["data"]).incarnation

    def close(self) -> None:
        """Leaves."""
        self._hosts.close()
        self.redis.close()


@pytest.fixture
async def outsider(redis: RedisServer) -> AsyncIterator[Outsider]:
    """Somebody who can reach Redis."""
    outsider = Outsider(redis)
    yield outsider
    outsider.close()


async def test_a_host_drops_forged_messages_with_a_line_each(
    ends: Ends, outsider: Outsider, caplog: pytest.LogCaptureFixture
) -> None:
    host = PatientHost()
    await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    inbox = HOST.inbox + await asyncio.to_thread(outsider.host)
    for what, message in FORGED.items():
        caplog.clear()
        outsider.redis.rpush(inbox, message)
        genuine = call()
        submit(gateway, genuine)
        arrived = len(host.accepted) + 1
        await host.has(arrived)
        assert host.accepted[-1][0] == genuine, what
        assert len(host.accepted) == arrived, what


async def test_dropped_messages_are_named_but_not_without_end(
    ends: Ends, outsider: Outsider, caplog: pytest.LogCaptureFixture
) -> None:
    await ends.host(PatientHost())
    inbox = HOST.inbox + await asyncio.to_thread(outsider.host)
    outsider.redis.rpush(inbox, FORGED["a path as module"])
    await until(
        lambda: "dropped a message: from a gateway: its owner, module or function is out of bounds" in caplog.text
    )
    caplog.clear()
    outsider.redis.rpush(inbox, *[FORGED["noise"]] * 1000)
    await until(lambda: "more messages" in caplog.text)
    assert len(caplog.records) < 20


async def test_a_call_that_is_sent_twice_is_run_once(ends: Ends, outsider: Outsider) -> None:
    host = PatientHost()
    await ends.host(host)
    inbox = HOST.inbox + await asyncio.to_thread(outsider.host)
    twice, last = (wire.encode(Invocation(gateway=ME, call=call())) for _ in range(2))
    outsider.redis.rpush(inbox, twice, twice, last)
    await host.has(2)
    assert host.accepted[0][0].id != host.accepted[1][0].id


async def test_forged_signs_of_life_change_nothing(
    ends: Ends, outsider: Outsider, caplog: pytest.LogCaptureFixture
) -> None:
    host = PatientHost()
    await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    good = {
        "name": "h",
        "incarnation": ME,
        "started": time.time() + 9,
        "state": HostState.GONE,
        "capacity": 1,
        "room": 1,
    }
    for change in (
        {"name": "../h"},
        {"name": ""},
        {"incarnation": "h"},
        {"started": math.nan},
        {"capacity": 0},
        {"room": 2**60},
        {"load": -1},
        {"state": 9},
    ):
        beat: dict[str, Any] = good | {"load": 0, "pools": (), "tallies": {}} | change
        outsider.redis.publish(HOST.speaks, wire.encode(HostBeat(**beat)))
    outsider.redis.publish(HOST.speaks, b"noise")
    outsider.redis.publish(GATEWAY.speaks, wire.encode(GatewayBeat(incarnation="*", leaving=True)))
    outsider.redis.publish(GATEWAY.speaks, bytes(5 * 1024 * 1024))
    await until(lambda: "a host's sign of life" in caplog.text and "a gateway's sign of life" in caplog.text)
    answer = submit(gateway, call())
    await host.has(1)
    host.answer()
    assert (await answer).outcome is Outcome.VALUE


async def test_a_host_that_answers_nonsense_fails_its_own_calls_only(ends: Ends, outsider: Outsider) -> None:
    gateway = await ends.gateway()
    answers = await _with_a_host_of_the_outsiders(gateway, outsider, 3)
    sent = [reading.read_by_host(raw, _wide(), time.time()) for raw in await _taken(outsider, 3)]
    first, second, third = (one for one in sent if isinstance(one, Invocation))
    inbox = GATEWAY.inbox + first.gateway
    outsider.redis.rpush(inbox, b"", b"noise", msgspec.msgpack.encode([1, [second.call.id, 99]]))
    outsider.redis.rpush(inbox, wire.encode(Answered(reply=Reply(call="0" * 32, outcome=Outcome.VALUE))))
    nonsense = Reply(call=first.call.id, outcome=Outcome.UNAVAILABLE, retry_after=math.nan)
    outsider.redis.rpush(inbox, wire.encode(Answered(reply=nonsense)))
    genuine = Reply(call=second.call.id, outcome=Outcome.VALUE, payload=b"2")
    outsider.redis.rpush(inbox, wire.encode(Answered(reply=genuine)))
    replies = {reply.call: reply for reply in [await answers[0], await answers[1]]}
    assert replies[first.call.id].outcome is Outcome.DIED
    assert replies[second.call.id] == genuine
    assert not answers[2].done()
    assert third.call.id not in replies


async def _with_a_host_of_the_outsiders(
    gateway: RedisBroker, outsider: Outsider, count: int
) -> list[asyncio.Future[Reply]]:
    beat = HostBeat(
        name="o", incarnation=ME, started=1.0, state=HostState.SERVING, capacity=9, room=9, load=0, pools=(), tallies={}
    )
    outsider.redis.publish(HOST.speaks, wire.encode(beat))
    await gateway.ready()
    return [submit(gateway, call()) for _ in range(count)]


async def _taken(outsider: Outsider, count: int) -> list[bytes]:
    """What the gateway pushed for the outsider's host."""
    messages: list[bytes] = []
    while len(messages) < count:
        popped: Any = await asyncio.to_thread(outsider.redis.blmpop, 5, 1, HOST.inbox + ME, direction="LEFT", count=9)
        messages += popped[1]
    return messages


def _wide() -> reading.CallBounds:
    return reading.CallBounds(max_secs=100, max_wait_secs=100)
