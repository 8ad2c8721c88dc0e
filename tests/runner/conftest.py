"""Fixtures of the runner's tests: a host with real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.limits import PoolLimits
from runner.process import ProcessLauncher
from tests.runner.bench import Bench, hosting, limits, tenants


@pytest.fixture
def pool_limits() -> PoolLimits:
    """Bounds of the pool; a test overrides the fixture by parametrising `pool_limits`."""
    return limits()


@pytest.fixture
async def bench(pool_limits: PoolLimits) -> AsyncIterator[Bench]:
    """A running host, with local processes as runners."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    async with hosting(ProcessLauncher(sys.executable, environ), pool_limits, tenants()) as bench:
        yield bench


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that functions under test may write to."""
    return tmp_path
