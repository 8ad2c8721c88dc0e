"""Containers of services on the machine's own network, removed when they are not needed any more."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.load import Invalid
from benchmarks.processes import ROOT, START_SECS, connect, first_answer, free_port, started

_REDIS_PORT: Final = "port 6379\nbind * -::*"
_CONFIGURATION: Final = "/etc/plugbay-nginx.conf"


@contextlib.contextmanager
def service(
    image: str,
    name: str,
    command: Callable[[int], Sequence[str]],
    folder: Path,
    options: Sequence[str] = (),
    **environ: str,
) -> Iterator[int]:
    """Runs `command` for a free port in a container until it listens there; gives the port. Raises Invalid."""
    port = free_port()
    container = f"plugbay-benchmark-{name}-{secrets.token_hex(4)}"
    log = folder / f"{name}.log"
    run = ["docker", "run", "--rm", "--init", "--network", "host", "--name", container, *options]
    passed = [part for variable in environ for part in ("--env", variable)]
    try:
        with started([*run, *passed, image, *command(port)], log, environ) as process:
            first_answer(process, partial(connect, port), time.perf_counter() + START_SECS, log)
            yield port
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", container], capture_output=True, timeout=START_SECS, check=False
        )


@dataclass(frozen=True)
class Redis:
    """A Redis set up as the stack's is."""

    port: int
    passwords: Mapping[str, str]

    def url(self, user: str) -> str:
        """REDIS_URL of `gateway` or `host`."""
        return f"redis://{user}:{self.passwords[user]}@127.0.0.1:{self.port}"


@contextlib.contextmanager
def redis(image: str, name: str, folder: Path) -> Iterator[Redis]:
    """The stack's Redis: its own start script but for the port."""
    script = (ROOT / "images" / "redis" / "start.sh").read_text()
    if _REDIS_PORT not in script:
        raise Invalid("images/redis/start.sh does not say where to listen as it did")
    passwords = {user: secrets.token_urlsafe(24) for user in ("gateway", "host")}
    environ = {f"REDIS_{user.upper()}_PASSWORD": password for user, password in passwords.items()}

    def command(port: int) -> list[str]:
        return ["sh", "-c", script.replace(_REDIS_PORT, f"port {port}\nbind 127.0.0.1")]

    with service(image, f"{name}-redis", command, folder, **environ) as port:
        yield Redis(port, passwords)


@contextlib.contextmanager
def plain_redis(image: str, name: str, folder: Path) -> Iterator[int]:
    """A Redis that asks for no password; gives its port."""

    def command(port: int) -> list[str]:
        return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]

    with service(image, f"{name}-redis", command, folder) as port:
        yield port


@contextlib.contextmanager
def mongo(image: str, folder: Path) -> Iterator[str]:
    """A MongoDB of this benchmark's own; gives its address."""

    def command(port: int) -> list[str]:
        return ["mongod", "--bind_ip", "127.0.0.1", "--port", str(port)]

    with service(image, "mongo", command, folder) as port:
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"


@contextlib.contextmanager
def nginx(image: str, name: str, gateway: int, secret: str, folder: Path) -> Iterator[int]:
    """The stack's nginx in front of a gateway's port; gives its own. `secret` is the gateway's PROXY_SECRET.
    Raises Invalid."""
    configuration = folder / f"{name}-nginx.conf"

    def command(port: int) -> list[str]:
        configuration.write_text(nginx_configuration(f"127.0.0.1:{port}", f"127.0.0.1:{gateway}", secret))
        return ["nginx", "-e", "stderr", "-c", _CONFIGURATION, "-g", "daemon off;"]

    options = ["--read-only", "--tmpfs", "/tmp", "--user", "64003:64003"]
    mount = ["--volume", f"{configuration}:{_CONFIGURATION}:ro"]
    with service(image, f"{name}-nginx", command, folder, [*options, *mount]) as port:
        yield port


def nginx_configuration(listen: str, gateway: str, secret: str) -> str:
    """nginx/nginx.conf, filled in for one gateway. Raises Invalid for what it asks for and is not known here."""
    values = {
        "LISTEN": listen,
        "SERVERS": f"server {gateway};",
        "TLS": "",
        "SIGN_IN": "",
        "SIGN_IN_SERVER": "127.0.0.1:1",
        "PROXY_SECRET": secret,
        "MAX_BODY_BYTES": "10485760",
        "ANSWER_SECS": "50",
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise Invalid(f"nginx/nginx.conf asks for @{match[1]}@, which benchmarks/stack/services.py does not know")
        return values[match[1]]

    return re.sub(r"@([A-Z_]+)@", value, (ROOT / "nginx" / "nginx.conf").read_text())
