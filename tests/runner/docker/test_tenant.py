"""Given tenants with runners in containers, when one of them attacks, then it gets nowhere and its neighbour nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from calls.call import Outcome
from runner.host import Host
from tests.runner.bench import OWNER, Bench, Modules, NoPackages, limits, one_plan, tenants
from tests.runner.docker import stack

pytestmark = [pytest.mark.needs("docker"), pytest.mark.asyncio(loop_scope="module")]

EVIL = "7d1f0e0c-31a6-4d5c-9c0f-5f1f9a3f2b11"
GOOD = "c9a2b6a0-0f6e-4d6a-8a57-3f0c6c1f7d22"
HOSTILE = Path(__file__).with_name("modules") / "hostile.py"

on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="calls by their numbers on x86_64")


class Neighbours(Bench):
    """A host with an attacker and somebody who wants to be left alone."""

    def __init__(self, host: Host, modules: Modules, runtime: str, name: str, folder: Path) -> None:
        super().__init__(host, modules, set(), folder)
        self.gvisor = runtime == "runsc"
        self.installation = name

    async def attack(self, function: str, **how: Any) -> Any:
        """The value of one attack."""
        return await self.value("hostile", function, owner=EVIL, **how)


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["runc", pytest.param("runsc", marks=pytest.mark.needs("gvisor"))],
)
async def neighbours(request: pytest.FixtureRequest) -> AsyncIterator[Neighbours]:
    """One host for all attacks, under each runtime."""
    with stack.run_folder() as folder:
        wanted = stack.installation(folder, runtime=request.param)
        async with stack.launching(wanted) as launcher:
            modules = Modules()
            modules.put("hostile", HOSTILE.read_text())
            (folder / "host").mkdir()
            wishes = tenants(starts_per_minute=60)
            plan_of = one_plan(wishes.pool)
            host = Host(OWNER, launcher, modules, NoPackages(), folder / "host", limits(), wishes, plan_of)
            await host.start()
            yield Neighbours(host, modules, request.param, wanted.name, folder / "host")
            await host.close(5)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def neighbour_undisturbed(neighbours: Neighbours) -> AsyncIterator[None]:
    """The neighbour keeps its runner, and the attacker is served again."""
    before = await neighbours.value("hostile", "ping", owner=GOOD)
    yield
    assert await neighbours.value("hostile", "ping", owner=GOOD) == before
    assert await neighbours.value("hostile", "ping", owner=EVIL) != before


async def test_everyday_functions_work(neighbours: Neighbours) -> None:
    done = await neighbours.attack("everyday")
    assert done["seen"] == ["thread", "process", "pipe", "file", "sqlite", "socket"]
    assert done["environment"] == ["HOME", "HOSTNAME", "LANG", "PATH", "TMPDIR"]


async def test_what_most_functions_do_without_is_not_in_memory(neighbours: Neighbours) -> None:
    assert await neighbours.value("hostile", "openssl", owner=GOOD) == []


async def test_a_one_time_code_is_known_by_what_is_imported_for_it(neighbours: Neighbours) -> None:
    assert await neighbours.attack("second_factor") == [True, False, "/opt/plugbay/site/pyotp/__init__.py"]


async def test_what_is_imported_from_one_file_is_as_any_other_module(neighbours: Neighbours) -> None:
    assert await neighbours.attack("preloaded") == {
        "loader": "runner.worker.preloaded._Loader",
        "source": "def dumps",
        "reloaded": '"again"',
    }


async def test_a2_the_zygote_cannot_be_read_or_written(neighbours: Neighbours) -> None:
    tried = await neighbours.attack("zygote")
    assert tried["mem"] == "EACCES"
    if not neighbours.gvisor:
        assert set(tried.values()) == {"EACCES"}
        return
    # It protects a process's memory in this way and not the names of what it has. They tell a worker nothing
    # that it is not told itself, and what they name cannot be opened.
    seen = await neighbours.attack("zygote_seen")
    assert seen["environ"].keys() == {"HOME", "HOSTNAME", "LANG", "PATH", "TMPDIR"}
    assert seen["addresses"] == []
    assert {opened for name, opened in seen["files"].items() if name != "/dev/null"} == {"ENXIO"}, seen


async def test_a6_only_tmp_can_be_written(neighbours: Neighbours) -> None:
    assert set(await neighbours.attack("mounts")) <= {"/tmp"}


async def test_a7_what_was_written_cannot_be_run(neighbours: Neighbours) -> None:
    assert await neighbours.attack("execute") == {"tmp": "EACCES", "memfd": "EPERM"}


@on_x86_64
async def test_a9_no_namespaces(neighbours: Neighbours) -> None:
    assert await neighbours.attack("namespaces") == {
        "unshare": "EPERM",
        "setns": "EPERM",
        "clone": "EPERM",
        "clone3": "ENOSYS",
    }


@on_x86_64
async def test_a11_a13_calls_that_kernel_bugs_came_through_are_refused(neighbours: Neighbours) -> None:
    tried = await neighbours.attack("kernel_doors")
    assert len(tried) == 10
    assert set(tried.values()) == {"EPERM"}, tried


@on_x86_64
async def test_a12_there_is_no_other_way_to_call_the_kernel(neighbours: Neighbours) -> None:
    refused = "EPERM" if neighbours.gvisor else "SIGSYS"
    assert await neighbours.attack("other_calls") == {"int 0x80": refused, "x32": refused}


async def test_a14_no_privileges_and_none_to_be_had(neighbours: Neighbours) -> None:
    nothing = "0" * 16
    assert await neighbours.attack("privileges") == {
        "setuid files": [],
        "setuid": "EPERM",
        "status": {"CapEff": nothing, "CapPrm": nothing, "CapBnd": nothing, "Seccomp": "2"},
        "no new privileges": 1,
    }


async def test_a29_nothing_that_helps_an_intruder(neighbours: Neighbours) -> None:
    assert await neighbours.attack("tools") == []


async def test_b1_nothing_can_be_connected_to(neighbours: Neighbours) -> None:
    assert await neighbours.attack("connect") == ["EAFNOSUPPORT"] * 4


@on_x86_64
async def test_b3_no_family_of_sockets_but_unix(neighbours: Neighbours) -> None:
    assert await neighbours.attack("families") == ["EAFNOSUPPORT"]


async def test_c3_memory_is_bounded_and_who_uses_it_up_is_told_so(neighbours: Neighbours) -> None:
    before = await neighbours.attack("ping")
    reply = await neighbours.call("hostile", "memory", owner=EVIL)
    assert reply.outcome is Outcome.DIED, reply
    assert reply.payload.endswith(b"memory limit"), reply
    after = await neighbours.attack("ping")
    # The kernel ends a worker and not its runner. It does not see into gVisor, and ends all of that.
    assert (after["uid"] == before["uid"]) is not neighbours.gvisor


async def test_c3_a_worker_that_ends_itself_has_not_used_up_memory(neighbours: Neighbours) -> None:
    reply = await neighbours.call("hostile", "suicide", owner=EVIL)
    assert reply.outcome is Outcome.DIED, reply
    assert b"memory" not in reply.payload, reply


async def test_c3_the_kernel_is_to_end_workers_before_their_zygote(neighbours: Neighbours) -> None:
    worker, zygote = await neighbours.attack("oom_scores")
    assert (worker, zygote < worker) == (1000, True)


async def test_c4_c18_room_is_bounded(neighbours: Neighbours) -> None:
    number, size = await neighbours.attack("room")
    assert number in ("ENOSPC", "EFBIG")
    assert size <= stack.QUOTA.tmp


async def test_c6_processes_are_bounded_and_ended_with_the_call(neighbours: Neighbours) -> None:
    reply = await neighbours.call("hostile", "forks", owner=EVIL)
    if neighbours.gvisor:  # its own threads count as well: the whole sandbox may end of it
        assert reply.outcome in (Outcome.VALUE, Outcome.DIED, Outcome.RAISED), reply
    else:
        assert (reply.outcome, reply.payload) == (Outcome.VALUE, b'"EAGAIN"'), reply
    await neighbours.attack("ping")
    assert len(stack.processes(neighbours.installation)) < stack.QUOTA.pids


async def test_c6_a_fork_bomb_is_ended_at_the_time_limit(neighbours: Neighbours) -> None:
    reply = await neighbours.call("hostile", "bomb", owner=EVIL, limit=1)
    assert reply.outcome in (Outcome.TIMED_OUT, Outcome.DIED), reply


async def test_c13_c14_the_zygotes_means_cannot_be_taken(neighbours: Neighbours) -> None:
    assert set((await neighbours.attack("limits_of_others")).values()) == {"EPERM"}
    assert (await neighbours.call("hostile", "die", owner=EVIL)).outcome is Outcome.DIED


async def test_c17_files_are_counted(neighbours: Neighbours) -> None:
    if neighbours.gvisor:  # it does not count them: time and memory are the bounds (test_plans.py)
        reply = await neighbours.call("hostile", "inodes", owner=EVIL, limit=1)
        assert reply.outcome in (Outcome.TIMED_OUT, Outcome.DIED), reply
    else:
        number, made = await neighbours.attack("inodes")
        assert (number, made < stack.QUOTA.inodes) == ("ENOSPC", True)


async def test_d24_the_hosts_socket_cannot_be_replaced(neighbours: Neighbours) -> None:
    tried = await neighbours.attack("host_socket")
    assert set(tried.values()) <= {"EROFS", "EACCES", "EPERM"}, tried
    if not neighbours.gvisor:
        assert set(tried.values()) == {"EROFS"}
    assert (await neighbours.call("hostile", "die", owner=EVIL)).outcome is Outcome.DIED


async def test_every_runner_has_a_user_of_its_own(neighbours: Neighbours) -> None:
    users = [(await neighbours.value("hostile", "ping", owner=owner))["uid"] for owner in (EVIL, GOOD)]
    assert len(set(users)) == 2
    assert os.getuid() not in users
