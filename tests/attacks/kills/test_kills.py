"""kill -9 of each part under sixteen clients: nobody waits for what will not come, it heals, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from tests.attacks.kills.clients import ANSWER_SECS, NO_CONNECTION, RUNS, calling
from tests.attacks.sandboxes.alive import nothing_left
from tests.attacks.sandboxes.processes import Stack
from tests.attacks.sandboxes.tenancy import ATTACKER
from tests.runner.docker import stack as engine
from tests.waiting import eventually

pytestmark = [
    pytest.mark.needs("docker", "redis"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root may kill what runs in containers"),
]


def container(stack: Stack) -> str:
    """The container that runs the calls."""
    eventually(lambda: stack.pools().get(ATTACKER))  # a pool that was just opened is told of a moment later
    [runner] = stack.pools()[ATTACKER]
    [found] = [one for one, its in stack.containers().items() if its == runner["id"]]
    return found


def kill_worker(stack: Stack) -> None:
    """One process that runs calls."""
    listed = engine.client().top(container(stack), ps_args="-o pid,comm")["Processes"]
    pid = next(int(pid) for pid, name in listed if name == "plugbay-worker")
    os.kill(pid, signal.SIGKILL)


def kill_runner(stack: Stack) -> None:
    """Process 1 of the container, and the container with it."""
    os.kill(engine.client().inspect_container(container(stack))["State"]["Pid"], signal.SIGKILL)


def kill_host(stack: Stack) -> None:
    """The runner host; who watches over it starts another."""
    stack.host.kill()
    stack.host.start()


def kill_gateway(stack: Stack) -> None:
    """The gateway, likewise."""
    stack.gateway.kill()
    stack.gateway.start()


def kill_redis(stack: Stack) -> None:
    """Redis, likewise, with all that it held."""
    stack.redis.kill()
    stack.redis.start()


ANSWERS = {200, 502, 503, 504}


@pytest.mark.parametrize(
    ("kill", "statuses"),
    [
        (kill_worker, ANSWERS),
        (kill_runner, ANSWERS),
        (kill_host, ANSWERS),
        (kill_gateway, ANSWERS | {NO_CONNECTION}),
        (kill_redis, ANSWERS),
    ],
    ids=["worker", "runner", "host", "gateway", "redis"],
)
def test_what_is_killed_heals(
    stack: Stack, kill: Callable[[Stack], None], statuses: set[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with calling(stack.url) as clients:
        moment = time.monotonic()
        kill(stack)
        seconds = clients.all_served_since(moment)
    found = clients.statuses()
    with capsys.disabled():
        print(f"\n{kill.__name__}: served again after {seconds:.2f} s; answers {dict(sorted(found.items()))}", end="")

    assert set(found) <= statuses, found
    late = [one for one in clients.answers if one.ended - one.began > ANSWER_SECS]
    assert not late, late[:3]
    for answer in clients.answers:
        if answer.status == 200:
            assert json.loads(answer.text)["response"] == {"short": answer.number}
    runs = httpx.post(f"{stack.url}/rest/services/{ATTACKER}/attack/", json={"code": RUNS}, timeout=30)
    assert runs.status_code == 200, runs.text
    assert not [number for number, times in Counter(runs.json()["response"]["attack"]).items() if times > 1]
    eventually(lambda: nothing_left(stack))
    assert stack.host.failures() == []
    assert stack.gateway.failures() == []
