"""The launcher of containers, as the settings describe this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runner.docker.engine import Engine
from runner.docker.installation import Installation, Kind
from runner.docker.launcher import DockerLauncher
from settings import MIB, ROOT, Settings

_PROFILE: Final = ROOT / "images" / "seccomp" / "tenant.json"
ADMIN_PIDS: Final = 512
TENANT_PIDS: Final = 64
"""Processes and threads of one runner."""
ADMIN_TMP_BYTES: Final = 256 * MIB
TENANT_TMP_BYTES: Final = 32 * MIB
"""Bytes of a runner's `/tmp`, unless half of its memory is less."""


def docker_launcher(settings: Settings, folder: Path) -> DockerLauncher:
    """A launcher, not open yet. `folder` is the host's alone, at the same path for the Engine."""
    return DockerLauncher(
        Engine(f"unix://{settings.DOCKER_SOCKET}"),
        Installation(
            name=settings.HOST_NAME,
            folder=folder,
            admin=Kind(settings.ADMIN_IMAGE, ADMIN_PIDS, ADMIN_TMP_BYTES),
            tenant=Kind(settings.TENANT_IMAGE, TENANT_PIDS, TENANT_TMP_BYTES),
            network=settings.ADMIN_NETWORK,
            runtime=settings.TENANT_RUNTIME,
            profile=_PROFILE,
        ),
    )
