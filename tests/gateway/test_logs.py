"""Given calls that print, when their owner reads the log, then it is bounded, attributed and harmless."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.log_ring import RECORD_BYTES
from gateway.logs import (
    FOLLOWER_RECORDS,
    MAX_FOLLOWERS,
    MAX_TENANT_FOLLOWERS,
    MAX_TENANTS_FOLLOWERS,
    CallLogs,
    Follower,
    TooManyFollowers,
)
from tests.gateway.control_server import ADMIN, TENANT, Plane, lines, problems, serving


def add(logs: CallLogs, output: bytes, call: str = "a", owner: str = ADMIN, module: str = "hello") -> None:
    """One call printed this."""
    logs.add(
        time=1.0,
        call=call,
        owner=owner,
        module=module,
        api="x",
        outcome="VALUE",
        status=200,
        output=output,
        truncated=False,
        run_ms=1.0,
    )


def texts(logs: CallLogs, **wanted: Any) -> list[str]:
    """The texts selected."""
    return [record.text for record in logs.select(ADMIN, **wanted)]


async def read(follower: Follower, count: int) -> list[tuple[str, int]]:
    """The next records of a follower, each with how many were missed before it."""
    found: list[tuple[str, int]] = []
    async for record, missed in follower:
        found.append((record.text, missed))
        if len(found) == count:
            break
    return found


def test_the_newest_first() -> None:
    logs = CallLogs(10_000)
    for number in range(5):
        add(logs, str(number).encode())
    assert texts(logs) == ["4", "3", "2", "1", "0"]
    assert texts(logs, limit=2) == ["4", "3"]
    assert texts(logs, limit=2, before=logs.select(ADMIN, limit=2)[-1].number) == ["2", "1"]


def test_by_owner_module_and_call() -> None:
    logs = CallLogs(10_000)
    add(logs, b"mine", call="a")
    add(logs, b"other module", call="b", module="other")
    add(logs, b"stranger's", call="c", owner=TENANT)
    assert texts(logs) == ["other module", "mine"]
    assert texts(logs, module="hello") == ["mine"]
    assert texts(logs, call="b") == ["other module"]
    assert texts(logs, call="b", module="hello") == []
    assert texts(logs, call="c") == []
    assert texts(logs, call="d") == []


def test_the_oldest_go_first_and_the_bound_holds() -> None:
    bound = 10 * RECORD_BYTES
    logs = CallLogs(bound)
    for number in range(100):
        add(logs, b"x" * 500, call=f"{number}")
        assert logs.bytes_kept <= bound
    kept = [record.call for record in logs.select(ADMIN)]
    assert kept == ["99", "98", "97", "96", "95"]
    assert texts(logs, call="94") == []


def test_who_prints_much_displaces_nobody_who_prints_little() -> None:
    logs = CallLogs(30 * RECORD_BYTES)
    for number in range(3):
        add(logs, b"", call=f"mine {number}")
        add(logs, b"", call=f"other {number}", owner="other")
    for number in range(20_000):
        add(logs, b"", call=f"flood {number}", owner=TENANT)
        assert logs.bytes_kept <= 30 * RECORD_BYTES
    assert [record.call for record in logs.select(ADMIN)] == ["mine 2", "mine 1", "mine 0"]
    assert [record.call for record in logs.select("other")] == ["other 2", "other 1", "other 0"]
    assert [record.call for record in logs.select(TENANT)] == [
        f"flood {number}" for number in range(19_999, 19_975, -1)
    ]
    for number in range(40):
        add(logs, b"", call=f"late {number}")
    kept = [len(logs.select(owner)) for owner in (ADMIN, TENANT, "other")]
    assert sum(kept) == 30
    assert min(kept[:2]) >= 10


def test_a_record_larger_than_everything_is_not_kept() -> None:
    logs = CallLogs(1000)
    add(logs, b"small")
    add(logs, b"x" * 2000)
    assert (texts(logs), logs.bytes_kept) == ([], 0)


def test_empty_records_count_too() -> None:
    logs = CallLogs(10 * RECORD_BYTES)
    for _ in range(100):
        add(logs, b"")
    assert len(logs.select(ADMIN)) == 10


def test_what_is_not_utf_8_is_replaced() -> None:
    logs = CallLogs(10_000)
    add(logs, b"a\xff\xc3b")
    assert texts(logs) == ["a\ufffd\ufffdb"]


async def test_following_begins_with_the_last_ones() -> None:
    logs = CallLogs(100_000)
    for number in range(5):
        add(logs, str(number).encode())
    follower = logs.follow(ADMIN, last=2)
    add(logs, b"5")
    add(logs, b"stranger's", owner=TENANT)
    add(logs, b"6")
    assert await read(follower, 4) == [("3", 0), ("4", 0), ("5", 0), ("6", 0)]


async def test_following_one_module_waits_for_it() -> None:
    logs = CallLogs(100_000)
    follower = logs.follow(ADMIN, "hello")
    reading = asyncio.create_task(read(follower, 1))
    await asyncio.sleep(0)
    add(logs, b"no", module="other")
    add(logs, b"yes")
    assert await reading == [("yes", 0)]


async def test_a_slow_follower_is_told_what_it_missed() -> None:
    logs = CallLogs(10_000_000)
    follower = logs.follow(ADMIN)
    for number in range(FOLLOWER_RECORDS + 7):
        add(logs, str(number).encode())
    assert await read(follower, 2) == [("7", 7), ("8", 0)]


async def test_a_slow_follower_is_bounded_in_bytes() -> None:
    logs = CallLogs(10_000_000)
    follower = logs.follow(ADMIN)
    for number in range(10):
        add(logs, bytes([65 + number]) * 1024 * 1024)
    ((text, missed),) = await read(follower, 1)
    assert (text[0], missed) == ("J", 9)


async def test_following_ends_when_the_platform_stops() -> None:
    logs = CallLogs(100_000)
    follower = logs.follow(ADMIN)
    add(logs, b"last")
    logs.end()
    assert [record.text async for record, _ in follower] == ["last"]
    assert [record.text async for record, _ in logs.follow(ADMIN, last=5)] == ["last"]


async def test_followers_are_bounded_and_forgotten() -> None:
    logs = CallLogs(100_000)
    followers = [logs.follow(ADMIN) for _ in range(MAX_FOLLOWERS)]
    with pytest.raises(TooManyFollowers):
        logs.follow(ADMIN)
    followers[0].close()
    followers[0].close()
    logs.follow(ADMIN)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with serving(tmp_path) as plane:
        yield plane


HOSTILE = b'\r\n{"level":"INFO","tenant":"B"}\x1b[2J\xe2\x80\xa8\x00\xff\xc2\x9b31m\x7f'


async def test_hostile_output_is_one_escaped_record(plane: Plane) -> None:
    plane.printed(HOSTILE)
    response = await plane.client.get("/api/logs")
    (record,) = response.json()["records"]
    assert record == {
        "number": 1,
        "time": 1_700_000_000.0,
        "call": "a" * 32,
        "owner": ADMIN,
        "module": "hello",
        "api": "hello-world",
        "outcome": "VALUE",
        "status": 200,
        "text": '\r\n{"level":"INFO","tenant":"B"}\x1b[2J\u2028\x00\ufffd\x9b31m\x7f',
        "truncated": False,
        "run_ms": 1.5,
        "missed": 0,
    }
    assert all(32 <= byte < 127 for byte in response.content)


async def test_pages_of_the_log(plane: Plane) -> None:
    for number in range(5):
        plane.printed(b"%d" % number)
    plane.printed(b"stranger's", owner=TENANT)
    first = await plane.json("GET", "/api/logs?limit=3")
    second = await plane.json("GET", f"/api/logs?limit=3&cursor={first['next']}")
    assert [record["text"] for page in (first, second) for record in page["records"]] == ["4", "3", "2", "1", "0"]
    assert second["next"] is None


async def test_the_log_of_a_call(plane: Plane) -> None:
    plane.printed(b"one", call="1" * 32)
    plane.printed(b"two", call="2" * 32, module="other")
    assert [one["text"] for one in (await plane.json("GET", f"/api/logs?call={'1' * 32}"))["records"]] == ["one"]
    assert [one["text"] for one in (await plane.json("GET", "/api/logs?module=other"))["records"]] == ["two"]
    for odd in ("1", "A" * 32, "..", "1" * 33, "%2e%2e"):
        assert list(problems(await plane.json("GET", f"/api/logs?call={odd}", 422))) == ["call"]


async def test_following_over_http(plane: Plane) -> None:
    plane.printed(b"before")
    async with plane.client.stream("GET", "/api/logs?follow=true&limit=1") as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        stream = response.aiter_lines()
        assert json.loads(await anext(stream))["text"] == "before"
        plane.printed(HOSTILE)
        assert json.loads(await anext(stream))["text"].startswith('\r\n{"level"')
        plane.printed(b"last")
        plane.services.logs.end()
        rest = [json.loads(line)["text"] async for line in stream]
    assert rest == ["last"]


async def test_a_reader_that_leaves_is_forgotten(plane: Plane) -> None:
    for _ in range(MAX_FOLLOWERS + 1):
        async with plane.client.stream("GET", "/api/logs?follow=true") as response:
            assert response.status_code == 200


async def test_too_many_readers(plane: Plane) -> None:
    followers = [plane.services.logs.follow(ADMIN) for _ in range(MAX_FOLLOWERS)]
    response = await plane.client.get("/api/logs?follow=true")
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
    assert list(problems(response.json())) == ["follow"]
    followers[0].close()
    plane.services.logs.end()
    assert lines((await plane.client.get("/api/logs?follow=true")).content) == []


@pytest.mark.parametrize("other", ["cursor=3", f"call={'a' * 32}"])
async def test_following_the_past_makes_no_sense(plane: Plane, other: str) -> None:
    assert list(problems(await plane.json("GET", f"/api/logs?follow=true&{other}", 422))) == [other.split("=")[0]]


async def test_tenants_leave_readers_to_others() -> None:
    logs = CallLogs(10_000)
    one = [logs.follow("one", tenant=True) for _ in range(MAX_TENANT_FOLLOWERS)]
    with pytest.raises(TooManyFollowers, match="of this tenant"):
        logs.follow("one", tenant=True)
    for number in range(MAX_TENANTS_FOLLOWERS - MAX_TENANT_FOLLOWERS):
        logs.follow(f"another {number}", tenant=True)
    with pytest.raises(TooManyFollowers):
        logs.follow("late", tenant=True)
    for _ in range(MAX_FOLLOWERS - MAX_TENANTS_FOLLOWERS):
        logs.follow(ADMIN)
    one[0].close()
    logs.follow(ADMIN)
