"""Sixteen clients that call one tenant's function without pause, and note what became of every call."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tests.attacks.sandboxes.tenancy import ATTACKER
from tests.waiting import eventually

CLIENTS: Final = 16
LIMIT_SECS: Final = 0.5
"""Of the function that is called; see its module."""
QUEUE_SECS: Final = 3
"""MAX_QUEUE_SECS of the installation."""
ANSWER_SECS: Final = QUEUE_SECS + LIMIT_SECS + 1
"""Within which every call must be answered: its deadline, and a second."""
HEAL_SECS: Final = 60
NO_CONNECTION: Final = 0

# Leaves a line in the runner for each time that a call is run.
COUNTED = "[Path('/tmp/runs').open('a').write(f'{given}\\n'), time.sleep(0.02), given][2]"
RUNS = "Path('/tmp/runs').read_text().split() if Path('/tmp/runs').exists() else []"


_numbers = itertools.count()
"""Of all calls of this run of the tests: none is used twice."""


@dataclass
class Answer:
    """What one client got."""

    number: int
    began: float
    ended: float
    status: int
    """HTTP status; NO_CONNECTION when the connection broke or there was none."""
    text: str


@dataclass
class Clients:
    """See the module."""

    url: str
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begins; returns when every client has been served once."""
        began = time.monotonic()
        for thread in self._threads:
            thread.start()
        self.all_served_since(began)

    def stop(self) -> None:
        """Ends, with every call answered."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def all_served_since(self, moment: float) -> float:
        """Waits until as many calls that began later were answered with 200; the seconds that took."""
        served: list[Answer] = []

        def enough() -> bool:
            served[:] = [one for one in self.answers if one.began >= moment and one.status == 200]
            return len(served) >= CLIENTS

        eventually(enough, HEAL_SECS)
        return sorted(one.ended for one in served)[CLIENTS - 1] - moment

    def statuses(self) -> Counter[int]:
        """How often each was got."""
        return Counter(answer.status for answer in self.answers)

    def _run(self) -> None:
        where = urlsplit(self.url)
        assert where.hostname
        client = http.client.HTTPConnection(where.hostname, where.port, timeout=ANSWER_SECS)
        while not self._over.is_set():
            number, began = next(_numbers), time.monotonic()
            try:
                body = json.dumps({"code": COUNTED, "given": number})
                path = f"/rest/services/{ATTACKER}/short/"
                client.request("POST", path, body, {"Content-Type": "application/json"})
                answer = client.getresponse()
                status, text = answer.status, answer.read().decode()
            except (ConnectionError, http.client.HTTPException) as error:
                status, text = NO_CONNECTION, repr(error)
                client.close()
            except TimeoutError:
                status, text = -1, "no answer in time"
                client.close()
            self.answers.append(Answer(number, began, time.monotonic(), status, text))
            if status != 200:
                self._over.wait(0.02)  # what is refused at once is not asked for again at once
        client.close()


@contextlib.contextmanager
def calling(url: str) -> Iterator[Clients]:
    """Clients for the length of a block."""
    clients = Clients(url)
    try:
        clients.start()
        yield clients
    finally:
        clients.stop()
