"""One stack for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import docker
import pytest

from tests.stack.checkout import Checkout
from tests.stack.stack import ROOT, Stack

Running = TypeVar("Running", bound=Stack)
MODULES = Path(__file__).with_name("modules")


def _prepare_images(stack: Stack) -> None:
    """The images of services, where no registry can be reached."""
    images = {
        "python": os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm"),
        "redis": os.environ.get("REDIS_IMAGE", "redis:7.2-alpine"),
        "nginx": os.environ.get("NGINX_IMAGE", "nginx:1.28-alpine"),
        "mongo": os.environ.get("MONGO_IMAGE", "mongo:7.0"),
    }
    for name, image in images.items():
        try:
            stack.engine.inspect_image(image)
        except docker.errors.ImageNotFound:
            if subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, check=False).returncode:
                subprocess.run([ROOT / "images" / "offline.sh", name], check=True)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Up for the whole session; afterwards nothing of it is left."""
    plugins = tmp_path_factory.mktemp("stack") / "plugins"
    plugins.mkdir(mode=0o755)
    for module in MODULES.glob("*.py"):
        (plugins / module.name).write_bytes(module.read_bytes())
    running = Stack(plugins)
    _prepare_images(running)
    yield from _up(running)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Up for the whole session, as its files say and not as `stack` is; afterwards nothing of it is left."""
    running = Checkout(tmp_path_factory.mktemp("checkout") / "plugbay")
    _prepare_images(running)
    yield from _up(running)


def _up(running: Running) -> Iterator[Running]:
    try:
        running.said = running.up()
        yield running
    finally:
        done = running.run("docker-dn.sh", "--volumes", "--yes")
        assert done.returncode == 0, done.stderr[-4000:]
    assert running.left() == []
    assert not Path("/var/lib/plugbay", running.project).exists()
    running.remove_images()
