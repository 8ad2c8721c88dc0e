"""Given 16 callers of a tenant's function, when versions of its module come and go, then no call fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.embedded.server import Embedded, running
from tests.waiting import eventually

pytestmark = pytest.mark.needs("bubblewrap")

CALLERS = 16
CALLS = 3
"""Each caller makes these at least between two changes."""
PYTHON = {"Content-Type": "text/x-python"}


def version(number: int) -> str:
    """A module whose answers are all of one version."""
    text = f"{number}" * 2000
    return f'import expose\n\n@expose.endpoint(method="GET")\ndef which():\n    return "{text}"\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("versions")
    with running(folder / "plugins", folder / "data") as server:
        yield server


@dataclass
class Calls:
    """What was answered to callers that call again and again."""

    url: str
    answered: list[tuple[float, float, str]] = field(default_factory=list)
    """When each call was sent and answered, and what."""
    failed: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    counts: list[int] = field(default_factory=lambda: [0] * CALLERS)

    def run(self, caller: int) -> None:
        with httpx.Client(timeout=60, trust_env=False) as client:
            while not self.ended.is_set():
                sent = time.monotonic()
                answer = client.get(self.url)
                if answer.status_code == 200:
                    self.answered.append((sent, time.monotonic(), answer.json()["response"]["which"]))
                else:
                    self.failed.append(answer.text)
                self.counts[caller] += 1

    def more(self) -> None:
        """Returns when each caller has made some more calls."""
        wanted = [count + CALLS for count in self.counts]
        eventually(lambda: all(count >= most for count, most in zip(self.counts, wanted, strict=True)))


def test_no_call_fails_while_versions_come_and_go(server: Embedded) -> None:
    made = server.api("POST", "/tenants", json={"name": "Ada", "plan": "standard"}).json()
    module = f"{server.url}/api/tenants/{made['uuid']}/modules/shop"
    tenant = httpx.Client(headers={"Authorization": f"Bearer {made['key']}"}, timeout=60, trust_env=False)
    assert tenant.put(module, content=version(1), headers=PYTHON).status_code == 201
    calls = Calls(f"{server.url}/rest/services/{made['uuid']}/shop/which/")
    callers = [threading.Thread(target=calls.run, args=(caller,)) for caller in range(CALLERS)]
    for caller in callers:
        caller.start()
    steps: tuple[Callable[[], httpx.Response], ...] = (
        lambda: tenant.put(module, content=version(2), headers=PYTHON),
        lambda: tenant.post(f"{module}/rollback", json={"version": 1}),
        lambda: tenant.post(f"{module}/rollback", json={"version": 2}),
    )
    changes: list[tuple[float, float]] = []
    """When each change was asked for and done."""
    try:
        for change in steps:
            calls.more()
            began = time.monotonic()
            answer = change()
            changes.append((began, time.monotonic()))
            assert answer.status_code == 200, answer.text
        calls.more()
    finally:
        tenant.close()
        calls.ended.set()
        for caller in callers:
            caller.join()
    assert calls.failed == []
    assert {said for *_, said in calls.answered} == {"1" * 2000, "2" * 2000}
    for number, (began, done) in enumerate(changes):
        before, after = ("1", "2") if number != 1 else ("2", "1")
        until_next = changes[number + 1][0] if number + 1 < len(changes) else float("inf")
        since = changes[number - 1][1] if number else 0.0
        phase = [call for call in calls.answered if since < call[0] and call[1] < until_next]
        assert {said[0] for _, answered, said in phase if answered < began} == {before}
        assert {said[0] for sent, _, said in phase if sent > done} == {after}
        first = min(answered for _, answered, said in phase if said[0] == after)
        assert {said[0] for sent, _, said in phase if sent > first} == {after}
