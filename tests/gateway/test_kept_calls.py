"""Given calls that nobody waits for at two gateways, when they are accepted, then each has its result, for its owner."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from calls.call import Outcome
from calls.kept import KeptCall
from gateway import api_keys
from gateway.api_keys import Scope
from gateway.kept import consumer
from store.contract import Status, Tenant, TenantChange
from tests.tokens.gateways import ADA, BOB, Answered, Gateway, Gateways
from tests.waiting import until

pytestmark = [pytest.mark.needs("redis"), pytest.mark.asyncio(loop_scope="module")]
HELLO = f"/rest/services/{ADA}/hello-world/"
ADMINS = "/rest/services/hello-world/"
LATER = b"Prefer: respond-async"
NOTHING = (404, b'{"status":"there is no such call, or its time is over"}')


@pytest_asyncio.fixture(loop_scope="module")
async def plane(running_plane: Gateways) -> AsyncIterator[Gateways]:
    """That requires nothing."""
    await running_plane.require("none")
    yield running_plane
    running_plane.runs.waits = False
    running_plane.runs.answer()
    for owner in (ADA, BOB):
        await running_plane.both[1].kept.forget_owner(owner)
        await running_plane.store.change_tenant(owner, TenantChange(plan="free", status=Status.ENABLED))


async def accepted(gateway: Gateway, target: str = HELLO, *lines: bytes) -> str:
    """The place of a result to come."""
    answer = await gateway.send("GET", target, lines=(LATER, *lines))
    assert answer.status == 202, answer.body
    return answer.headers["location"]


async def result(gateway: Gateway, where: str, *lines: bytes) -> Answered:
    """What a call has given."""
    answers: list[Answered] = []

    async def ask() -> bool:
        answers.append(await gateway.send("GET", where, lines=lines))
        return answers[-1].status != 202

    async with asyncio.timeout(30):
        while not await ask():
            pass
    return answers[-1]


async def test_a_result_is_there_at_every_gateway(plane: Gateways) -> None:
    for target in (HELLO, ADMINS):
        where = await accepted(plane.one, target)
        for gateway in (*plane.both, *plane.both):
            found = await result(gateway, where)
            assert (found.status, json.loads(found.body)["response"]) == (200, {"hello-world": "ran"})
            assert found.headers["cache-control"] == "no-store"


async def test_a_gateway_runs_what_another_one_accepted_and_could_not(plane: Gateways) -> None:
    call = KeptCall(
        id="f" * 48,
        owner=ADA,
        call="e" * 32,
        method="GET",
        path=HELLO,
        client="",
        payload=b"",
        size=0,
        accepted=time.time(),
    )
    await plane.one.kept.put(call, 10)  # as one does that dies right after it
    assert (await result(plane.both[1], f"/rest/calls/{call.id}")).status == 200


async def test_what_says_nothing_of_the_function_is_tried_again(
    plane: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BACKOFF_SECS", (0,) * 7)
    monkeypatch.setattr(consumer, "SOON_SECS", 0)
    says_nothing = [Outcome.DIED, Outcome.UNAVAILABLE, *[Outcome.OVER_LIMIT] * 20, *[Outcome.DIED] * 5]
    for outcome, status in ((Outcome.VALUE, 200), (Outcome.RAISED, 500), (Outcome.TIMED_OUT, 504)):
        plane.runs.owners.clear()
        plane.runs.outcomes = [*says_nothing, outcome]
        found = await result(plane.one, await accepted(plane.one))
        assert (found.status, "x-given-up" in found.headers) == (status, False)
        assert len(plane.runs.owners) == len(says_nothing) + 1


async def test_it_is_given_up_after_eight_times(plane: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "BACKOFF_SECS", (0,) * 7)
    plane.runs.owners.clear()
    plane.runs.outcomes = [*[Outcome.UNAVAILABLE] * 7, Outcome.DIED]
    found = await result(plane.one, await accepted(plane.one))
    assert (found.status, found.headers["x-given-up"]) == (502, "8")
    assert len(plane.runs.owners) == 8


async def test_the_place_is_guarded_as_the_function_is(plane: Gateways) -> None:
    where = await accepted(plane.one)
    await result(plane.one, where)
    await plane.require("tenants")
    key, _ = await api_keys.make(plane.store, ADA, "call", (Scope.CALL,), None) or ("", None)
    other, _ = await api_keys.make(plane.store, ADA, "deploy", (Scope.DEPLOY,), None) or ("", None)
    bobs, _ = await api_keys.make(plane.store, BOB, "call", (Scope.CALL,), None) or ("", None)

    async def status(*lines: bytes, token: str | None = None, method: str = "GET") -> int:
        return (await plane.both[1].send(method, where, token, lines=lines)).status

    def bearer(key: str) -> bytes:
        return b"Authorization: Bearer " + key.encode()

    assert await status() == await status(bearer(bobs)) == 401
    assert await status(bearer(other)) == 403
    assert await status(bearer(key)) == 200
    assert await status(token=plane.mint(where, owner=BOB)) == 401
    assert await status(token=plane.mint(HELLO)) == 401
    assert await status(token=plane.mint(where, "DELETE")) == 401
    token = plane.mint(where)
    assert [await status(token=token) for _ in range(2)] == [200, 401]
    assert await status(method="DELETE") == await status(bearer(bobs), method="DELETE") == 401
    assert await status(token=plane.mint(where, "DELETE"), method="DELETE") == 204
    assert await status(bearer(key)) == 404


async def test_a_tenant_that_is_not_served_has_no_results(plane: Gateways) -> None:
    where = await accepted(plane.one)
    await result(plane.one, where)
    await plane.store.change_tenant(ADA, TenantChange(status=Status.DISABLED))
    assert (await plane.one.send("GET", where)).status == 403
    await plane.store.change_tenant(ADA, TenantChange(status=Status.ENABLED))
    assert (await plane.one.send("GET", where)).status == 200


async def test_one_that_was_disabled_meanwhile_is_not_run(plane: Gateways) -> None:
    plane.runs.waits = True
    waits = [await accepted(plane.one) for _ in range(33)]  # more than both gateways run at once
    await until(lambda: len(plane.runs.calls) >= 16)
    await plane.store.change_tenant(ADA, TenantChange(status=Status.DISABLED))
    plane.runs.waits = False
    plane.runs.answer()
    found = await plane.one.kept.find(waits[-1].rpartition("/")[2])
    async with asyncio.timeout(30):
        while found is not None and found.result is None:
            found = await plane.one.kept.find(waits[-1].rpartition("/")[2])
    assert found is not None and found.result is not None
    assert (found.result.status, found.result.body) == (403, b'{"status":"tenant %s is disabled"}' % ADA.encode())


async def test_a_tenant_that_was_removed_leaves_nothing_that_is_shown_or_run(plane: Gateways) -> None:
    gone = "11111111-2222-4333-8444-555555555555"
    await plane.store.add_tenant(Tenant(uuid=gone))
    target = HELLO.replace(ADA, gone)
    done = await accepted(plane.one, target)
    await result(plane.one, done)
    plane.runs.waits = True
    runs = await accepted(plane.one, target)
    await until(lambda: plane.runs.calls)
    await plane.store.remove_tenant(gone)
    for where in (done, runs):
        answer = await plane.one.send("GET", where)
        assert (answer.status, answer.body) == NOTHING


async def test_one_owner_leaves_places_to_others(plane: Gateways) -> None:
    plane.runs.waits = True
    plane.runs.owners.clear()
    for _ in range(40):
        await accepted(plane.one)
    await until(lambda: len(plane.runs.calls) >= 16)
    places = [await accepted(plane.one, HELLO.replace(ADA, BOB)) for _ in range(3)]
    await until(lambda: plane.runs.owners.count(BOB) == 3)
    assert plane.runs.owners.count(ADA) == 16, "half of the places of both gateways"
    assert [(await plane.one.send("GET", where)).status for where in places] == [202] * 3


@pytest.mark.parametrize("plan", ["few", "none"])
async def test_a_plan_says_how_many(plane: Gateways, plan: str) -> None:
    await plane.store.change_tenant(ADA, TenantChange(plan=plan))
    if plan == "none":
        refused = await plane.one.send("GET", HELLO, lines=(LATER,))
        assert refused.status == 403
        assert json.loads(refused.body)["status"].startswith("plan none: no results are kept")
        assert (await plane.one.send("GET", HELLO)).status == 200
        return
    places = []
    for _ in range(3):
        places.append(await accepted(plane.one))
        await result(plane.one, places[-1])
    assert [(await plane.one.send("GET", where)).status for where in places] == [404, 200, 200]
    plane.runs.waits = True
    for _ in range(2):
        await accepted(plane.one)
    refused = await plane.one.send("GET", HELLO, lines=(LATER,))
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")


async def test_while_nothing_can_be_kept_other_calls_are_served(plane: Gateways) -> None:
    """The last test: its gateway keeps nothing any more."""
    await plane.one.kept.close()
    refused = await plane.one.send("GET", HELLO, lines=(LATER,))
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (await plane.one.send("GET", "/rest/calls/" + "0" * 48)).status == 503
    assert (await plane.one.send("GET", HELLO)).status == 200
