"""Section C of the security requirements, as far as it holds for the admin's own pool: its functions are
trusted not to be hostile, but not to be right, so whatever they take is taken from one worker alone.

Limits on processes, disk and the memory of a whole runner are those of tenants' containers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.attacks.alive import Attacker, surviving
from tests.attacks.conftest import PLUGINS
from tests.attacks.test_slow_clients import open_files
from tests.attacks.wire import Wire, request, statuses
from tests.embedded.server import Embedded, running
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("exhaustion")
    with running(PLUGINS, folder / "data", RUNNER_WORKERS=6, WORKER_MEMORY_MB=1024) as server:
        yield server


def most_threads(server: Embedded) -> int:
    """Of all processes below the gateway's, the threads of the one that has most."""
    return max((int(process.num_threads()) for process in server.processes()[1:] if process.is_running()), default=0)


@pytest.mark.parametrize("api", ["spin", "spin-async"])
def test_c1_a_busy_loop_ends_at_its_limit_and_its_worker_with_it(attacker: Attacker, api: str) -> None:
    answer = attacker.get(f"/exhaust/{api}/")
    assert (answer.status_code, answer.json()["status"]) == (504, "time limit of 0.4 s reached")
    assert attacker.log(answer.headers["x-call-id"])[0]["outcome"] == "TIMED_OUT"


@pytest.mark.parametrize("api", ["backtrack", "power", "deaf", "unstoppable"])
def test_c2_nothing_in_a_function_puts_off_its_end(attacker: Attacker, api: str) -> None:
    assert attacker.get(f"/exhaust/{api}/").status_code == 504


@pytest.mark.parametrize("api", ["bytes", "list", "grow"])
def test_c3_memory_has_a_limit_per_worker(attacker: Attacker, api: str) -> None:
    answer = attacker.get(f"/exhaust/{api}/")
    assert (answer.status_code, answer.json()["exception"]) == (500, "MemoryError")


@pytest.mark.parametrize("api", ["leak", "some-threads"])
def test_c3_c7_a_worker_left_without_memory_or_full_of_threads_is_replaced(attacker: Attacker, api: str) -> None:
    answer = attacker.get(f"/exhaust/{api}/")
    assert answer.status_code == 200, answer.text
    eventually(lambda: not psutil.pid_exists(answer.json()["response"][api]))


@pytest.mark.parametrize(("api", "status"), [("fork", 200), ("fork-and-wait", 504)])
def test_c6_forked_processes_end_with_the_call(attacker: Attacker, api: str, status: int) -> None:
    assert attacker.get(f"/exhaust/{api}/").status_code == status


def test_c7_threads_have_a_limit_and_end_with_the_call(attacker: Attacker) -> None:
    answer = attacker.get("/exhaust/threads/")
    assert (answer.status_code, answer.json()["exception"]) == (500, "RuntimeError: can't start new thread")
    eventually(lambda: most_threads(attacker.server) < 20)


def test_c9_a_process_that_cut_every_tie_ends_with_the_call(attacker: Attacker) -> None:
    answer = attacker.get("/exhaust/daemon/")
    assert answer.status_code == 200, answer.text
    eventually(lambda: not psutil.pid_exists(answer.json()["response"]["daemon"]))


def test_c11_a_stopped_worker_ends_at_its_limit(attacker: Attacker) -> None:
    assert attacker.get("/exhaust/stop-self/").status_code == 504


@pytest.mark.parametrize("number", [9, 19])
def test_c11_a_zygote_that_was_killed_or_stopped_is_replaced(attacker: Attacker, number: int) -> None:
    attacker.pings.allowed.add(502)
    before = {runner["id"] for runner in attacker.pool()["runners"]}
    answer = attacker.get(f"/exhaust/signal-zygote/?number={number}")
    assert answer.status_code in (502, 504), answer.text
    eventually(lambda: attacker.get("/ping/ping/").status_code == 200)
    eventually(lambda: not before & {runner["id"] for runner in attacker.pool()["runners"]})


