"""One installation per kind of sandbox for all attacks; each attack must leave it as it found it."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.sandboxes import processes, tree
from tests.attacks.sandboxes.alive import RUNNERS, SPARES, STORM, Attacker, Neighbour, surviving
from tests.attacks.sandboxes.installation import BUBBLEWRAP, GVISOR, Installation
from tests.store.mongo_server import installed

RUNTIMES = [
    pytest.param("runc", marks=pytest.mark.needs("docker", "redis")),
    pytest.param(GVISOR, marks=pytest.mark.needs("docker", "redis", "gvisor")),
    pytest.param(BUBBLEWRAP, marks=pytest.mark.needs("bubblewrap")),
]
SETTINGS = {"MAX_TENANT_RUNNERS": RUNNERS, "PREWARMED_RUNNERS": 2, "TENANT_IDLE_SECS": 10}

_running = contextlib.ExitStack()
"""What runs for the attacks of one runtime."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Nothing of it runs beside the tests that come after all attacks."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _running.close()


@pytest.fixture(scope="session", params=RUNTIMES)
def stack(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """The installation."""
    if request.param == BUBBLEWRAP:
        yield _running.enter_context(tree.running(SPARES, STORM, **SETTINGS))
    else:
        installed()
        yield _running.enter_context(processes.running(request.param, SPARES, STORM, **SETTINGS))
    _running.close()


@pytest.fixture(scope="session")
def neighbour(stack: Installation) -> Neighbour:
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
def owners(stack: Installation) -> dict[str, str]:
    """Whose each runner was that was seen in this installation."""
    return {}


@pytest.fixture(scope="session")
def spares(stack: Installation) -> Iterator[int]:
    """Numbers of attackers, each in its turn."""
    return itertools.count()


@pytest.fixture
def attacker(
    stack: Installation, neighbour: Neighbour, spares: Iterator[int], owners: dict[str, str]
) -> Iterator[Attacker]:
    """A tenant that attacks, and all that must survive it."""
    with surviving(stack, neighbour, spares, owners) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def machine(stack: Installation) -> Iterator[None]:
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
