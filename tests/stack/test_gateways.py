"""Given 16 clients, when a gateway is killed or stopped, or runners and hosts are drained, then no call runs twice."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.embedded.later import ASYNC, accepted
from tests.stack.checkout import GATEWAYS, Checkout
from tests.waiting import eventually

pytestmark = pytest.mark.needs("docker")

CLIENTS = 16
SECS = 60
"""A test that takes longer has failed."""


class Load:
    """Clients who call without pause, each call with a mark of its own."""

    def __init__(self, checkout: Checkout, api: str, methods: tuple[str, ...]) -> None:
        self.answers: dict[str, int] = {}
        """Statuses by mark; 0: the connection broke."""
        self._checkout = checkout
        self._path = f"/rest/services/{api}/"
        self._methods = methods
        self._ended = threading.Event()

    def client(self, number: int) -> None:
        """One client, until the load has ended. Each call has a connection of its own: one that is kept may be
        closed by nginx in the moment in which it is used again, which clients have to expect."""
        with self._checkout.client() as client:
            client.headers["Connection"] = "close"
            for count, method in enumerate(itertools.cycle(self._methods)):
                if self._ended.is_set():
                    return
                mark = f"{number}-{count}"
                try:
                    answer = client.request(method, self._path, params={"mark": mark})
                    self.answers[mark] = answer.status_code
                except httpx.TransportError:
                    self.answers[mark] = 0

    def more(self, count: int) -> None:
        """Returns after so many further good answers."""
        until, enough = time.monotonic() + SECS, self.good + count
        while self.good < enough:
            assert time.monotonic() < until, Counter(self.answers.values())
            time.sleep(0.02)

    @property
    def good(self) -> int:
        """Calls answered with 200."""
        return list(self.answers.values()).count(200)

    def end(self) -> None:
        """No client begins another call."""
        self._ended.set()


@contextmanager
def load(checkout: Checkout, api: str, *methods: str) -> Iterator[Load]:
    """16 clients for the length of a block."""
    running = Load(checkout, api, methods)
    threads = [threading.Thread(target=running.client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        running.more(10 * CLIENTS)
        yield running
    finally:
        running.end()
        for thread in threads:
            thread.join()


@contextmanager
def counted(checkout: Checkout, *methods: str) -> Iterator[Load]:
    """The same; afterwards what was run is held against what was answered."""
    with load(checkout, "once", *methods) as running:
        yield running
    ran = Counter(checkout.call("marks"))
    assert set(ran.values()) == {1}
    assert not [mark for mark, status in running.answers.items() if status == 200 and mark not in ran]
    assert not [mark for mark, status in running.answers.items() if status == 503 and mark in ran]


def until_there_are(checkout: Checkout, gateways: int) -> None:
    """Returns when so many gateways are healthy."""
    until = time.monotonic() + SECS
    while True:
        states = [checkout.engine.inspect_container(one)["State"] for one in checkout.containers("gateway")]
        if [state["Running"] and state["Health"]["Status"] for state in states].count("healthy") == gateways:
            return
        assert time.monotonic() < until, states
        time.sleep(0.1)


def test_a_gateway_that_is_killed_costs_its_calls_and_none_runs_twice(checkout: Checkout) -> None:
    with counted(checkout, "GET", "PUT", "POST") as clients:
        checkout.within(checkout.containers("gateway")[0], "sh", "-c", "kill -9 -1")
        clients.more(20 * CLIENTS)
    lost = Counter(status for status in clients.answers.values() if status != 200)
    assert set(lost) <= {502, 503}
    assert lost.total() <= 2 * CLIENTS
    until_there_are(checkout, GATEWAYS)


def test_a_gateway_that_is_stopped_costs_no_call(checkout: Checkout) -> None:
    stopped = checkout.containers("gateway")[0]
    with counted(checkout, "GET", "POST") as clients:
        checkout.engine.stop(stopped, timeout=60)
        clients.more(20 * CLIENTS)
    assert set(clients.answers.values()) == {200}
    checkout.engine.start(stopped)
    until_there_are(checkout, GATEWAYS)


def test_runners_are_drained_and_scaled_without_losing_a_call(checkout: Checkout) -> None:
    with checkout.client(admin=True) as admin, load(checkout, "hello-world", "GET", "POST") as clients:
        assert admin.put("/api/pools/prewarmed", json={"size": 2}).json()["size"] == 2
        assert len(admin.put("/api/pools/admin", json={"size": 2}).json()["runners"]) == 2
        [first, _] = admin.get("/api/pools").json()["pools"][0]["runners"]
        assert admin.post(f"/api/runners/{first['id']}/drain").status_code == 200
        clients.more(5 * CLIENTS)
        assert admin.post("/api/pools/admin/drain").status_code == 200
        clients.more(5 * CLIENTS)
        assert admin.put("/api/pools/admin", json={"size": 1}).json()["size"] == 1
        clients.more(5 * CLIENTS)
    assert set(clients.answers.values()) == {200}


def test_a_host_is_drained_and_takes_calls_again(checkout: Checkout) -> None:
    with checkout.client(admin=True) as admin:
        [host] = admin.get("/api/pools").json()["hosts"]
        assert (host["name"], host["draining"]) == (checkout.project, False)
        for _ in range(2):
            assert admin.post(f"/api/hosts/{host['name']}/drain").json()["draining"] is True
        until = time.monotonic() + SECS
        while admin.get("/readyz").status_code == 200:
            assert time.monotonic() < until
        refused = admin.get("/rest/services/hello-world/")
        assert (refused.status_code, refused.json()["status"]) == (503, "every runner host is draining")
        assert admin.delete(f"/api/hosts/{host['name']}/drain").json()["draining"] is False
        while admin.get("/rest/services/hello-world/").status_code == 503:
            assert time.monotonic() < until
        assert admin.post("/api/hosts/nobody/drain").status_code == 404
        assert admin.get("/metrics").status_code == 404


def test_an_asynchronous_call_outlives_the_gateways_that_ran_it(checkout: Checkout) -> None:
    with checkout.client() as client:
        asked = {"mark": "later", "secs": "2"}
        where = accepted(client.get("/rest/services/once/slow/", headers=ASYNC, params=asked))
        eventually(lambda: checkout.call("once/count", mark="later"))
        for gateway in checkout.containers("gateway"):
            checkout.within(gateway, "sh", "-c", "kill -9 -1")
    until_there_are(checkout, GATEWAYS)
    with checkout.client() as client:
        answers: list[httpx.Response] = []

        def ended() -> bool:
            answers.append(client.get(where))
            return answers[-1].status_code not in (202, 502, 503)

        eventually(ended, SECS)
        assert answers[-1].json() == {"status": "OK", "response": {"slow": "later"}}
        assert checkout.call("once/count", mark="later") == 2
        assert client.delete(where).status_code == 204
        assert client.get(where).status_code == 404
    checkout.call("marks")
