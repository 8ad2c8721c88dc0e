"""What must hold all through an attack in a sandbox and after it: section 3 of the security requirements."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from store.mongo.database import MAX_CONNECTIONS
from tests.attacks.alive import PACE_SECS, RECOVER_SECS, SPARE_BYTES
from tests.attacks.sandboxes.installation import BUBBLEWRAP, GVISOR, Installation
from tests.attacks.sandboxes.tenancy import ATTACKER, NEIGHBOUR, spare
from tests.waiting import eventually

ENGINE_CONNECTIONS = 8
"""To the Docker Engine at once; see runner/docker/engine.py."""
SPARES = 40
"""Attackers that are there for one attack each: those that end their runners."""
RUNNERS = 16
"""Runners of tenants that there may be at once."""
STORM = 100
"""Tenants that all call at once."""


class Neighbour:
    """A tenant that calls all the time and is to be answered, whatever others do."""

    def __init__(self, stack: Installation) -> None:
        self.bad: list[object] = []
        self.seconds: list[float] = []
        """How long each answer took."""
        self._where = urlsplit(stack.url)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        eventually(lambda: self.seconds)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        assert self._where.hostname
        client = http.client.HTTPConnection(self._where.hostname, self._where.port, timeout=30)
        while not self._ended.wait(PACE_SECS):
            began = time.monotonic()
            try:
                client.request("GET", f"/rest/services/{NEIGHBOUR}/ping/")
                answer = client.getresponse()
                text = answer.read()
            except OSError as error:
                self.bad.append(error)
                client.close()
                continue
            self.seconds.append(time.monotonic() - began)
            if answer.status != 200:
                self.bad.append((answer.status, text))
        client.close()


@dataclass(frozen=True)
class Footprint:
    """What one process of the platform holds, without what each runner takes."""

    rss: int
    fds: int
    threads: int

    def no_more_than(self, other: Footprint) -> bool:
        """At most the other's, with the tolerance of the security requirements. Connections to the store and the
        Engine are opened as they are needed and kept, and so are the threads that use them."""
        return (
            self.rss <= other.rss * 1.05 + SPARE_BYTES
            and self.fds <= other.fds + MAX_CONNECTIONS + 2 * ENGINE_CONNECTIONS
            and self.threads <= other.threads + ENGINE_CONNECTIONS
        )


class Attacker:
    """A tenant with code of its own, and a client that calls it. No answer may tell what is not for callers."""

    def __init__(self, stack: Installation, spares: Iterator[int]) -> None:
        self.stack = stack
        self.gvisor = stack.runtime == GVISOR
        self.bubblewrap = stack.runtime == BUBBLEWRAP
        self.client = httpx.Client(timeout=40, headers={"Accept-Encoding": "identity"})
        self._spares = spares
        self._threads = ThreadPoolExecutor(8)
        self._used = {ATTACKER}

    def fresh(self) -> str:
        """An attacker that has done nothing yet. After a storm of others it waits for its place."""
        owner = spare(next(self._spares) % SPARES)
        self._used.add(owner)
        eventually(lambda: self.request("GET", f"/{owner}/ping/").status_code == 200)
        return owner

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        """One request below `/rest/services`."""
        answer = self.client.request(method, f"{self.stack.url}/rest/services{path}", **how)
        for secret in self.stack.secrets():
            assert secret.encode() not in answer.content, f"{secret} is told: {answer.text[:500]}"
        return answer

    def do(self, code: str, given: Any = None, *, owner: str = ATTACKER, api: str = "attack") -> httpx.Response:
        """The answer to one attack."""
        return self.request("POST", f"/{owner}/{api}/", json={"code": code, "given": given})

    def value(self, code: str, given: Any = None, *, owner: str = ATTACKER, api: str = "attack") -> Any:
        """The value of one that is to be answered with 200."""
        answer = self.do(code, given, owner=owner, api=api)
        assert answer.status_code == 200, answer.text
        return answer.json()["response"][api]

    def start(self, code: str, given: Any = None, *, owner: str = ATTACKER) -> Future[httpx.Response]:
        """Begins one."""
        return self._threads.submit(self.do, code, given, owner=owner)

    def busy(self, owner: str = ATTACKER) -> int:
        """Calls of it that run now."""
        return sum(runner["busy"] for runner in self.stack.pools().get(owner, ()))

    def runner(self, owner: str = ATTACKER) -> str:
        """The one runner it has. A pool that was just opened is told of a moment later."""
        eventually(lambda: owner in self.stack.pools())
        [runner] = self.stack.pools()[owner]
        return str(runner["id"])

    def violations(self) -> list[str]:
        """What the host's log says of runners that broke the protocol."""
        lines = self.stack.host_log().splitlines(keepends=True)
        told = (json.loads(line) for line in lines if "protocol violation" in line and line.endswith("}\n"))
        return [line["message"] for line in told if "protocol violation" in line.get("message", "")]

    def served_again(self) -> None:
        """Every attacker of this attack is served, by a runner in which nothing runs that should not."""
        for owner in self._used:
            eventually(lambda owner=owner: self.request("GET", f"/{owner}/ping/").status_code == 200)  # type: ignore[misc]
            eventually(lambda owner=owner: self._clean(owner))  # type: ignore[misc]

    def _clean(self, owner: str) -> bool:
        answer = self.do("processes()", owner=owner)
        if answer.status_code != 200:
            return False
        names = Counter(answer.json()["response"]["attack"])
        # A pool that was just opened is told of a moment later.
        workers = sum(runner["workers"] for runner in self.stack.pools().get(owner, ()))
        return names == {"plugbay-zygote": 1, "plugbay-worker": workers}


