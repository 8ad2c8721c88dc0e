"""What must hold all through an attack and after it: neighbours are served, and nothing is left behind."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from tests.attacks.wire import canary, exchange, statuses
from tests.embedded.server import ADMIN_KEY, ROOT, Embedded
from tests.gateway.strict_server import Answer
from tests.waiting import eventually

RECOVER_SECS = 10.0
"""Within which everything is as before the attack."""
SPARE_BYTES = 8 * 1024 * 1024
PACE_SECS = 0.02
"""Between two pings: frequent enough to notice, rare enough not to be the load."""
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
PING = "/rest/services/ping/ping/"

RUNNER_FDS = 2
"""Descriptors of the platform for one runner, besides that of its process."""
_NAMES = {"plugbay-zygote", "plugbay-worker", "header reader", "bwrap"}
_HEADER_READER = str(ROOT / "catalogue" / "header_process.py")


class Attacker:
    """A client of one platform. No answer it gets may tell what is not for callers."""

    def __init__(self, server: Embedded) -> None:
        self.server = server
        self.url = server.url
        self.pings = Pings(server)
        self.client = httpx.Client(timeout=30, verify=False, headers={"Accept-Encoding": "identity"})

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        """One request to a path of the platform."""
        answer = self.client.request(method, self.url + path, **how)
        self.check(answer.text)
        return answer

    def get(self, path: str, **how: Any) -> httpx.Response:
        """GET of a path below `/rest/services`."""
        return self.request("GET", f"/rest/services{path}", **how)

    def post(self, body: bytes, content_type: str = "application/json", path: str = "/given/all/") -> tuple[int, Any]:
        """POST to a path below `/rest/services`: status and JSON of the answer."""
        answer = self.request("POST", f"/rest/services{path}", content=body, headers={"Content-Type": content_type})
        return answer.status_code, answer.json()

    def api(self, method: str, path: str, **how: Any) -> httpx.Response:
        """A request to the control plane with the admin's key."""
        return self.request(method, f"/api{path}", headers=ADMIN, **how)

    def exchange(self, *parts: bytes) -> list[Answer]:
        """All answers to these bytes on one connection, which the platform then closes."""
        found = exchange(self.url, *parts)
        for answer in found:
            self.check(answer.body.decode("utf-8", "replace"))
        return found

    def refused(self, data: bytes, *wanted: int) -> None:
        """Answered with one of these statuses, once, and closed: the canary behind it gets no answer."""
        found = self.exchange(data, canary())
        assert statuses(found) in [[status] for status in wanted], (data[:200], found)
        assert found[0].headers["connection"] == "close"

    def check(self, text: str) -> None:
        """No traceback, path or secret of the platform's."""
        server = self.server
        for secret in ("Traceback (most", ADMIN_KEY, str(ROOT), str(server.plugins), str(server.data), "/plugbay-"):
            assert secret not in text, f"{secret} is told: {text[:500]}"

    def pool(self) -> dict[str, Any]:
        """The admin's pool now."""
        pool: dict[str, Any] = self.api("GET", "/pools").json()["pools"][0]
        return pool

    @property
    def prewarmed(self) -> bool:
        """Whether all runners are there that wait for tenants, and nothing is being started."""
        pools = {pool["name"]: pool for pool in self.api("GET", "/pools").json()["pools"]}
        states = [runner["state"] for pool in pools.values() for runner in pool["runners"]]
        stock = pools["prewarmed"]
        return len(stock["runners"]) == stock["size"] and set(states) <= {"prewarmed", "bound"}

    def log(self, call: str) -> list[dict[str, Any]]:
        """What the platform kept of a call's output, which may hold tracebacks."""
        answer = self.client.get(f"{self.url}/api/logs?call={call}", headers=ADMIN)
        records: list[dict[str, Any]] = answer.json()["records"]
        return records


@dataclass(frozen=True)
class Footprint:
    """What the gateway's process holds, and the processes below it."""

    rss: int
    fds: int
    """Without one for each process below, and without those of runners."""
    threads: int
    strangers: tuple[str, ...]
    """Processes that are neither sandboxes nor zygotes nor workers that a pool knows of."""

    @staticmethod
    def of(attacker: Attacker) -> Footprint:
        """Now."""
        main, *others = attacker.server.processes()
        names = Counter(name_of(process) for process in others)
        pools = attacker.api("GET", "/pools").json()["pools"]
        runners = [runner for pool in pools for runner in pool["runners"]]
        known = sum(runner["workers"] for runner in runners)
        strangers = [name for name in names.elements() if name not in _NAMES]
        strangers += ["a worker too many"] * (names["plugbay-worker"] - known)
        return Footprint(
            rss=main.memory_info().rss,
            fds=main.num_fds() - len(others) - RUNNER_FDS * len(runners),
            threads=main.num_threads(),
            strangers=tuple(strangers),
        )

    def no_more_than(self, other: Footprint) -> bool:
        """At most the other's, with the tolerance of the security requirements."""
        return (
            self.rss <= other.rss * 1.05 + SPARE_BYTES
            and self.fds <= other.fds + 2
            and self.threads <= other.threads + 2  # those that read files end after ten seconds without work
            and not self.strangers
        )


def name_of(process: psutil.Process) -> str:
    """What it is, also when it has just ended."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return "zombie"
        return "header reader" if process.cmdline()[-1:] == [_HEADER_READER] else str(process.name())
    except psutil.NoSuchProcess:
        return "header reader"  # it was something, a moment ago


class Pings:
    """Calls a neighbour all through a block, and notes every answer but 200."""

    def __init__(self, server: Embedded) -> None:
        self.bad: list[object] = []
        self.count = 0
        self.allowed = {200}
        self._where = urlsplit(server.url)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, once the ping under way is answered."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        client = http.client.HTTPConnection(str(self._where.hostname), self._where.port, timeout=20)
        while not self._ended.is_set():
            try:
                client.request("GET", PING)
                answer = client.getresponse()
                answer.read()
                if answer.status not in self.allowed:
                    self.bad.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(error)
                client.close()
            self.count += 1
            self._ended.wait(PACE_SECS)
        client.close()


def gateway_failures(server: Embedded) -> list[str]:
    """Exceptions that the gateway's own log tells of."""
    return [line for line in server.log.splitlines() if '"exception":"' in line]


@contextlib.contextmanager
def surviving(server: Embedded) -> Iterator[Attacker]:
    """Everything that holds for every attack. `pings.allowed` of what is given can be widened by attacks
    that end the runner they share with the neighbour."""
    attacker = Attacker(server)
    with attacker.client:
        eventually(lambda: attacker.prewarmed)
        # What is just ending would count as if it held something.
        eventually(lambda: not Footprint.of(attacker).strangers)
        before = Footprint.of(attacker)
        failures = len(gateway_failures(server))
        attacker.pings.start()
        try:
            yield attacker
        finally:
            attacker.pings.stop()
        assert attacker.pings.count
        assert not attacker.pings.bad, f"a neighbour was not served: {attacker.pings.bad[:5]}"
        eventually(lambda: attacker.request("GET", PING).status_code == 200)
        assert attacker.request("GET", "/readyz").status_code == 200
        deadline = time.monotonic() + RECOVER_SECS
        while not (after := Footprint.of(attacker)).no_more_than(before):
            assert time.monotonic() < deadline, f"left behind: before {before}, after {after}"
            time.sleep(0.05)
        assert len(gateway_failures(server)) == failures, gateway_failures(server)[failures:]
