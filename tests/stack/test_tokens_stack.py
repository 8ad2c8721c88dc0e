"""Tokens through nginx and three gateways: each counts once, and a Redis that begins anew takes none twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from plugbay_client.token import TokenKey, mint
from tests.stack.checkout import Checkout

pytestmark = pytest.mark.needs("docker")
HELLO = "/rest/services/hello-world/"


class Closed:
    """The stack while all calls take tokens."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.admin = checkout.secrets["ADMIN_UUID"]
        with checkout.client(admin=True) as client:
            made = client.post(f"/api/tenants/{self.admin}/token-keys")
            assert made.status_code == 201, made.text
        self.key = TokenKey.parse(made.json()["key"])

    def require(self, what: str | None) -> None:
        with self.checkout.client(admin=True) as client:
            assert client.patch("/api/settings", json={"REQUIRE_TOKENS": what}).status_code == 200

    def open(self) -> None:
        """Returns when every gateway serves without a token: only of stricter settings is one told when all know."""
        self.require(None)
        while {self.send(None).status_code for _ in range(15)} != {200}:
            pass

    def mint(self, target: str = HELLO, method: str = "GET") -> str:
        return mint(self.key, UUID(self.admin), method, target)

    def send(self, token: str | None, target: str = HELLO) -> httpx.Response:
        """One request on a connection of its own, so that nginx may choose any gateway."""
        headers = {} if token is None else {"Authorization": f"Token {token}"}
        with self.checkout.client() as client:
            return client.get(target, headers=headers)


@pytest.fixture(scope="module")
def closed(checkout: Checkout) -> Iterator[Closed]:
    closed = Closed(checkout)
    closed.require("all")
    yield closed
    closed.open()


def test_once_it_is_answered_no_gateway_serves_without_a_token(closed: Closed) -> None:
    closed.open()
    closed.require("all")
    assert {closed.send(None).status_code for _ in range(30)} == {401}


def test_a_token_counts_once_over_all_gateways(closed: Closed) -> None:
    for _ in range(3):
        token = closed.mint()
        with ThreadPoolExecutor(20) as threads:
            statuses = sorted(answer.status_code for answer in threads.map(closed.send, [token] * 60))
        assert statuses == [200] + 59 * [401]


def test_path_and_query_are_bound_as_they_go_through_nginx(closed: Closed) -> None:
    target = f"{HELLO}1/2/?name=Ada%20L&x=%2f&y=+"
    assert closed.send(closed.mint(target), target).status_code == 200
    assert closed.send(closed.mint(target), target.replace("%2f", "%2F")).status_code == 401
    assert closed.send(closed.mint(HELLO), HELLO + "?").status_code == 200


def test_a_retired_key_is_known_to_all_gateways(closed: Closed) -> None:
    with closed.checkout.client(admin=True) as client:
        path = f"/api/tenants/{closed.admin}/token-keys"
        second = TokenKey.parse(client.post(path).json()["key"])

        def all_say(status: int) -> bool:
            tokens = [mint(second, UUID(closed.admin), "GET", HELLO) for _ in range(15)]
            return {closed.send(token).status_code for token in tokens} == {status}

        while not all_say(200):
            pass
        assert client.delete(f"{path}/{second.id.hex()}").status_code == 204
    while not all_say(401):
        pass
    assert closed.send(closed.mint()).status_code == 200


def test_after_redis_was_restarted_what_was_used_before_is_refused(closed: Closed) -> None:
    used = closed.mint()
    assert closed.send(used).status_code == 200
    closed.checkout.engine.restart(closed.checkout.inspect("redis")["Id"], timeout=5)
    statuses: set[int] = set()
    while closed.send(closed.mint()).status_code != 200:
        statuses.add(closed.send(used).status_code)
    statuses.add(closed.send(used).status_code)
    assert 200 not in statuses
    assert statuses <= {401, 502, 503}
