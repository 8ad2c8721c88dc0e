"""Section H of the attacks: what a token lets through, over two gateways that share a Redis."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from plugbay_client.token import TokenKey
from store.contract import Status, TenantChange
from tests.calls.redis_server import RedisServer, running
from tests.gateway.control_server import ADMIN
from tests.tokens.gateways import ADA, BOB, Gateways, gateways, long_ago
from tests.tokens.test_ledger_contract import begun
from tokens.opening import SKEW_SECS

pytestmark = [pytest.mark.needs("redis"), pytest.mark.asyncio(loop_scope="module")]
HELLO = f"/rest/services/{ADA}/hello-world/"
LIFE_SECS = 30


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateways]:
    async with gateways(tmp_path_factory.mktemp("store"), redis) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_ran(plane: Gateways) -> None:
    plane.runs.owners.clear()


async def test_a_token_lets_its_request_through(plane: Gateways) -> None:
    answer = await plane.one.send("GET", HELLO, plane.mint(HELLO))
    assert (answer.status, answer.body) == (200, b'{"status":"OK","response":{"hello-world":"ran"}}')
    assert answer.headers["cache-control"] == "no-store"


async def test_h1_replay(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    assert (await plane.one.send("GET", HELLO, token)).status == 200
    for gateway in (*plane.both, *plane.both):
        assert (await gateway.send("GET", HELLO, token)).status == 401
    assert plane.runs.owners == [ADA]


async def test_h2_a_hundred_at_once_over_two_gateways(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    answers = await asyncio.gather(*(plane.both[number % 2].send("GET", HELLO, token) for number in range(100)))
    assert sorted(answer.status for answer in answers) == [200] + 99 * [401]
    assert plane.runs.owners == [ADA]


@pytest.mark.parametrize(
    ("age", "status"), [(LIFE_SECS + 1, 401), (-SKEW_SECS - 1, 401), (-SKEW_SECS + 1, 200), (LIFE_SECS - 2, 200)]
)
async def test_h3_too_old_and_from_the_future(plane: Gateways, age: float, status: int) -> None:
    assert (await plane.one.send("GET", HELLO, plane.mint(HELLO, age=age))).status == status


async def test_h4_changed_in_any_way(plane: Gateways) -> None:
    """Every bit and every cut are tried in test_format.py; here is a sample over HTTP."""
    token = plane.mint(HELLO)
    changed = [token[:-1], token[1:], token + "A", token + "=", token.lower(), token.swapcase(), token * 2]
    changed += [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, 92, 3)]
    for other in changed:
        assert (await plane.one.send("GET", HELLO, other)).status == 401, other
    assert (await plane.one.send("GET", HELLO, token)).status == 200, "and none of these has used it up"


async def test_h6_another_tenant(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    bobs = HELLO.replace(ADA, BOB)
    assert (await plane.one.send("GET", bobs, token)).status == 401
    assert (await plane.one.send("GET", "/rest/services/hello-world/", token)).status == 401
    forged = plane.mint(bobs, owner=ADA)
    assert (await plane.one.send("GET", bobs, forged)).status == 401
    assert plane.runs.owners == []
    assert (await plane.one.send("GET", HELLO, token)).status == 200


@pytest.mark.parametrize(
    ("method", "target", "lines"),
    [
        ("HEAD", HELLO, ()),
        ("PUT", HELLO, ()),
        ("GET", HELLO[:-1], ()),
        ("GET", HELLO + "?", (b"X-HTTP-Method-Override: PUT",)),
        ("GET", HELLO + "?a=1", ()),
        ("GET", HELLO.replace("hello-world", "hello/hello-world"), ()),
        ("GET", HELLO.replace("hello-world", "v1/hello-world"), ()),
        ("GET", HELLO.replace("hello-world", "Hello-world"), ()),
        ("GET", HELLO + "parm/", ()),
        ("GET", f"/rest/services/{ADA}/__dir__/", ()),
    ],
)
async def test_h7_another_request(plane: Gateways, method: str, target: str, lines: tuple[bytes, ...]) -> None:
    token = plane.mint(HELLO)
    answer = await plane.one.send(method, target, token, lines=lines)
    if target == HELLO + "?":  # an empty query is none, and headers are not bound
        assert answer.status == 200
        assert plane.runs.owners == [ADA]
    else:
        assert answer.status == 401
        assert (await plane.one.send("GET", HELLO, token)).status == 200, "it was not used up"


async def test_h7_a_head_takes_a_token_for_head(plane: Gateways) -> None:
    assert (await plane.one.send("HEAD", HELLO, plane.mint(HELLO, "HEAD"))).status == 200


async def test_h7_a_path_with_escapes_is_no_path(plane: Gateways) -> None:
    other = HELLO.replace("hello", "%68ello")
    assert (await plane.one.send("GET", other, plane.mint(other))).status == 400


async def test_h7_a_query_is_bound_as_it_was_sent(plane: Gateways) -> None:
    target = HELLO + "?name=Ada%20L&x=%2f"
    for other in (
        target.replace("%2f", "%2F"),
        target.replace("%20", "+"),
        target + "&",
        HELLO + "?x=%2f&name=Ada%20L",
    ):
        assert (await plane.one.send("GET", other, plane.mint(target))).status == 401
    assert (await plane.one.send("GET", target, plane.mint(target))).status == 200


async def test_h8_whatever_is_wrong_the_answer_is_the_same(plane: Gateways) -> None:
    used = plane.mint(HELLO)
    await plane.one.send("GET", HELLO, used)
    stranger = TokenKey.new()
    plane.tokens["stranger"] = stranger
    good = plane.mint(HELLO)
    wrong: list[str | None] = [
        None,
        "",
        used,
        plane.mint(HELLO, age=31),
        plane.mint(HELLO, age=-10),
        plane.mint(HELLO + "x"),
        "AgEC" + good[4:],
        good[:38] + 54 * "A",
        good[:70] + 22 * "A",
        "A" * 92,
    ]
    answers = [await plane.one.send("GET", HELLO, token) for token in wrong]
    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Token"}
    assert len({answer.body for answer in answers}) == 1
    assert {frozenset(answer.headers) for answer in answers} == {frozenset(answers[0].headers)}


async def test_h8_keys_are_replaced_one_after_the_other(plane: Gateways) -> None:
    first = plane.tokens[BOB]
    second, _ = await plane.one.keys.make(BOB)
    target = HELLO.replace(ADA, BOB)

    async def is_good(key: TokenKey) -> bool:
        plane.tokens[BOB] = key
        statuses = {(await gateway.send("GET", target, plane.mint(target, owner=BOB))).status for gateway in plane.both}
        assert len(statuses) == 1
        return statuses == {200}

    assert await is_good(first)
    assert await is_good(second)
    third, _ = await plane.one.keys.make(BOB)
    assert [await is_good(key) for key in (first, second, third)] == [False, True, True]
    assert await plane.one.keys.retire(BOB, second.id)
    assert [await is_good(key) for key in (first, second, third)] == [False, False, True]


async def test_h9_redis_is_away_or_hangs(plane: Gateways, redis: RedisServer) -> None:
    redis.signal(signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*(plane.one.send("GET", HELLO, plane.mint(HELLO)) for _ in range(10)))
    finally:
        redis.signal(signal.SIGCONT)
    assert {answer.status for answer in answers} == {503}
    assert all(answer.headers["retry-after"] == "1" for answer in answers)
    redis.kill()
    try:
        answers = [await plane.one.send("GET", HELLO, plane.mint(HELLO)) for _ in range(5)]
    finally:
        redis.start()
    assert {answer.status for answer in answers} == {503}
    assert plane.runs.owners == []
    await back(plane, redis)


async def test_h10_restart_and_flush(plane: Gateways, redis: RedisServer) -> None:
    used = plane.mint(HELLO, age=-SKEW_SECS + 0.5)
    assert (await plane.one.send("GET", HELLO, used)).status == 200
    with redis.client() as client:
        client.flushall()
    for gateway in (*plane.both, *plane.both):
        assert (await gateway.send("GET", HELLO, used)).status == 401
    redis.kill()
    redis.start()
    statuses: set[int] = set()
    while statuses != {401}:
        statuses = {(await gateway.send("GET", HELLO, used)).status for gateway in plane.both}
        assert statuses <= {401, 503}
    assert plane.runs.owners == [ADA]
    await back(plane, redis)


async def back(plane: Gateways, redis: RedisServer) -> None:
    """Returns when both gateways take tokens again, as if Redis had been there for long."""
    await begun(redis)
    long_ago(redis)
    for gateway in plane.both:
        while (await gateway.send("GET", HELLO, plane.mint(HELLO))).status != 200:
            long_ago(redis)
    plane.runs.owners.clear()


async def test_h12_a_full_redis(plane: Gateways, redis: RedisServer) -> None:
    used = plane.mint(HELLO)
    assert (await plane.one.send("GET", HELLO, used)).status == 200
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        answers = [await plane.one.send("GET", HELLO, token) for token in (used, plane.mint(HELLO))]
        client.config_set("maxmemory", 0)
    assert {answer.status for answer in answers} <= {401, 503}
    assert plane.runs.owners == [ADA]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization:",
        b"Authorization: ",
        b"Authorization: Token",
        b"Authorization: Token ",
        b"Authorization: Bearer %s",
        b"Authorization: Basic %s",
        b"Authorization: %s",
        b"Authorization: Token  %s",
        b"Authorization: Token\t%s",
        b"Authorization: Token %s, Token %s",
        b"Authorization: Token %s\r\nAuthorization: Token %s",
        b"Authorization: Token %s\r\nauthorization: Bearer x",
        b"Authorization: Token \x00%s",
        b"X-Authorization: Token %s",
        b"Cookie: Authorization=%s",
    ],
)
async def test_h14_other_ways_to_send_it(plane: Gateways, line: bytes) -> None:
    token = plane.mint(HELLO)
    given = line.replace(b"%s", token.encode())
    assert (await plane.one.send("GET", HELLO, lines=(given,))).status in (400, 401)
    assert plane.runs.owners == []
    assert (await plane.one.send("GET", HELLO, token)).status == 200, "it was not used up"


async def test_h14_far_too_long(plane: Gateways) -> None:
    assert (await plane.one.send("GET", HELLO, "A" * 1024 * 1024)).status == 431


async def test_h14_in_the_query_it_is_no_credential(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    assert (await plane.one.send("GET", f"{HELLO}?token={token}")).status == 401
    assert (await plane.one.send("GET", f"{HELLO}?token={token}", token)).status == 401


async def test_h14_the_scheme_may_be_in_any_case(plane: Gateways) -> None:
    line = b"authorization: tOKEN " + plane.mint(HELLO).encode()
    assert (await plane.one.send("GET", HELLO, lines=(line,))).status == 200


async def test_h17_a_tenant_disabled_after_minting(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    await plane.store.change_tenant(ADA, TenantChange(status=Status.DISABLED))
    assert (await plane.one.send("GET", HELLO, token)).status == 403
    await plane.store.change_tenant(ADA, TenantChange(status=Status.ENABLED))
    assert (await plane.one.send("GET", HELLO, token)).status == 200


async def test_h18_required_from_one_call_to_the_next(plane: Gateways) -> None:
    """After the switch is answered, nobody without a token gets through who asked afterwards."""
    await plane.require("none")
    switched = asyncio.Event()
    late: list[int] = []

    async def client(number: int) -> None:
        while True:
            after = switched.is_set()
            answer = await plane.one.send("GET", HELLO)
            if after:
                late.append(answer.status)
                return
            assert answer.status in (200, 401)

    clients = [asyncio.create_task(client(number)) for number in range(20)]
    while len(plane.runs.owners) < 50:
        await asyncio.sleep(0)
    await plane.one.runtime.change({"REQUIRE_TOKENS": "all"})
    switched.set()
    await asyncio.gather(*clients)
    assert late == [401] * 20
    await plane.require("all")


async def test_who_needs_a_token(plane: Gateways) -> None:
    admins = "/rest/services/hello-world/"
    expected = {"none": (200, 200), "tenants": (200, 401), "all": (401, 401)}
    for required, statuses in expected.items():
        await plane.require(required)
        assert tuple([(await plane.one.send("GET", target)).status for target in (admins, HELLO)]) == statuses
    for target in (admins, f"/rest/services/{ADMIN}/hello-world/"):
        token = plane.mint(target, owner=ADMIN)
        assert [(await gateway.send("GET", target, token)).status for gateway in plane.both] == [200, 401]


async def test_a_token_that_nobody_asks_for_is_not_used_up(plane: Gateways) -> None:
    token = plane.mint(HELLO)
    await plane.require("none")
    answer = await plane.one.send("GET", HELLO, token)
    assert answer.status == 200
    assert "cache-control" not in answer.headers
    await plane.require("all")
    assert (await plane.one.send("GET", HELLO, token)).status == 200


async def test_browsers_may_ask_without_a_token(plane: Gateways) -> None:
    lines = (b"Origin: https://shop.example", b"Access-Control-Request-Headers: authorization")
    answer = await plane.one.send("OPTIONS", HELLO, lines=lines)
    assert answer.status == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    refused = await plane.one.send("GET", HELLO)
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_the_directory_takes_a_token_too(plane: Gateways) -> None:
    target = f"/rest/services/{ADA}/__dir__/"
    assert (await plane.one.send("GET", target)).status == 401
    assert (await plane.one.send("GET", target, plane.mint(target))).status == 200


@pytest.mark.parametrize("rest", [b"Expect: 100-continue\r\n\r\n", b"\r\n" + 80_000 * b"x"])
async def test_without_a_token_a_body_is_not_waited_for(plane: Gateways, rest: bytes) -> None:
    """Who has none is told so before his body is there: at once when he asks, else after the first 64 KiB."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.one.port)
    writer.write(b"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n%s" % (HELLO.encode(), rest))
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_there_is_not_told_without_a_token(plane: Gateways) -> None:
    for target in (f"/rest/services/{ADA}/nothing/", f"/rest/services/{ADA}/", "/rest/services/"):
        assert (await plane.one.send("GET", target)).status == 401
        owner = ADA if ADA in target else ADMIN
        assert (await plane.one.send("GET", target, plane.mint(target, owner=owner))).status == 404


async def test_an_owner_without_keys_lets_nobody_in(plane: Gateways, tmp_path: Path) -> None:
    for key in await plane.one.keys.of(BOB):
        await plane.one.keys.retire(BOB, key.id)
    target = HELLO.replace(ADA, BOB)
    assert (await plane.one.send("GET", target, plane.mint(target, owner=BOB))).status == 401


async def test_keys_that_cannot_be_read_let_nobody_in(plane: Gateways) -> None:
    """As when SECRETS_KEY is another one, or the store was tampered with: those of another tenant are no use."""
    ada = await plane.store.tenant(ADA)
    assert ada is not None and ada.token_keys
    target = HELLO.replace(ADA, BOB)
    for sealed in (ada.token_keys, ada.token_keys[:-8], "not sealed"):
        await plane.store.change_tenant(BOB, TenantChange(token_keys=sealed))
        plane.tokens[BOB] = plane.tokens[ADA]
        answer = await plane.one.send("GET", target, plane.mint(target, owner=BOB))
        assert answer.status == 503
    assert plane.runs.owners == []
