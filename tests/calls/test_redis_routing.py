"""Given several gateways and hosts, when calls are sent, then each goes to its owner's host while that has room."""

from __future__ import annotations

import asyncio
import logging

import pytest

from calls.broker import Refused, ask
from calls.call import Outcome
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, FixedPools, PatientHost, bounds, call, owner, submit
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")


async def test_an_owner_is_served_by_one_host_from_all_gateways(ends: Ends) -> None:
    hosts = [EchoHost("one"), EchoHost("two")]
    for host in hosts:
        await ends.host(host, host.name, FixedPools(**{host.name: 1}))
    gateways = [await ends.gateway(), await ends.gateway()]
    await until(lambda: all(len(gateway.pools.pools()) == 2 for gateway in gateways))
    calls = [call(owner(number % 20), payload=str(number).encode()) for number in range(200)]
    replies = await asyncio.gather(*[ask(gateways[number // 7 % 2], one) for number, one in enumerate(calls)])
    assert [reply.payload for reply in replies] == [one.payload for one in calls]
    assert len({(one.owner, reply.media_type) for one, reply in zip(calls, replies, strict=True)}) == 20
    assert set(hosts[0].owners) and set(hosts[1].owners)


async def test_above_its_share_a_host_is_passed_over(ends: Ends) -> None:
    hosts = {name: PatientHost() for name in ("one", "two")}
    for name, host in hosts.items():
        await ends.host(host, name, FixedPools(**{name: 1}), bounds(capacity=2))
    gateway = await ends.gateway()
    await until(lambda: len(gateway.pools.pools()) == 2)
    for _ in range(2):
        submit(gateway, call())
    await until(lambda: any(len(host.accepted) == 2 for host in hosts.values()))
    for _ in range(18):
        submit(gateway, call())
    await until(lambda: sum(len(host.accepted) for host in hosts.values()) == 20)
    assert min(len(host.accepted) for host in hosts.values()) >= 7


async def test_calls_of_other_gateways_count_towards_a_hosts_load(ends: Ends) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(max_total=2))
    first = await ends.gateway()
    await first.ready()
    for _ in range(2):
        submit(first, call())
    await host.has(2)
    second = await ends.gateway()
    await second.ready()
    with pytest.raises(Refused, match="every runner host is full") as refused:
        submit(second, call())
    assert not refused.value.limited


async def test_a_full_host_answers_what_it_does_not_take(ends: Ends) -> None:
    host = PatientHost()
    await ends.host(host, limits=bounds(max_owner=1))
    gateway = await ends.gateway()
    await gateway.ready()
    answers = [submit(gateway, call()) for _ in range(2)]
    over = await answers[1]
    assert over.outcome is Outcome.OVER_LIMIT
    assert b"MAX_QUEUE" in over.payload
    assert not answers[0].done()


async def test_a_draining_host_finishes_what_it_has_and_gets_no_more(ends: Ends) -> None:
    host = PatientHost()
    attached = await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    answer = submit(gateway, call())
    await host.has(1)
    draining = asyncio.create_task(attached.drain(60))
    await until(lambda: gateway.problem is not None)
    with pytest.raises(Refused, match="every runner host is draining"):
        submit(gateway, call())
    assert not draining.done()
    host.answer()
    assert (await answer).outcome is Outcome.VALUE
    await draining


async def test_of_two_hosts_with_one_name_the_newer_serves(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    await ends.host(EchoHost("old"), "same")
    gateway = await ends.gateway()
    await gateway.ready()
    await ends.host(EchoHost("new"), "same")
    with caplog.at_level(logging.WARNING):
        await until(lambda: "two hosts have the name same" in caplog.text)
    assert (await ask(gateway, call())).media_type == "new"


async def test_a_host_needs_a_name_that_can_be_one(ends: Ends) -> None:
    with pytest.raises(ValueError, match="a host's name"):
        await ends.host(EchoHost(), "../h")


async def test_a_gateway_that_comes_later_hears_of_hosts_at_once(ends: Ends) -> None:
    await ends.host(EchoHost("h"))
    for _ in range(3):
        gateway = await ends.gateway()
        await gateway.ready()
        assert (await ask(gateway, call())).media_type == "h"
