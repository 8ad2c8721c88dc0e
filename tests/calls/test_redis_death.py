"""Given calls in flight, when a host, a gateway or a connection dies, then nobody waits for what will not come."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from calls.broker import ask
from calls.call import Call, Outcome, Reply
from calls.redis.reading import read_host_beat
from tests.calls.conftest import Ends
from tests.calls.ends import EchoHost, PatientHost, bounds, call, submit
from tests.calls.redis_server import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.needs("redis")

ROOT = Path(__file__).resolve().parents[2]
Process = asyncio.subprocess.Process
Start = Callable[..., Coroutine[Any, Any, Process]]


@pytest.fixture
async def start(redis: RedisServer) -> AsyncIterator[Start]:
    """Starts tests.calls.redis_peer with these arguments after the URL."""
    started: list[Process] = []

    async def start(kind: str, *arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.calls.redis_peer",
            kind,
            redis.url,
            *arguments,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    """The next line of its output."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


def far(**changes: Any) -> Call:
    """A call whose deadline is too far away to play a part."""
    return call(**{"limit": 30, "deadline": call().deadline + 20} | changes)


async def test_calls_of_a_killed_host_are_answered_long_before_their_deadline(ends: Ends, start: Start) -> None:
    host = await start("host")
    gateway = await ends.gateway()
    await gateway.ready()
    answers = [submit(gateway, far()) for _ in range(3)]
    for _ in answers:
        await line(host)
    host.kill()
    async with asyncio.timeout(10):
        replies = await asyncio.gather(*answers)
    assert {(reply.outcome, reply.payload) for reply in replies} == {(Outcome.DIED, b"the runner host died")}
    assert gateway.unanswered == 0


async def test_calls_of_a_restarted_host_are_answered_when_it_comes_back(ends: Ends) -> None:
    lost = PatientHost()
    await ends.host(lost)
    gateway = await ends.gateway()
    await gateway.ready()
    answer = submit(gateway, far())
    await lost.has(1)
    await ends.host(EchoHost("again"))  # the first one still says that it lives
    reply = await answer
    assert (reply.outcome, reply.payload) == (Outcome.DIED, b"the runner host was restarted")
    lost.answer()
    assert (await ask(gateway, call())).media_type == "again"


async def test_waiting_calls_of_a_killed_gateway_are_not_run(
    ends: Ends, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=2))  # one call of an owner at once
    killed = await start("gateway", "5")
    await host.has(1)
    assert await line(killed) == "sent"
    killed.kill()
    await until(lambda: "died" in caplog.text)
    gateway = await ends.gateway()
    await gateway.ready()
    one = call()
    submit(gateway, one)
    host.answer()
    await host.has(2)
    assert host.accepted[1][0] == one


async def test_a_gateway_that_was_only_suspended_is_told_what_became_of_its_calls(
    ends: Ends, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    host = PatientHost()
    await ends.host(host, limits=bounds(slots=2))
    suspended = await start("gateway", "3")
    await host.has(1)
    assert await line(suspended) == "sent"
    os.kill(suspended.pid, signal.SIGSTOP)
    await until(lambda: "died" in caplog.text)
    host.answer()
    os.kill(suspended.pid, signal.SIGCONT)
    assert sorted([await line(suspended) for _ in range(3)]) == ["DIED", "UNAVAILABLE", "UNAVAILABLE"]


async def test_waiting_calls_of_a_gateway_that_leaves_are_not_run(ends: Ends) -> None:
    host = PatientHost()
    attached = await ends.host(host, limits=bounds(slots=2))
    leaving, staying = await ends.gateway(), await ends.gateway()
    await leaving.ready()
    await staying.ready()
    first, *waiting = [submit(leaving, call()) for _ in range(3)]
    await host.has(1)
    await leaving.close()
    assert {(await answer).outcome for answer in (first, *waiting)} == {Outcome.DIED}
    await until(lambda: read_host_beat(attached.sign()).load == 1)
    host.answer()
    one = call()
    submit(staying, one)
    await host.has(2)
    assert host.accepted[1][0] == one


async def test_calls_in_flight_are_answered_when_connections_break(ends: Ends, redis: RedisServer) -> None:
    host = PatientHost()
    await ends.host(host)
    gateway = await ends.gateway()
    await gateway.ready()
    answer = submit(gateway, far())
    await host.has(1)
    with redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub", skipme=True)
    assert (await answer).outcome is Outcome.DIED
    host.answer()  # to nobody
    await until(lambda: gateway.problem is None)
    again = submit(gateway, far())
    await host.has(2)
    host.answer(1, b"2")
    assert await again == Reply(call=host.accepted[1][0].id, outcome=Outcome.VALUE, payload=b"2")
