"""One stack for all tests of this folder."""

from __future__ import annotations

import faulthandler
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.stack.checkout import Checkout
from tests.stack.sign_in_service import sign_in_image
from tests.stack.stack import ROOT, Stack

Running = TypeVar("Running", bound=Stack)
MODULES = Path(__file__).with_name("modules")


@pytest.fixture(scope="session")
def images() -> None:
    """The images of services, where no registry can be reached; and wheels for what is built on a stand-in."""
    _take_time()
    wanted = {
        "python": os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm"),
        "redis": os.environ.get("REDIS_IMAGE", "redis:7.2-alpine"),
        "nginx": os.environ.get("NGINX_IMAGE", "nginx:1.28-alpine"),
        "mongo": os.environ.get("MONGO_IMAGE", "mongo:7.0"),
    }
    for name, image in wanted.items():
        labels = _labels(image)
        if labels is None and _run("docker", "pull", "--quiet", image).returncode:
            labels = "plugbay.offline"
        if "plugbay.offline" in (labels or ""):
            made = _run(str(ROOT / "images" / "offline.sh"), name)
            assert made.returncode == 0, made.stderr


def _labels(image: str) -> str | None:
    """None when the Engine has no such image."""
    found = _run("docker", "image", "inspect", "--format", "{{.Config.Labels}}", image)
    return found.stdout if found.returncode == 0 else None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def stack(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Up for the whole session; afterwards nothing of it is left."""
    plugins = tmp_path_factory.mktemp("stack") / "plugins"
    plugins.mkdir(mode=0o755)
    for module in MODULES.glob("*.py"):
        (plugins / module.name).write_bytes(module.read_bytes())
    yield from _up(Stack(plugins))


@pytest.fixture(scope="session")
def checkout(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Up for the whole session, as its files say and not as `stack` is; afterwards nothing of it is left."""
    sign_in = sign_in_image(os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm"))
    yield from _up(Checkout(tmp_path_factory.mktemp("checkout") / "plugbay", sign_in))


def _take_time() -> None:
    """Building and starting may take longer than any test; each script has a bound of its own."""
    faulthandler.cancel_dump_traceback_later()


def _up(running: Running) -> Iterator[Running]:
    _take_time()
    try:
        running.said = running.up()
        yield running
    finally:
        _take_time()
        done = running.run("docker-dn.sh", "--volumes", "--yes")
        assert done.returncode == 0, done.stderr[-4000:]
    assert running.left() == []
    assert not Path("/var/lib/plugbay", running.project).exists()
    running.remove_images()
