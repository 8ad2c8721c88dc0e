"""The launcher of containers, as the settings and plans describe this machine's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import plans
from plans import Plan
from runner.docker.engine import Engine
from runner.docker.installation import Installation, Kind
from runner.docker.launcher import DockerLauncher
from runner.docker.template import Resources
from settings import MIB, ROOT, Settings

_PROFILE: Final = ROOT / "images" / "seccomp" / "tenant.json"
ADMIN_PIDS: Final = 512
TENANT_PIDS: Final = 64
"""Processes and threads of one runner."""
ADMIN_TMP_BYTES: Final = 256 * MIB
TENANT_TMP_BYTES: Final = 32 * MIB
"""Bytes of a runner's `/tmp`, unless half of its memory is less."""


def docker_launcher(settings: Settings, known: Mapping[str, Plan], folder: Path) -> DockerLauncher:
    """A launcher, not open yet. `folder` is the host's alone, at the same path for the Engine."""
    free = known[plans.FREE]
    return DockerLauncher(
        Engine(f"unix://{settings.DOCKER_SOCKET}"),
        Installation(
            name=settings.HOST_NAME,
            folder=folder,
            admin=Kind(
                settings.ADMIN_IMAGE,
                _resources(settings.ADMIN_MEMORY_MB, settings.ADMIN_CPUS, ADMIN_PIDS, ADMIN_TMP_BYTES),
            ),
            tenant=Kind(
                settings.TENANT_IMAGE,
                _resources(free.memory_mb, free.cpus, TENANT_PIDS, TENANT_TMP_BYTES),
            ),
            network=settings.ADMIN_NETWORK,
            runtime=settings.TENANT_RUNTIME,
            profile=_PROFILE,
        ),
    )


def _resources(memory_mb: int, cpus: float, pids: int, tmp: int) -> Resources:
    memory = memory_mb * MIB
    return Resources(memory=memory, cpus=cpus or os.cpu_count() or 1, pids=pids, tmp=min(tmp, memory // 2))
