"""Given calls that take a credential, when one comes with a key of a tenant, then it is served for that tenant alone."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
import pytest_asyncio

from gateway import api_keys
from gateway.api_keys import Scope
from gateway.tenant_keys import digest, new_key
from store.contract import Status, TenantChange
from tests.calls.redis_server import RedisServer
from tests.gateway.control_server import KEY
from tests.tokens.gateways import ADA, BOB, Answered, Gateway, Gateways

pytestmark = [pytest.mark.needs("redis"), pytest.mark.asyncio(loop_scope="module")]
HELLO = f"/rest/services/{ADA}/hello-world/"
BOBS = HELLO.replace(ADA, BOB)
ADMINS = "/rest/services/hello-world/"


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running_plane: Gateways) -> Gateways:
    """Without API keys, and nothing ran."""
    await running_plane.require("all")
    await running_plane.store.change_tenant(ADA, TenantChange(api_keys=""))
    running_plane.runs.owners.clear()
    return running_plane


async def make(plane: Gateways, *scopes: Scope, expires: float | None = None) -> str:
    """A key of Ada's."""
    made = await api_keys.make(plane.store, ADA, "test", scopes or (Scope.CALL,), expires)
    assert made is not None
    return made[0]


async def send(gateway: Gateway, key: str, target: str = HELLO, method: str = "GET") -> Answered:
    return await gateway.send(method, target, lines=(b"Authorization: Bearer " + key.encode("latin-1"),))


async def test_a_key_lets_every_call_of_its_tenant_through(plane: Gateways) -> None:
    key = await make(plane)
    directory = f"/rest/services/{ADA}/__dir__/"
    for gateway in (*plane.both, *plane.both):
        for target in (HELLO, HELLO + "?a=1", directory):
            answer = await send(gateway, key, target)
            assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert (await send(gateway, key, method="PUT")).status == 200
        assert (await send(gateway, key, HELLO.replace("hello-world", "nothing"))).status == 404
    assert plane.runs.owners == [ADA] * 12


async def test_the_scope_and_the_first_key(plane: Gateways) -> None:
    first = new_key(ADA)
    await plane.store.change_tenant(ADA, TenantChange(key=digest(first)))
    for key in (first, await make(plane, Scope.MANAGE), await make(plane, Scope.CALL, Scope.DEPLOY)):
        assert (await send(plane.one, key)).status == 200
    refused = await send(plane.one, await make(plane, Scope.DEPLOY))
    assert (refused.status, refused.body) == (403, b'{"status":"this takes a key with the scope call"}')
    assert len(plane.runs.owners) == 3


async def test_h6_another_tenant_and_the_admin(plane: Gateways) -> None:
    key = await make(plane, Scope.MANAGE)
    forged = key.replace(ADA.replace("-", ""), BOB.replace("-", ""))
    for target in (BOBS, ADMINS):
        for sent in (key, forged):
            assert (await send(plane.one, sent, target)).status == 401
    assert (await send(plane.one, KEY, ADMINS)).status == 401, "the admin's key is the control plane's"
    assert (await send(plane.one, KEY)).status == 401
    assert plane.runs.owners == []


async def test_e11_whatever_is_wrong_the_answer_is_the_same(plane: Gateways) -> None:
    good = await make(plane)
    ended = await make(plane, Scope.MANAGE, expires=time.time() - 1)
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    unknown = good[:37] + "0" * 16 + good[53:]
    wrong = [ended, flipped, unknown, good[:-1], good + "A", good.replace("pba", "pbt"), "x", "", "A" * 8000, "\xff"]
    answers = [await send(plane.one, key) for key in wrong] + [await plane.one.send("GET", HELLO)]
    answers.append(await send(plane.one, await make(plane), BOBS))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Token"}
    assert {frozenset(answer.headers) for answer in answers} == {frozenset(answers[0].headers)}
    assert plane.runs.owners == []


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: %s",
        b"Authorization: Token %s",
        b"Authorization: Basic %s",
        b"Authorization: Bearer  %s",
        b"Authorization: Bearer\t%s",
        b"Authorization: Bearer %s, Bearer %s",
        b"Authorization: Bearer %s\r\nAuthorization: Bearer %s",
        b"Authorization: Bearer %s\r\nauthorization: Token x",
        b"Authorization: Bearer \x00%s",
        b"X-Authorization: Bearer %s",
        b"Proxy-Authorization: Bearer %s",
        b"X-Api-Key: %s",
        b"Cookie: Authorization=%s",
    ],
)
async def test_h14_other_ways_to_send_it(plane: Gateways, line: bytes) -> None:
    key = await make(plane)
    given = line.replace(b"%s", key.encode())
    assert (await plane.one.send("GET", HELLO, lines=(given,))).status in (400, 401)
    assert (await plane.one.send("GET", f"{HELLO}?key={key}")).status == 401
    assert plane.runs.owners == []


async def test_revoked_it_lets_nothing_through(plane: Gateways) -> None:
    key = await make(plane)
    stopped = asyncio.Event()
    late: list[int] = []

    async def client(number: int) -> None:
        while True:
            after = stopped.is_set()
            status = (await send(plane.both[number % 2], key)).status
            if after:
                late.append(status)
                return
            assert status in (200, 401)

    clients = [asyncio.create_task(client(number)) for number in range(10)]
    while len(plane.runs.owners) < 20:
        await asyncio.sleep(0)
    assert await api_keys.revoke(plane.store, ADA, key[37:53])
    stopped.set()
    await asyncio.gather(*clients)
    assert late == [401] * 10


async def test_h17_a_tenant_disabled_since(plane: Gateways) -> None:
    key = await make(plane)
    await plane.store.change_tenant(ADA, TenantChange(status=Status.DISABLED))
    assert (await send(plane.one, key)).status == 403
    await plane.store.change_tenant(ADA, TenantChange(status=Status.ENABLED))
    assert (await send(plane.one, key)).status == 200


async def test_h18_where_none_is_required_none_is_looked_at(plane: Gateways) -> None:
    key = await make(plane)
    await plane.require("none")
    assert [(await send(plane.one, sent)).status for sent in (key, "x")] == [200, 200]
    await plane.require("tenants")
    assert [(await send(plane.one, sent)).status for sent in (key, "x")] == [200, 401]
    assert (await send(plane.one, key, ADMINS)).status == 200


async def test_h9_a_key_needs_no_redis_and_a_token_does(plane: Gateways, redis: RedisServer) -> None:
    """The last test: it leaves Redis as it was, but not its clients."""
    key = await make(plane)
    redis.signal(signal.SIGSTOP)
    try:
        assert (await send(plane.one, key)).status == 200
        assert (await send(plane.one, key + "A")).status == 401
        assert (await plane.one.send("GET", HELLO, plane.mint(HELLO))).status == 503
    finally:
        redis.signal(signal.SIGCONT)