def footprints(stack: Installation, *, starting: bool) -> list[Footprint]:
    """Of each process of the platform, the one with the runners last. `starting`: runners that start are taken to
    hold all that is theirs already, else nothing yet."""
    runners = itertools.chain.from_iterable(stack.pools().values())
    theirs = sum(
        stack.runner_fds + runner["workers"] for runner in runners if starting or runner["state"] != "starting"
    )
    *others, host = stack.processes()
    found = [(one, one.num_fds()) for one in others] + [(host, host.num_fds() - theirs)]
    return [Footprint(rss=one.memory_info().rss, fds=fds, threads=one.num_threads()) for one, fds in found]


def nothing_left(stack: Installation) -> bool:
    """There are the sandboxes and folders of the runners that the host knows of, and no others. One that starts, as
    the next prewarmed one does, may have them already or not."""
    states = {runner["id"]: runner["state"] for runners in stack.pools().values() for runner in runners}
    there = {runner for runner, state in states.items() if state != "starting"}
    return all(there <= found <= states.keys() for found in stack.traces())


@contextlib.contextmanager
def surviving(
    stack: Installation, neighbour: Neighbour, spares: Iterator[int], owners: dict[str, str]
) -> Iterator[Attacker]:
    """Everything that holds for every attack. `owners` has whose each runner was, and grows."""
    attacker = Attacker(stack, spares)
    with attacker.client:
        before, bad, pings = footprints(stack, starting=False), len(neighbour.bad), len(neighbour.seconds)
        failures = stack.failures()
        yield attacker
        _one_owner_each(stack, owners)
        attacker.served_again()
        eventually(lambda: len(neighbour.seconds) > pings)
        assert not neighbour.bad[bad:], f"the neighbour was not served: {neighbour.bad[bad:][:5]}"
        assert attacker.client.get(f"{stack.url}/readyz").status_code == 200
        eventually(lambda: nothing_left(stack))
        deadline = time.monotonic() + RECOVER_SECS
        while not _no_more(after := footprints(stack, starting=True), before):
            assert time.monotonic() < deadline, f"left behind: before {before}, after {after}"
            time.sleep(0.05)
        _one_owner_each(stack, owners)
        assert stack.failures() == failures


def _one_owner_each(stack: Installation, owners: dict[str, str]) -> None:
    for owner, runners in stack.pools().items():
        for runner in runners:
            if runner["owner"]:
                assert owners.setdefault(runner["id"], runner["owner"]) == runner["owner"], owner


def _no_more(after: list[Footprint], before: list[Footprint]) -> bool:
    return all(now.no_more_than(then) for now, then in zip(after, before, strict=True))
