"""Redis as the stack runs it: its image with its own start script, users and rights, in a container of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from settings import Settings

# Reaping after a killed test run needs an image of its own, which is not everywhere to be had.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"REDIS_GATEWAY_PASSWORD": "gateways-secret", "REDIS_HOST_PASSWORD": "hosts-secret"}


@dataclass(frozen=True)
class RedisImage:
    """Where the running container is reached, as each of its users."""

    gateway: str
    host: str


@contextlib.contextmanager
def running() -> Iterator[RedisImage]:
    """The container for the length of a block."""
    subprocess.run([ROOT / "images" / "offline.sh", "redis"], check=True)
    container = DockerContainer(
        Settings.model_fields["REDIS_IMAGE"].default,
        entrypoint=["sh", "/etc/plugbay/start.sh"],
        user="64004:64004",
        read_only=True,
        cap_drop=["ALL"],
        working_dir="/",
    )
    container.with_volume_mapping(str(ROOT / "images" / "redis"), "/etc/plugbay", "ro").with_envs(**PASSWORDS)
    # A free port of this machine alone, which Docker's own client understands and the type does not tell of.
    container.ports["6379/tcp"] = cast("int", ("127.0.0.1", None))
    container.waiting_for(LogMessageWaitStrategy("eady to accept connections"))
    with container:
        container.reload()
        port = container.get_wrapped_container().ports["6379/tcp"][0]["HostPort"]
        address = f"127.0.0.1:{port}"
        yield RedisImage(
            gateway=f"redis://gateway:{PASSWORDS['REDIS_GATEWAY_PASSWORD']}@{address}",
            host=f"redis://host:{PASSWORDS['REDIS_HOST_PASSWORD']}@{address}",
        )
