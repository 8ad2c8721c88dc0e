"""Results, logs and what is kept between calls: each tenant gets its own, whatever it sends along.

That ids of calls cannot be guessed (row E8) is in tests/attacks/test_owners.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.isolation.conftest import Tenant

pytestmark = pytest.mark.needs("bubblewrap")

SECRET = "what-bob-has-printed"


def kept(one: Tenant, text: str, **how: Any) -> httpx.Response:
    """Has its function keep and print this."""
    answer = one.call("keep", method="POST", json={"text": text}, **how)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def printed(bob: Tenant) -> str:
    """The id of a call of his that has printed something."""
    call = kept(bob, SECRET).headers["x-call-id"]
    assert SECRET in bob.api("GET", "/logs", params={"call": call}).text
    return str(call)


def test_what_is_kept_between_calls_is_ones_own(ada: Tenant, printed: str) -> None:
    [texts, files] = kept(ada, "hers").json()["response"]["keep"]
    assert SECRET not in texts
    assert files == 1


def test_a_log_is_its_owners(ada: Tenant, bob: Tenant, printed: str) -> None:
    kept(ada, "hers")
    [number] = [one["number"] for one in bob.api("GET", "/logs", params={"call": printed}).json()["records"]]
    for query in (
        {},
        {"call": printed},
        {"module": "box"},
        {"module": "secluded"},
        {"cursor": number + 1},
        {"limit": 500},
    ):
        answer = ada.api("GET", "/logs", params=query)
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
        assert {one["owner"] for one in answer.json()["records"]} <= {ada.uuid}


def test_who_follows_hears_of_its_own_alone(ada: Tenant, bob: Tenant) -> None:
    with ada.client.stream(
        "GET", "/api/logs?follow=true&limit=1", headers={"Authorization": f"Bearer {ada.key}"}
    ) as following:
        lines = following.iter_lines()
        kept(ada, "before")
        while json.loads(next(lines))["text"] != "before\n":
            pass
        kept(bob, SECRET)
        kept(ada, "after")
        record = json.loads(next(lines))
        assert (record["text"], record["owner"]) == ("after\n", ada.uuid)


def test_nobody_says_whose_call_it_is(ada: Tenant, bob: Tenant, printed: str) -> None:
    names = ("X-Call-Id", "X-Request-Id", "X-Owner", "X-Tenant", "Traceparent", "X-Forwarded-For", "X-Original-URL")
    answer = kept(
        ada, "posing", headers=dict.fromkeys(names, printed) | {"X-Rewrite-URL": f"/rest/services/{bob.uuid}/"}
    )
    assert answer.headers["x-call-id"] != printed
    [record] = bob.api("GET", "/logs", params={"call": printed}).json()["records"]
    assert record["text"] == f"{SECRET}\n"


def test_e8_the_result_of_a_call_is_nobodys_to_fetch(ada: Tenant, bob: Tenant, printed: str) -> None:
    for one in (ada, bob):
        headers = {"Authorization": f"Bearer {one.key}"}
        for path in (
            "/rest/calls/{}",
            "/rest/calls/{}/",
            "/rest/services/calls/{}/",
            f"/rest/services/{one.uuid}/calls/{{}}/",
        ):
            answer = one.client.get(path.format(printed), headers=headers)
            assert (answer.status_code, SECRET in answer.text) == (404, False)
        assert one.api("GET", f"/calls/{printed}").status_code in (403, 404)


def test_e9_a_key_against_repetition_repeats_no_answer_of_anybodys(ada: Tenant, bob: Tenant) -> None:
    headers = {"Idempotency-Key": "one-and-the-same", "Prefer": "respond-async"}
    for nonce in ("first", "second"):
        for one in (bob, ada):
            answer = one.call(params={"nonce": nonce}, headers=headers)
            assert (answer.status_code, answer.json()["response"]["who"]) == (200, [f"of {one.name}", nonce])


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"one"'},
        {"If-Modified-Since": "Wed, 01 Jan 2020 00:00:00 GMT"},
        {"If-Match": '"other"'},
        {"Range": "bytes=0-1"},
        {"Cache-Control": "only-if-cached"},
    ],
)
def test_no_answer_comes_from_a_cache(ada: Tenant, bob: Tenant, headers: dict[str, str]) -> None:
    for one in (bob, ada, bob):
        answer = one.call("tagged", headers=headers)
        assert (answer.status_code, answer.text) == (200, f"of {one.name}")
        assert not {"cache-control", "expires", "age", "vary", "accept-ranges"} & set(answer.headers)


@pytest.fixture(scope="module")
def facts(ada: Tenant) -> Iterator[dict[str, Any]]:
    """What her function is told of a request that has keys with it."""
    headers = {"Authorization": f"Bearer {ada.key}", "Cookie": "session=1", "X-Own": "kept"}
    yield ada.call("facts", headers=headers).json()["response"]["facts"]


def test_a_function_is_told_of_its_own_request_alone(ada: Tenant, bob: Tenant, facts: dict[str, Any]) -> None:
    text = json.dumps(facts)
    assert "kept" in text
    for other in (bob.uuid, bob.key, str(ada.platform.data), str(ada.platform.plugins)):
        assert other not in text
