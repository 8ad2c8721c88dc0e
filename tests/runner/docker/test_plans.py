"""Given tenants with plans, when their runners are bound, then the Engine holds each to its plan's resources."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from calls.call import Outcome
from calls.frames import Imports
from calls.pools import PoolStatus
from plans import DEFAULT_IMPORTS
from runner.docker.template import LABEL_RUNNER, MIB
from runner.limits import PoolLimits
from store.contract import Role
from tests.runner.bench import Bench, hosting, limits, runner_limits, tenants
from tests.runner.docker import stack
from tests.runner.test_calls import source
from tests.waiting import until

pytestmark = pytest.mark.needs("docker")

SMALL, LARGE, TINY, ADMIN = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abcd")
IMPORTS = Imports("free", tuple(DEFAULT_IMPORTS))
FREE = limits(warm_workers=1, max_runners=1, runner=runner_limits(workers=2, imports=IMPORTS))
PLANS = {
    SMALL: FREE,
    LARGE: limits(warm_workers=1, runner=runner_limits(workers=2, memory_mb=384, cpus=0.5)),
    TINY: limits(warm_workers=1, max_runners=1, runner=runner_limits(workers=1, memory_mb=80)),
}
FILES = """
made = 0
try:
    while True:
        os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
        made += 1
except OSError as error:
    return [error.errno, made]
"""

BURN = """
import time
end = time.process_time() + kwargs["seconds"]
while time.process_time() < end:
    pass
"""


async def plan_of(owner: str) -> PoolLimits:
    return PLANS[owner]


async def role_of(owner: str) -> Role:
    return Role.ADMIN if owner == ADMIN else Role.TENANT


@pytest.fixture(params=["runc", pytest.param("runsc", marks=pytest.mark.needs("gvisor"))])
async def bench(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Bench]:
    """A host with tenants of two plans."""
    wanted = stack.installation(folder, runtime=request.param)
    async with (
        stack.launching(wanted) as launcher,
        hosting(launcher, limits(), tenants(pool=FREE), plan_of, role_of=role_of) as bench,
    ):
        bench.modules.put("who", source("return os.getuid()"))
        bench.modules.put("native", source("import ctypes\nreturn ctypes.sizeof(ctypes.c_int32)"))
        bench.modules.put("large", source("return len(b'x' * (300 << 20))"))
        yield bench


def pool_of(bench: Bench, owner: str) -> PoolStatus:
    """A tenant's pool now."""
    [pool] = [pool for pool in bench.host.pools() if pool.name == owner]
    return pool


def held(bench: Bench, owner: str, uid: int) -> tuple[int, int, int]:
    """Memory, memory with swap and billionths of CPUs that the Engine holds this tenant's container to."""
    [runner] = pool_of(bench, owner).runners
    [one] = stack.client().containers(filters={"label": f"{LABEL_RUNNER}={runner.id}"})
    found: dict[str, Any] = stack.client().inspect_container(one["Id"])
    assert found["Config"]["User"] == f"{uid}:{uid}"
    host = found["HostConfig"]
    return host["Memory"], host["MemorySwap"], host["NanoCpus"]


async def test_each_tenants_runner_has_what_its_plan_gives(bench: Bench, request: pytest.FixtureRequest) -> None:
    await until(lambda: [runner.state for runner in bench.host.pools()[1].runners] == ["prewarmed"])
    [prewarmed] = bench.host.pools()[1].runners
    assert held(bench, LARGE, await bench.value("who", "run", owner=LARGE)) == (384 * MIB, 384 * MIB, 500_000_000)
    assert held(bench, SMALL, await bench.value("who", "run", owner=SMALL)) == (256 * MIB, 256 * MIB, 1_000_000_000)
    assert await bench.value("large", "run", owner=LARGE) == 300 << 20
    assert (await bench.call("large", "run", owner=SMALL)).outcome is Outcome.DIED
    assert await bench.value("native", "run", owner=LARGE) == 4
    refused = await bench.call("native", "run", owner=SMALL)
    assert b"ctypes is not on the import allow-list of plan free" in refused.payload, refused
    if "runc" in request.node.name:  # gVisor cannot change what runs: there a runner is started for the tenant
        assert [runner.id for runner in pool_of(bench, LARGE).runners] == [prewarmed.id]


async def test_c17_files_without_a_byte_are_bounded_too(bench: Bench, request: pytest.FixtureRequest) -> None:
    bench.modules.put("files", source(FILES))
    before = await bench.value("who", "run", owner=SMALL)
    reply = await bench.call("files", "run", owner=TINY)
    if "runsc" in request.node.name:  # it does not count files; each takes some of the runner's memory
        assert (reply.outcome, reply.payload) == (Outcome.DIED, b"the runner ended: memory limit"), reply
    else:
        number, made = msgspec.json.decode(reply.payload)
        assert (number, made < 5000) == (errno.ENOSPC, True)
    assert await bench.value("who", "run", owner=SMALL) == before


async def test_processor_time_is_told_while_a_runner_has_calls_and_when_it_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.05)
    bench.modules.put("who", source(BURN))
    await bench.value("who", "run", owner=SMALL, seconds=0.5)
    await until(lambda: bench.consumed.get(SMALL, 0) >= 0.5)
    told = bench.consumed[SMALL]
    long = bench.start("who", "run", owner=SMALL, seconds=3)
    await until(lambda: bench.consumed[SMALL] >= told + 0.5)
    assert not long.done()
    await long
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 100)
    await bench.value("who", "run", owner=LARGE, seconds=0.3)
    bench.host.end(LARGE, 5)
    await until(lambda: bench.consumed.get(LARGE, 0) >= 0.3)
    assert set(bench.consumed) == {SMALL, LARGE}


@pytest.mark.parametrize("bench", ["runc"], indirect=True)
async def test_that_of_a_further_admin_is_told_too_and_its_runners_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.05)
    bench.modules.put("who", source(BURN))
    await bench.value("who", "run", owner=ADMIN, seconds=0.3)
    await until(lambda: bench.consumed.get(ADMIN, 0) >= 0.3)
    [runner] = pool_of(bench, ADMIN).runners
    told = bench.consumed[ADMIN]
    long = bench.start("who", "run", owner=ADMIN, seconds=1)
    await until(lambda: bench.consumed[ADMIN] >= told + 0.3)
    await long
    assert [one.id for one in pool_of(bench, ADMIN).runners] == [runner.id]


@pytest.mark.parametrize("bench", ["runc"], indirect=True)
async def test_a_runner_whose_calls_left_its_memory_taken_is_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.upkeep.CHECK_SECS", 0.05)
    bench.modules.put("hoard", source("import builtins\nbuiltins.hoard = b'x' * (210 << 20)\nreturn os.getuid()"))
    modest = await bench.value("who", "run", owner=LARGE)
    worn = await bench.value("hoard", "run", owner=SMALL)
    [runner] = pool_of(bench, SMALL).runners
    await until(lambda: runner.id not in [one.id for one in pool_of(bench, SMALL).runners])
    assert await bench.value("who", "run", owner=SMALL) != worn
    assert await bench.value("who", "run", owner=LARGE) == modest
