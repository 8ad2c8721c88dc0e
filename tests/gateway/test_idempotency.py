"""Given requests with an Idempotency-Key at two gateways, when they are sent again, then each is carried out once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from calls.call import Outcome
from gateway import api_keys
from gateway.api_keys import Scope
from gateway.bad_request import BadRequest
from gateway.kept.idempotency import key_of
from store.contract import TenantChange
from tests.tokens.gateways import ADA, BOB, Answered, Gateway, Gateways
from tests.waiting import until

pytestmark = [pytest.mark.needs("redis"), pytest.mark.asyncio(loop_scope="module")]
HELLO = f"/rest/services/{ADA}/hello-world/"
KEY = b"Idempotency-Key: one-and-the-same"
JSON = b"Content-Type: application/json"
LATER = b"Prefer: respond-async"


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running_plane: Gateways) -> AsyncIterator[Gateways]:
    """That requires nothing; nothing ran."""
    await running_plane.require("none")
    running_plane.runs.owners.clear()
    yield running_plane
    running_plane.runs.waits = False
    running_plane.runs.answer()
    for owner in (ADA, BOB):
        await running_plane.both[1].kept.forget_owner(owner)
        await running_plane.store.change_tenant(owner, TenantChange(plan="free"))


async def put(
    gateway: Gateway, *lines: bytes, target: str = HELLO, body: bytes = b'{"a": 1}', token: str | None = None
) -> Answered:
    """What a PUT with the key is answered."""
    return await gateway.send("PUT", target, token, lines=(KEY, JSON, *lines), body=body)


async def test_a_request_that_is_sent_again_is_answered_as_before(plane: Gateways) -> None:
    first = await put(plane.one)
    assert (first.status, "idempotency-replayed" in first.headers) == (200, False)
    for gateway in (*plane.both, *plane.both):
        again = await put(gateway)
        assert (again.status, again.body, again.headers["idempotency-replayed"]) == (200, first.body, "true")
        assert again.headers["x-call-id"] == first.headers["x-call-id"]
        assert again.headers["content-type"] == first.headers["content-type"]
    quoted = await plane.one.send("PUT", HELLO, lines=(b'Idempotency-Key: "one-and-the-same"', JSON), body=b'{"a": 1}')
    assert quoted.headers["idempotency-replayed"] == "true"
    assert plane.runs.owners == [ADA]


async def test_of_many_at_once_one_is_carried_out(plane: Gateways) -> None:
    plane.runs.waits = True
    sent = [asyncio.create_task(put(plane.both[number % 2])) for number in range(10)]
    done: set[asyncio.Task[Answered]] = set()
    while len(done) < 9:
        done, _ = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    assert {(task.result().status, task.result().headers["retry-after"]) for task in done} == {(409, "1")}
    plane.runs.waits = False
    plane.runs.answer()
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status for answer in answers) == [200, *[409] * 9]
    assert plane.runs.owners == [ADA]


async def test_e9_another_request_with_the_key_is_refused(plane: Gateways) -> None:
    first = await put(plane.one)
    others = [
        await put(plane.one, body=b'{"a": 2}'),
        await put(plane.one, target=f"{HELLO}?a=1"),
        await put(plane.one, target=HELLO.replace("hello-world", "hello/hello-world")),
        await plane.one.send("POST", HELLO.replace("hello-world", "add"), lines=(KEY, JSON), body=b'{"a": 1}'),
        await plane.one.send("PUT", HELLO, lines=(KEY, b"Content-Type: application/x+json"), body=b'{"a": 1}'),
    ]
    assert {other.status for other in others} == {422}
    assert first.body not in [other.body for other in others]
    assert plane.runs.owners == [ADA]


async def test_e9_neither_another_owner_nor_another_credential_is_given_an_answer(plane: Gateways) -> None:
    await put(plane.one)
    ways: list[tuple[bytes, ...]] = [
        (b"Authorization: Bearer a",),
        (b"Authorization: Bearer b",),
        (b"Authorization: Token a",),
        (b"Cookie: session=a",),
        (b"Cookie: session=b",),
        (b"Cookie: session=a", b"Authorization: Bearer a"),
    ]
    for number, lines in enumerate(ways):
        for gateway, replayed in zip(plane.both, (False, True), strict=True):
            assert ("idempotency-replayed" in (await put(gateway, *lines)).headers) == replayed
        assert len(plane.runs.owners) == number + 2
    for target in (HELLO.replace(ADA, BOB), "/rest/services/hello-world/"):
        assert "idempotency-replayed" not in (await put(plane.one, target=target)).headers
    assert plane.runs.owners[-2] == BOB


async def test_where_credentials_are_taken_each_has_keys_of_its_own(plane: Gateways) -> None:
    await plane.require("tenants")
    replayed = []
    for _ in range(2):
        answer = await put(plane.one, token=plane.mint(HELLO, "PUT"))
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        replayed.append("idempotency-replayed" in answer.headers)
    for name in ("one", "other"):
        made = await api_keys.make(plane.store, ADA, name, (Scope.CALL,), None)
        assert made is not None
        for gateway in plane.both:
            answer = await put(gateway, b"Authorization: Bearer " + made[0].encode())
            assert answer.status == 200
            replayed.append("idempotency-replayed" in answer.headers)
    plane.tokens[ADA], _ = await plane.one.keys.make(ADA)
    answer = await put(plane.one, token=plane.mint(HELLO, "PUT"))
    replayed.append("idempotency-replayed" in answer.headers)
    assert replayed == [False, True] * 3 + [False]
    assert (await put(plane.one)).status == 401


async def test_what_was_not_run_can_be_sent_again_and_what_may_have_run_cannot(plane: Gateways) -> None:
    plane.runs.outcomes = [Outcome.UNAVAILABLE, Outcome.OVER_LIMIT, Outcome.DIED]
    assert [(await put(plane.one)).status for _ in range(4)] == [503, 429, 502, 502]
    assert len(plane.runs.owners) == 3


async def test_what_is_accepted_for_later_is_accepted_once(plane: Gateways) -> None:
    first, again = await put(plane.one, LATER), await put(plane.both[1], LATER)
    assert (first.status, again.status) == (202, 202)
    assert again.headers["location"] == first.headers["location"]
    assert json.loads(again.body) == json.loads(first.body)
    await until(lambda: plane.runs.owners)
    assert plane.runs.owners == [ADA]


async def test_methods_that_change_nothing_know_no_keys(plane: Gateways) -> None:
    for _ in range(2):
        assert (await plane.one.send("GET", HELLO, lines=(KEY, KEY))).status == 200
    assert len(plane.runs.owners) == 2


async def test_i26_answers_under_keys_are_bounded_by_the_plan(plane: Gateways) -> None:
    await plane.store.change_tenant(ADA, TenantChange(plan="none"))
    assert (await put(plane.one)).status == 403
    await plane.store.change_tenant(ADA, TenantChange(plan="few"))
    for number in range(5):
        assert (await plane.one.send("PUT", HELLO, lines=(b"Idempotency-Key: %d" % number,))).status == 200
    replayed = [
        "idempotency-replayed" in (await plane.one.send("PUT", HELLO, lines=(b"Idempotency-Key: %d" % number,))).headers
        for number in (4, 3, 2)
    ]
    assert replayed == [True, True, False]


@pytest.mark.parametrize("key", [b"x", b"x" * 255, b"a:b\\c", b"8e03978e-40d5-43dd-bc93-6894a57f9324", b"a,b"])
async def test_a_bare_key(key: bytes) -> None:
    assert key_of([key]) == key
    assert key_of([b'"' + key.replace(b"\\", b"\\\\") + b'"']) == key


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b'""'],
        [b"x" * 256],
        [b'"' + b"x" * 256 + b'"'],
        [b'"x'],
        [b'"x";a=b'],
        [b'"x" y'],
        [b'"\\x"'],
        [b"\xc3\xa9"],
        [b"a b"],
        [b"a\tb"],
        [b"x", b"x"],
    ],
)
async def test_i26_what_is_no_key_is_refused(plane: Gateways, values: list[bytes]) -> None:
    with pytest.raises(BadRequest, match="Idempotency-Key"):
        key_of(values)
    lines = tuple(b"Idempotency-Key: " + value for value in values)
    assert (await plane.one.send("PUT", HELLO, lines=lines)).status == 400
    assert plane.runs.owners == []


async def test_while_nothing_can_be_kept_nothing_is_run_with_a_key(plane: Gateways) -> None:
    """The last test: its gateway keeps nothing any more."""
    await plane.one.kept.close()
    assert (await put(plane.one)).status == 503
    assert (await plane.one.send("PUT", HELLO)).status == 200
    assert plane.runs.owners == [ADA]
