"""Programs that some tests need and Plugbay itself does not, and the Debian package each comes from.

`python -m tests.needs` prints the packages that are missing here, for `./run-tests.sh --install`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial


@dataclass(frozen=True)
class Need:
    """One thing a test can ask for with `@pytest.mark.needs("<name>")`."""

    package: str
    """Debian package that brings it."""
    found: Callable[[], bool]
    """Whether it works here: for a program that it is there, for a service that it answers."""


def _program(name: str) -> Callable[[], bool]:
    return partial(_on_path, name)


@cache
def _on_path(name: str) -> bool:
    return shutil.which(name) is not None


@cache
def runtimes() -> frozenset[str]:
    """Runtimes of the Docker Engine on this machine; none when it does not answer."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        try:
            engine.connect(address.removeprefix("unix://"))
            engine.sendall(b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = b"".join(iter(lambda: engine.recv(65536), b""))
        except OSError:
            return frozenset()
    return frozenset(json.loads(answer.partition(b"\r\n\r\n")[2]).get("Runtimes", ()))


NEEDS = {
    "bubblewrap": Need("bubblewrap", _program("bwrap")),
    "docker": Need("docker.io", lambda: bool(runtimes())),
    "gvisor": Need("runsc", lambda: "runsc" in runtimes()),
    "chromium": Need("chromium", _program("chromium")),
    "node": Need("nodejs", _program("node")),
    "redis": Need("redis-server", _program("redis-server")),
    "shellcheck": Need("shellcheck", _program("shellcheck")),
    "wrk": Need("wrk", _program("wrk")),
}


def unmet(names: Iterable[str]) -> list[str]:
    """Those of `names` that this machine lacks. Raises KeyError for a name that is not in NEEDS."""
    return [name for name in names if not NEEDS[name].found()]


def packages(names: Iterable[str]) -> list[str]:
    """The Debian packages that bring these, each once."""
    return sorted({NEEDS[name].package for name in names})


if __name__ == "__main__":
    print(*packages(unmet(NEEDS)))
