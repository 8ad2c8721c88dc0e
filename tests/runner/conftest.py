"""Fixtures of the runner's tests: a host with real processes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.host import Host
from runner.pool import PoolLimits
from runner.process import ProcessLauncher
from runner.worker import kernel
from tests.runner.bench import OWNER, Bench, Modules, NoPackages, limits, tenants


@pytest.fixture
def pool_limits() -> PoolLimits:
    """Bounds of the pool; a test overrides the fixture by parametrising `pool_limits`."""
    return limits()


@pytest.fixture
async def bench(pool_limits: PoolLimits) -> AsyncIterator[Bench]:
    """A running host without modules. Afterwards no process of it is left."""
    kernel.adopt_orphans()
    before = set(kernel.descendants(os.getpid()))
    modules = Modules()
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    host = Host(
        OWNER,
        ProcessLauncher(sys.executable, environ),
        modules,
        NoPackages(),
        Path(tempfile.mkdtemp()),
        pool_limits,
        tenants(),
    )
    await host.start()
    yield Bench(host, modules)
    await host.close(5)
    assert set(kernel.descendants(os.getpid())) <= before


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that functions under test may write to."""
    return tmp_path