def test_c12_killing_its_siblings_costs_their_calls_and_no_more(attacker: Attacker, tmp_path: Path) -> None:
    attacker.pings.allowed.add(502)
    started, never = tmp_path / "started", tmp_path / "never"
    wires = [Wire(attacker.url) for _ in range(3)]
    for wire in wires:
        wire.send(request(b"/rest/services/exhaust/wait/?started=%b&until=%b" % (bytes(started), bytes(never))))
    eventually(lambda: started.exists() and started.stat().st_size == len(wires))
    assert attacker.get("/exhaust/kill-all/?number=9").status_code == 502
    for wire in wires:
        answer = wire.answer()
        assert answer is not None
        assert answer.status == 502
        wire.socket.close()


def test_c22_a_crash_on_every_call_costs_one_worker_each(attacker: Attacker) -> None:
    wires = [Wire(attacker.url) for _ in range(4)]
    for _ in range(25):
        for wire in wires:
            wire.send(request(b"/rest/services/exhaust/segfault/"))
        found = [answer for wire in wires if (answer := wire.answer())]
        assert statuses(found) == [502] * 4
        assert all("signal 11 (SIGSEGV)" in answer.json["status"] for answer in found)
    for wire in wires:
        wire.socket.close()
    assert not [path for path in attacker.server.temporary.rglob("*") if "core" in path.name]


@pytest.mark.parametrize("api", ["sleep", "pause", "deadlock"])
def test_c29_whoever_waits_for_ever_ends_at_the_limit(attacker: Attacker, api: str) -> None:
    assert attacker.get(f"/exhaust/{api}/").status_code == 504


def test_c29_there_is_nothing_to_read_on_the_standard_input(attacker: Attacker) -> None:
    answer = attacker.get("/exhaust/input/")
    assert (answer.status_code, answer.json()["exception"]) == (500, "EOFError: EOF when reading a line")


def test_files_of_one_worker_are_not_those_of_others(attacker: Attacker) -> None:
    answer = attacker.get("/exhaust/files/")
    assert answer.status_code == 500
    assert "Too many open files" in answer.json()["exception"]


async def flood(url: str, call: bytes, count: int, ended: list[int]) -> None:
    """So many clients at once, each with one call; notes the statuses in the order in which they come. All are there
    before the first one calls, or how many are there at once would depend on the machine."""
    where = urlsplit(url)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(call)
        head = await reader.readuntil(b"\r\n\r\n")
        ended.append(int(head.split(b" ", 2)[1]))
        writer.close()

    there = await asyncio.gather(*(asyncio.open_connection(where.hostname, where.port) for _ in range(count)))
    await asyncio.gather(*(one(*connection) for connection in there))


async def test_c24_a_flood_of_calls_is_refused_before_one_ends(tmp_path: Path) -> None:
    clients, at_once, taken = 2000, 4, 100
    settings = {
        "RUNNER_WORKERS": at_once,
        "MAX_QUEUE": taken,
        "MAX_QUEUE_SECS": 120,
        "MAX_CONNECTIONS": clients + 10,
    }
    release = tmp_path / "release"
    call = request(b"/rest/services/exhaust/wait/?started=%b&until=%b" % (bytes(tmp_path / "started"), bytes(release)))
    with open_files(None), running(PLUGINS, tmp_path / "data", **settings) as server:
        # What so many clients leave behind in any case is no trace of the attack.
        await flood(server.url, request(b"/rest/services/ping/nothing/"), clients, [])
        with surviving(server) as attacker:
            attacker.pings.allowed.add(429)  # it is one owner's queue that is full
            ended: list[int] = []
            flooding = asyncio.create_task(flood(server.url, call, clients, ended))
            while len(ended) < clients - taken:
                await asyncio.sleep(0)
            assert set(ended) == {429}

            def full() -> bool:
                pool = attacker.pool()
                busy = [runner["busy"] for runner in pool["runners"]]
                return pool["queue"] == taken - at_once and busy == [at_once]

            await asyncio.to_thread(eventually, full)
            assert attacker.request("GET", "/readyz").status_code == 200
            release.touch()
            await flooding
            # A ping that came between the flood's calls is one of those that were taken.
            assert Counter(ended) in ({429: clients - taken + pings, 200: taken - pings} for pings in (0, 1))
