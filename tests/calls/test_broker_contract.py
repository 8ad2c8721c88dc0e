"""The broker contract (calls/broker.py), for every kind of broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from calls.broker import Answer, Broker, Refused
from calls.call import Call, Kind, Outcome, Reply, new_call_id
from calls.inprocess import InProcessBroker

MAX_OWNER, MAX_TOTAL = 3, 5


class Host:
    """A runner host that answers when it is told to."""

    def __init__(self) -> None:
        self.accepted: list[tuple[Call, Answer]] = []
        self.arrived = asyncio.Event()

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        self.accepted.append((call, answer))
        self.arrived.set()


@pytest.fixture(params=[lambda: InProcessBroker(MAX_OWNER, MAX_TOTAL)], ids=["inprocess"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """One broker of each kind, bounded to MAX_OWNER and MAX_TOTAL unanswered calls."""
    make: Callable[[], Broker] = request.param
    broker = make()
    yield broker
    await broker.close()


def call(owner: str = "a") -> Call:
    """A call nobody will run for real."""
    return Call(
        id=new_call_id(),
        kind=Kind.INVOKE,
        owner=owner,
        revision=1,
        module="m",
        function="f",
        concurrent=False,
        limit=1,
        concurrency=0,
        deadline=time.time() + 20,
        payload=b"p",
    )


def submit(broker: Broker, one: Call) -> asyncio.Future[Reply]:
    """Sends a call; the future takes one answer and fails on a second."""
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    broker.submit(one, answer.set_result)
    return answer


async def test_a_call_reaches_the_host_and_its_reply_the_caller(broker: Broker) -> None:
    host, one = Host(), call()
    broker.attach("h", host)
    answer = submit(broker, one)
    await host.arrived.wait()
    accepted, reply_to = host.accepted[0]
    assert accepted == one
    assert broker.unanswered == 1
    reply_to(Reply(call=one.id, outcome=Outcome.VALUE, payload=b"2"))
    assert await answer == Reply(call=one.id, outcome=Outcome.VALUE, payload=b"2")
    assert broker.unanswered == 0


async def test_a_second_reply_is_ignored(broker: Broker) -> None:
    host, one = Host(), call()
    broker.attach("h", host)
    answer = submit(broker, one)
    await host.arrived.wait()
    for payload in (b"1", b"2"):
        host.accepted[0][1](Reply(call=one.id, outcome=Outcome.VALUE, payload=payload))
    assert (await answer).payload == b"1"


async def test_without_a_host_a_call_is_refused(broker: Broker) -> None:
    with pytest.raises(Refused, match="no runner host") as refused:
        submit(broker, call())
    assert not refused.value.limited


async def test_an_owner_over_its_bound_is_limited_and_others_are_not(broker: Broker) -> None:
    broker.attach("h", Host())
    for _ in range(MAX_OWNER):
        submit(broker, call("a"))
    with pytest.raises(Refused, match="of this owner") as refused:
        submit(broker, call("a"))
    assert refused.value.limited
    submit(broker, call("b"))


async def test_above_the_total_bound_everybody_is_refused(broker: Broker) -> None:
    broker.attach("h", Host())
    for number in range(MAX_TOTAL):
        submit(broker, call(f"owner {number}"))
    with pytest.raises(Refused, match="unanswered") as refused:
        submit(broker, call("another"))
    assert not refused.value.limited
    assert broker.unanswered == MAX_TOTAL


async def test_an_answer_makes_room(broker: Broker) -> None:
    host = Host()
    broker.attach("h", host)
    first = [submit(broker, call("a")) for _ in range(MAX_OWNER)]
    await host.arrived.wait()
    accepted, reply_to = host.accepted[0]
    reply_to(Reply(call=accepted.id, outcome=Outcome.VALUE))
    await first[0]
    submit(broker, call("a"))


async def test_calls_of_a_host_that_goes_away_are_answered_as_died(broker: Broker) -> None:
    broker.attach("h", Host())
    answers = [submit(broker, call()) for _ in range(2)]
    broker.detach("h")
    assert {(await answer).outcome for answer in answers} == {Outcome.DIED}


async def test_closing_answers_what_is_open_and_refuses_the_rest(broker: Broker) -> None:
    broker.attach("h", Host())
    answer = submit(broker, call())
    await broker.close()
    assert (await answer).outcome is Outcome.DIED
    with pytest.raises(Refused, match="shutting down"):
        submit(broker, call())
