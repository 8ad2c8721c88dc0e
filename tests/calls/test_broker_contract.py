"""The broker contract (calls/broker.py), for every kind of broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from calls.broker import Broker, CallHandler, Refused
from calls.call import Kind, Outcome, Reply
from calls.inprocess import InProcessBroker
from calls.redis.gateway import RedisBroker
from calls.redis.host import RedisHost
from tests.calls.conftest import Ends
from tests.calls.ends import PatientHost, call, owner, submit
from tests.calls.redis_image import RedisImage
from tests.calls.redis_server import RedisServer

MAX_OWNER, MAX_TOTAL, MAX_BYTES = 3, 5, 100_000
A, B = owner(1), owner(2)


class Carrier(Protocol):
    """A broker, with its kind's way to attach a host."""

    @property
    def broker(self) -> Broker:
        """The gateway's end."""

    async def attach(self, handler: CallHandler) -> None:
        """Attaches a host; the broker knows it then."""

    async def detach(self) -> None:
        """Takes it away."""


class InProcess:
    """Gateway and host in one event loop."""

    def __init__(self) -> None:
        self.broker = InProcessBroker(MAX_OWNER, MAX_TOTAL, MAX_BYTES)

    async def attach(self, handler: CallHandler) -> None:
        """See Carrier."""
        self.broker.attach("h", handler)

    async def detach(self) -> None:
        """See Carrier."""
        self.broker.detach("h")


class OverRedis:
    """Gateway and host with a Redis between them."""

    def __init__(self, ends: Ends, broker: RedisBroker) -> None:
        self.broker = broker
        self._ends = ends
        self._host: RedisHost | None = None

    async def attach(self, handler: CallHandler) -> None:
        """See Carrier."""
        self._host = await self._ends.host(handler)
        await self.broker.ready()

    async def detach(self) -> None:
        """See Carrier."""
        assert self._host is not None
        await self._host.close()


@pytest.fixture(
    params=[
        "inprocess",
        pytest.param("redis", marks=pytest.mark.needs("redis")),
        pytest.param("redis-of-the-stack", marks=pytest.mark.needs("docker")),
    ]
)
async def carrier(request: pytest.FixtureRequest) -> AsyncIterator[Carrier]:
    """One broker of each kind, bounded to MAX_OWNER and MAX_TOTAL unanswered calls of MAX_BYTES."""
    if request.param == "inprocess":
        carrier = InProcess()
        yield carrier
        await carrier.broker.close()
    elif request.param == "redis-of-the-stack":
        image: RedisImage = request.getfixturevalue("redis_image")
        ends = Ends(image.gateway, image.host)
        async with ends.stack:
            yield OverRedis(ends, await ends.gateway(MAX_OWNER, MAX_TOTAL, MAX_BYTES))
    else:
        server: RedisServer = request.getfixturevalue("redis")
        ends = Ends(server.url)
        async with ends.stack:
            yield OverRedis(ends, await ends.gateway(MAX_OWNER, MAX_TOTAL, MAX_BYTES))


@pytest.fixture
def broker(carrier: Carrier) -> Broker:
    """The gateway's end of it."""
    return carrier.broker


async def test_a_call_reaches_the_host_and_its_reply_the_caller(carrier: Carrier, broker: Broker) -> None:
    host, one = PatientHost(), call()
    await carrier.attach(host)
    answer = submit(broker, one)
    await host.has(1)
    accepted, reply_to = host.accepted[0]
    assert accepted == one
    assert broker.unanswered == 1
    reply_to(Reply(call=one.id, outcome=Outcome.VALUE, payload=b"2"))
    assert await answer == Reply(call=one.id, outcome=Outcome.VALUE, payload=b"2")
    assert broker.unanswered == 0


async def test_a_second_reply_is_ignored(carrier: Carrier, broker: Broker) -> None:
    host, one = PatientHost(), call()
    await carrier.attach(host)
    answer = submit(broker, one)
    await host.has(1)
    for payload in (b"1", b"2"):
        host.answer(0, payload)
    assert (await answer).payload == b"1"


async def test_without_a_host_a_call_is_refused(broker: Broker) -> None:
    with pytest.raises(Refused, match="no runner host") as refused:
        submit(broker, call())
    assert not refused.value.limited


async def test_an_owner_over_its_bound_is_limited_and_others_are_not(carrier: Carrier, broker: Broker) -> None:
    await carrier.attach(PatientHost())
    for _ in range(MAX_OWNER):
        submit(broker, call(A))
    with pytest.raises(Refused, match="of this owner") as refused:
        submit(broker, call(A))
    assert refused.value.limited
    submit(broker, call(B))


async def test_above_the_total_bound_everybody_is_refused(carrier: Carrier, broker: Broker) -> None:
    await carrier.attach(PatientHost())
    for number in range(MAX_TOTAL):
        submit(broker, call(owner(number)))
    with pytest.raises(Refused, match="unanswered") as refused:
        submit(broker, call(owner(MAX_TOTAL)))
    assert not refused.value.limited
    assert broker.unanswered == MAX_TOTAL


async def test_above_the_bound_in_bytes_everybody_is_refused(carrier: Carrier, broker: Broker) -> None:
    host = PatientHost()
    await carrier.attach(host)
    large = submit(broker, call(A, payload=b"p" * (MAX_BYTES - 1)))
    submit(broker, call(B))
    with pytest.raises(Refused, match="bytes of calls are unanswered") as refused:
        submit(broker, call(B))
    assert not refused.value.limited
    await host.has(2)
    host.answer(0)
    await large
    submit(broker, call(B))


async def test_an_answer_makes_room(carrier: Carrier, broker: Broker) -> None:
    host = PatientHost()
    await carrier.attach(host)
    first = [submit(broker, call(A)) for _ in range(MAX_OWNER)]
    await host.has(1)
    host.answer()
    await first[0]
    submit(broker, call(A))


async def test_calls_of_a_host_that_goes_away_are_answered_as_died(carrier: Carrier, broker: Broker) -> None:
    await carrier.attach(PatientHost())
    answers = [submit(broker, call()) for _ in range(2)]
    await carrier.detach()
    assert {(await answer).outcome for answer in answers} == {Outcome.DIED}
    with pytest.raises(Refused, match="no runner host"):
        submit(broker, call())


async def test_an_inspection_that_was_lost_counts_as_not_run(carrier: Carrier, broker: Broker) -> None:
    await carrier.attach(PatientHost())
    answer = submit(broker, call(kind=Kind.INSPECT, function="", payload=b"\x80"))
    await carrier.detach()
    assert (await answer).outcome is Outcome.UNAVAILABLE


async def test_closing_answers_what_is_open_and_refuses_the_rest(carrier: Carrier, broker: Broker) -> None:
    await carrier.attach(PatientHost())
    answer = submit(broker, call())
    await broker.close()
    assert (await answer).outcome is Outcome.DIED
    with pytest.raises(Refused, match="shutting down"):
        submit(broker, call())
