"""Fixtures: launchers and whole hosts on a real Docker Engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runner.docker.launcher import DockerLauncher
from tests.runner.docker import stack


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the host's alone."""
    with stack.run_folder() as made:
        yield made


@pytest.fixture
async def launcher(folder: Path) -> AsyncIterator[DockerLauncher]:
    """An open launcher with tenants under runc."""
    async with stack.launching(stack.installation(folder)) as made:
        yield made
