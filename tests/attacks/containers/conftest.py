"""One installation per runtime for all attacks in containers; each attack must leave it as it found it."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.containers import processes
from tests.attacks.containers.alive import RUNNERS, SPARES, STORM, Attacker, Neighbour, surviving
from tests.attacks.containers.processes import Stack
from tests.store.mongo_server import installed

RUNTIMES = ["runc", pytest.param("runsc", marks=pytest.mark.needs("gvisor"))]


_running = contextlib.ExitStack()
"""What runs for the attacks of one runtime."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Nothing of it runs beside the tests that come after all attacks."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _running.close()


@pytest.fixture(scope="session", params=RUNTIMES)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The installation."""
    installed()
    yield _running.enter_context(
        processes.running(
            request.param, SPARES, STORM, MAX_TENANT_RUNNERS=RUNNERS, PREWARMED_RUNNERS=2, TENANT_IDLE_SECS=10
        )
    )
    _running.close()


@pytest.fixture(scope="session")
def neighbour(stack: Stack) -> Neighbour:
    """Calls all through all attacks; how it fared is told at the end."""
    one = _running.enter_context(Neighbour(stack))
    _running.callback(_tell, stack.runtime, one.seconds)
    return one


def _tell(runtime: str, times: list[float]) -> None:
    seconds = sorted(times)
    print(
        f"\nneighbour under {runtime}: {len(seconds)} answers, "
        f"p50 {seconds[len(seconds) // 2] * 1000:.1f} ms, p99 {seconds[len(seconds) * 99 // 100] * 1000:.1f} ms"
    )


@pytest.fixture(scope="session")
def owners(stack: Stack) -> dict[str, str]:
    """Whose each runner was that was seen in this installation."""
    return {}


@pytest.fixture(scope="session")
def spares(stack: Stack) -> Iterator[int]:
    """Numbers of attackers, each in its turn."""
    return itertools.count()


@pytest.fixture
def attacker(stack: Stack, neighbour: Neighbour, spares: Iterator[int], owners: dict[str, str]) -> Iterator[Attacker]:
    """A tenant that attacks, and all that must survive it."""
    with surviving(stack, neighbour, spares, owners) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def machine(stack: Stack) -> Iterator[None]:
    """The machine itself is what it was after each file of attacks."""
    before = _machine()
    yield
    assert _machine() == before


def _machine() -> dict[str, object]:
    passwords = Path("/etc/passwd")
    stat = passwords.stat()
    runc = shutil.which("runc")
    return {
        "passwords": (passwords.read_bytes(), stat.st_uid, stat.st_mode, stat.st_mtime_ns),
        "runc": hashlib.sha256(Path(runc).read_bytes()).hexdigest() if runc else None,
        "core_pattern": Path("/proc/sys/kernel/core_pattern").read_text(),
        "kernel modules": sorted(line.split()[0] for line in Path("/proc/modules").read_text().splitlines())
        if Path("/proc/modules").exists()
        else None,
    }
