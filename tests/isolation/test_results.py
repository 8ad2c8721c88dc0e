"""Results, logs and what is kept between calls: each tenant gets its own, whatever it sends along.

That ids of calls cannot be guessed (row E8) is in tests/attacks/test_owners.py.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.embedded.later import accepted, result
from tests.embedded.server import Embedded
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


def test_e9_a_key_against_repetition_is_its_owners(ada: Tenant, bob: Tenant) -> None:
    headers = {"Idempotency-Key": "one-and-the-same"}
    for times in (0, 1):
        for one in (bob, ada):
            answer = one.call("keep", method="POST", json={"text": f"of {one.name}"}, headers=headers)
            assert answer.json()["response"]["keep"][0][-1] == f"of {one.name}"
            assert ("idempotency-replayed" in answer.headers) == bool(times)
    for text, query in (("hers", ""), ("of Ada", "more=1")):
        answer = ada.call("keep", method="POST", json={"text": text}, headers=headers, params=query)
        assert (answer.status_code, "of Ada" in answer.text) == (422, False)
    again = ada.call("keep", method="POST", json={"text": "of Ada"}, headers=headers | {"Authorization": "Bearer x"})
    assert "idempotency-replayed" not in again.headers


def test_e9_a_result_is_its_owners_whatever_is_sent_along(ada: Tenant, bob: Tenant) -> None:
    headers = {"Idempotency-Key": "one-and-the-same", "Prefer": "respond-async"}
    for nonce in ("first", "second"):
        for one in (bob, ada):
            where = accepted(one.call(params={"nonce": nonce}, headers=headers))
            assert result(one.platform.url, where).json()["response"]["who"] == [f"of {one.name}", nonce]


def test_e9_the_place_of_a_result_takes_its_owners_credential(platform: Embedded, ada: Tenant, bob: Tenant) -> None:
    where = accepted(bob.call(headers={"Prefer": "respond-async"}))
    assert result(platform.url, where).status_code == 200
    platform.api("PATCH", "/settings", json={"REQUIRE_TOKENS": "tenants"}).raise_for_status()
    try:
        for method in ("GET", "HEAD", "DELETE"):
            hers = ada.client.request(method, where, headers={"Authorization": f"Bearer {ada.key}"})
            nobodys = ada.client.request(method, where)
            assert (hers.status_code, nobodys.status_code) == (401, 401)
            assert "of Bob" not in hers.text + nobodys.text
        assert bob.client.get(where, headers={"Authorization": f"Bearer {bob.key}"}).status_code == 200
    finally:
        platform.api("PATCH", "/settings", json={"REQUIRE_TOKENS": None}).raise_for_status()
