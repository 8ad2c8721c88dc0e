"""What both tenants share, the platform's pages and its time: the one learns nothing there of the other, and takes nothing.

The plan's own limits are in tests/embedded/test_plan_limits.py; variables and secrets in tests/embedded/test_environ.py.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns

import pytest

from tests.attacks.wire import Wire, request
from tests.embedded.server import ADMIN_KEY
from tests.isolation.conftest import Tenant
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")


def test_g18_open_pages_tell_of_nobody(ada: Tenant, bob: Tenant) -> None:
    assert bob.call().status_code == 200
    for path in (
        "/",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/readme",
        "/rest/services/__dir__/",
    ):
        for headers in ({}, {"Authorization": f"Bearer {ada.key}"}):
            answer = ada.client.get(path, headers=headers)
            assert answer.status_code == 200, path
            for name in (bob.uuid, bob.key, "secluded", "covert", "of Bob"):
                assert name not in answer.text, path


def test_what_one_uses_counts_for_nobody_else(ada: Tenant, bob: Tenant) -> None:
    def used(one: Tenant) -> list[object]:
        return list(one.api("GET", f"/tenants/{one.uuid}/usage").json()["days"])

    before, his = used(ada), used(bob)
    for api in ("who", "keep", "nothing"):  # answered, refused, and not there
        bob.call(api)
    assert used(ada) == before
    assert used(bob) != his


RESTING = 40


def test_e16_who_calls_much_slows_nobody_else_down(ada: Tenant, bob: Tenant) -> None:
    """All her workers are taken and more calls wait: his are answered nevertheless."""
    with ThreadPoolExecutor(RESTING) as threads:
        resting = [threads.submit(ada.call, "rest", params={"seconds": 0.25}) for _ in range(RESTING)]
        answered = 0
        while not all(one.done() for one in resting):
            answer = bob.call(params={"nonce": answered})
            assert (answer.status_code, answer.json()["response"]["who"][1]) == (200, str(answered))
            answered += 1
        assert {one.result().status_code for one in resting} == {200}
    assert answered > RESTING // 4, "not one for each round of hers"


SENT = 500
"""Requests of each kind. With so many, two kinds alike are told apart in half of all pairs, give or take 0.018."""
APART = 0.1
"""How far from a half that may be: five times as much, which happens by chance once in millions of runs."""


def told_apart(wire: Wire, one: str, other: str) -> float:
    """In what part of all pairs of requests that with the one key takes longer (Mann and Whitney's U over its most)."""
    asked = {key: request(b"/api/modules", f"Authorization: Bearer {key}".encode()) for key in (one, other)}
    took: list[tuple[int, str]] = []
    keys = [one, other] * SENT
    random.shuffle(keys)
    for key in keys:
        began = perf_counter_ns()
        wire.send(asked[key])
        answer = wire.answer()
        took.append((perf_counter_ns() - began, key))
        assert answer is not None
        assert answer.status == 401
    below = longer = 0
    for _, key in sorted(took):
        longer += below * (key == one)
        below += key == other
    return longer / SENT**2


def test_e11_time_does_not_tell_how_much_of_a_key_is_right(ada: Tenant, bob: Tenant) -> None:
    with Wire(ada.platform.url) as wire:
        for key in (bob.key, ADMIN_KEY):
            nearly, hardly = key[:-1] + ("A" if key[-1] != "A" else "B"), key[: len(key) // 2].ljust(len(key), "A")
            assert abs(told_apart(wire, nearly, hardly) - 0.5) < APART


def test_e6_when_one_is_gone_the_other_is_served(ada: Tenant, bob: Tenant) -> None:
    """Her runner ends in every way there is; he notices nothing of it, and his is the same all the time."""

    def runner(one: Tenant) -> list[str]:
        pools = one.platform.api("GET", "/pools").json()["pools"]
        return [each["id"] for pool in pools if pool["name"] == one.uuid for each in pool["runners"]]

    assert (ada.call().status_code, bob.call().status_code) == (200, 200)
    his = runner(bob)
    for _ in range(3):
        hers = runner(ada)
        assert ada.platform.api("POST", f"/pools/{ada.uuid}/drain").is_success
        eventually(lambda hers=hers: not set(hers) & set(runner(ada)))  # type: ignore[misc]
        assert (ada.call().status_code, bob.call().status_code) == (200, 200)
    assert runner(bob) == his
