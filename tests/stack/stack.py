"""The stack as an operator starts it: ./docker-up.sh, under a name and on a port of its own."""

from __future__ import annotations

import functools
import os
import re
import secrets
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any

import docker

ROOT = Path(__file__).resolve().parents[2]
UNLIMITED = ROOT / "tests" / "plans" / "unlimited.toml"
"""Plans that let tenants call as often as the settings do."""
SERVICES = ("nginx", "gateway", "host", "redis", "kept", "mongo")
_UP_SECS = 300


class Stack:
    """One installation with its plugin folder."""

    def __init__(self, plugins: Path, root: Path = ROOT) -> None:
        """`root` is the checkout whose scripts are run."""
        self.root = root
        self.plugins = plugins
        self.variables = plugins.parent / "variables" / "plugins.env"
        """Environment variables of its admin functions; not there at first."""
        self.variables.parent.mkdir(mode=0o755, exist_ok=True)
        self.said = ""
        """What the operator read when it was up."""
        self.project = f"plugbay-test-{secrets.token_hex(4)}"
        self.admin_key = secrets.token_urlsafe(24)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        passwords = ("REDIS_GATEWAY_PASSWORD", "REDIS_HOST_PASSWORD", "MONGO_ROOT_PASSWORD", "MONGO_PASSWORD")
        self.passwords = {name: secrets.token_urlsafe(24) for name in passwords}
        self.environ = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "DOCKER_HOST")},
            **self.passwords,
            "COMPOSE_PROJECT_NAME": self.project,
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.port),
            "PLUGINS": str(plugins),
            "ADMIN_ENV_FILE": str(self.variables),
            "ADMIN_UUID": str(uuid.uuid4()),
            "ADMIN_KEY": self.admin_key,
            "PROXY_SECRET": secrets.token_urlsafe(24),
            "SECRETS_KEY": secrets.token_urlsafe(32),
            "INSTALLATION_KEY": secrets.token_urlsafe(32),
            "PLANS": str(UNLIMITED),
            "PREWARMED_RUNNERS": "1",
            "PROGRESS": "plain",
        }

    @functools.cached_property
    def engine(self) -> Any:
        """A client of the Docker Engine."""
        return docker.APIClient(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), version="auto")

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """One of the scripts, with what it said."""
        return subprocess.run(
            [self.root / script, *arguments],
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_UP_SECS,
            check=False,
        )

    def up(self) -> str:
        """Starts it; gives what the operator reads at the end."""
        done = self.run("docker-up.sh")
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return [str(found["Id"]) for found in self.engine.containers(all=True, filters={"label": labels})]

    def inspect(self, service: str) -> dict[str, Any]:
        """What the Engine knows of the one container of a service."""
        [found] = self.containers(service)
        container: dict[str, Any] = self.engine.inspect_container(found)
        return container

    def inside(self, service: str, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in the one container of a service."""
        return self.within(self.inspect(service)["Id"], *command)

    def within(self, container: str, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in a container."""
        run = self.engine.exec_create(container, list(command))["Id"]
        output = self.engine.exec_start(run).decode("utf-8", "replace")
        return int(self.engine.exec_inspect(run)["ExitCode"]), output

    def ids(self) -> dict[str, str]:
        """Container of each service that stays."""
        return {service: self.inspect(service)["Id"] for service in SERVICES}

    def address(self, service: str) -> str:
        """An address of a service inside the stack."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        return str(next(network["IPAddress"] for network in networks.values()))

    def left(self) -> list[str]:
        """What of it the Engine still has, but for images."""
        ours = {"label": [f"com.docker.compose.project={self.project}"]}
        runners = {"label": [f"plugbay.installation={self.project}"]}
        found = [
            *(
                one["Names"][0]
                for labels in (ours, runners)
                for one in self.engine.containers(all=True, filters=labels)
            ),
            *(one["Name"] for one in self.engine.networks() if re.match(rf"{self.project}_", one["Name"])),
            *(one["Name"] for one in self.engine.volumes(filters=ours)["Volumes"] or ()),
        ]
        return [str(name) for name in found]

    def remove_images(self) -> None:
        """The names its images have; what they share with others stays."""
        for name in ("gateway", "host", "runner-admin", "runner-tenant"):
            self.engine.remove_image(f"{self.project}-{name}", noprune=True)
