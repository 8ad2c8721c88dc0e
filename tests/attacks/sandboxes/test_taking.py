"""Section C of the security requirements in sandboxes: more than one's share of time, memory, disk and processes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.attacks.sandboxes.alive import RUNNERS, STORM, Attacker
from tests.attacks.sandboxes.rows import Row, either, ends, only, table, value
from tests.attacks.sandboxes.tenancy import NEIGHBOUR, stormy
from tests.waiting import eventually

TOO_LONG = ends(504, "time limit of 0.5 s reached")
STARVED = either(value("ENOSPC"), value(True), ends(504), ends(502, "memory limit"))
NO_MEMORY = either(ends(500, "MemoryError"), ends(502, "memory limit"))


@table(
    Row("C1", "exec('while True: pass')", TOO_LONG, api="short"),
    Row("C2", "__import__('re').match('(a+)+$', 'a' * 40 + 'b')", TOO_LONG, api="short"),
    Row("C2", "10 ** 10 ** 9", TOO_LONG, api="short"),
    Row("C2", "deaf()", TOO_LONG, api="short"),
    Row("C3", "len(bytearray(10 << 30))", NO_MEMORY),
    Row("C3", "len([0] * 10 ** 9)", NO_MEMORY),
    Row("C3", "touches(1 << 30)", NO_MEMORY),
    # gVisor gives back so much of its memory, and so slowly, that the call may end before the runner.
    Row("C3", "shares(400 << 20)", NO_MEMORY, either(NO_MEMORY, ends(504)), fresh=True),
    Row("C6", "forks()", value("EAGAIN"), either(value("EAGAIN"), ends(500), ends(502)), fresh=True),
    Row("C6", "bomb()", either(ends(504), ends(502)), api="short", fresh=True),
    # gVisor counts its own threads, not the tenant's: what has too many is held back until its time is up.
    Row("C7", "threads()", ends(500, "can't start new thread"), either(ends(500), ends(502), ends(504)), fresh=True),
    Row("C9", "daemon() > 1", value(True)),
    Row("C11", "os.kill(os.getpid(), 19)", TOO_LONG, api="short"),
    # gVisor lets them through to process 1: then the runner ends, and no other.
    Row(
        "C11",
        "[signals(9, 19), os.getppid()]",
        value([None, 1]),
        either(value([None, 1]), ends(502, "the worker died: ")),
        fresh=True,
    ),
    Row("C13", "others_limits()", value(["EPERM", "EPERM", "EPERM", "EACCES"])),
    Row("C13", "os._exit(3)", ends(502, "exit code 3")),
    # gVisor counts no files: they take memory, which ends the runner.
    Row("C17", "files()", value("ENOSPC"), STARVED, fresh=True),
    Row("C18", "reserves()", only("ENOSPC", "EFBIG")),
    Row("C19", "deep_folders(100_000) > 100", either(value(True), ends(504)), STARVED, fresh=True),
    Row("C29", "time.sleep(10 ** 9)", TOO_LONG, api="short"),
    Row("C29", "__import__('signal').pause()", TOO_LONG, api="short"),
    Row("C29", "input()", ends(500, "EOFError")),
)
def test_what_is_taken_is_ones_own(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


def test_c4_a_full_disk_is_given_back_with_the_worker(attacker: Attacker) -> None:
    owner = attacker.fresh()
    assert attacker.value("fills()", owner=owner) == "ENOSPC"
    answer = attacker.do("touches(1 << 30)", owner=owner)
    assert NO_MEMORY(answer, "attack")
    if answer.status_code == 500:  # the worker was told and lives on
        assert attacker.do("os._exit(3)", owner=owner).status_code == 502
    if not given_back(attacker, owner):
        # Its calls have left too much: it is replaced once it is looked at while it has no call.
        filled = attacker.runner(owner)
        eventually(lambda: filled not in {runner["id"] for runner in attacker.stack.pools().get(owner, ())})
        eventually(lambda: given_back(attacker, owner))


def given_back(attacker: Attacker, owner: str) -> bool:
    """Whether the disk of its runner is not filled any more."""
    answer = attacker.do("sum(one.stat().st_size for one in Path('/tmp').glob('large'))", owner=owner)
    return bool(answer.json().get("response") == {"attack": 0})


def test_c8_what_forks_and_exits_for_ever_ends_with_its_call_or_its_runner(attacker: Attacker) -> None:
    owner = attacker.fresh()
    assert attacker.value("runaways(4)", owner=owner) == 4
    assert attacker.request("GET", f"/{owner}/ping/").status_code == 200


def test_c12_killing_its_siblings_costs_their_calls_alone(attacker: Attacker) -> None:
    siblings = [attacker.start("time.sleep(9)") for _ in range(3)]
    eventually(lambda: attacker.busy() == len(siblings))
    assert attacker.do("kills_all()").status_code == 502
    assert [sibling.result().status_code for sibling in siblings] == [502] * len(siblings)


def test_c16_kernel_objects_of_one_tenant_are_not_those_of_another(attacker: Attacker) -> None:
    before = attacker.value("kernel_objects()", owner=NEIGHBOUR)
    assert before == [65536, 1]
    holding = attacker.start("[holds_kernel_objects(), time.sleep(2)][0]")
    while not holding.done():
        assert attacker.value("kernel_objects()", owner=NEIGHBOUR) == before
    pipes, _ = holding.result().json()["response"]["attack"]
    assert pipes > 500


def test_c23_a_storm_of_tenants_waits_or_is_refused(attacker: Attacker) -> None:
    with httpx.Client(limits=httpx.Limits(max_connections=64), timeout=60) as client, ThreadPoolExecutor(64) as threads:
        calls = [
            threads.submit(client.get, f"{attacker.stack.url}/rest/services/{stormy(number)}/ping/")
            for number in range(STORM)
        ]
        seen = 0
        while not all(call.done() for call in calls):
            seen = max(seen, len({one["id"] for pool in attacker.stack.pools().values() for one in pool}))
        answers = [call.result() for call in calls]
    found = Counter(answer.status_code for answer in answers)
    assert set(found) <= {200, 503}, found
    assert found[200] > 0
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    assert seen <= RUNNERS + 1  # the admin's one
