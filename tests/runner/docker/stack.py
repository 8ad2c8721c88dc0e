"""A real Docker Engine for tests: the runners' images, a network for the admin's, and launchers that leave nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import docker

from runner.docker.engine import Engine
from runner.docker.installation import Installation, Kind
from runner.docker.launcher import DockerLauncher
from runner.docker.template import MIB, label
from runner.launcher import Resources, Trust

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
PROFILE = ROOT / "images" / "seccomp" / "tenant.json"
BASE = os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm")
RESOURCES = Resources(memory_bytes=256 * MIB, cpus=1)


@cache
def client() -> Any:
    """The Engine's own client, for what tests do behind the platform's back."""
    return docker.APIClient(ADDRESS, version="auto")


def prepare_base() -> None:
    """Has the base image fetched, or made with what its builds need where it cannot be had."""
    try:
        labels = client().inspect_image(BASE)["Config"]["Labels"] or {}
    except docker.errors.ImageNotFound:
        if subprocess.run(["docker", "pull", "--quiet", BASE], capture_output=True, check=False).returncode == 0:
            return
        labels = None
    wheels = list((ROOT / "images" / "wheels").glob("*.whl"))
    if labels is None or ("plugbay.offline" in labels and not wheels):
        subprocess.run([ROOT / "images" / "offline.sh", "python"], check=True)


@cache
def image(target: Trust) -> str:
    """The runners' image as its Dockerfile makes it now."""
    prepare_base()
    name = f"plugbay-test-{target}"
    command = ["docker", "build", "--quiet", "--target", target, "--build-arg", f"PYTHON_IMAGE={BASE}", "--tag", name]
    built = subprocess.run(
        [*command, "--file", "images/runner.Dockerfile", "."],
        cwd=ROOT,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return name


def image_with(command: str) -> str:
    """The tenants' image after this command of root's."""
    dockerfile = f"FROM {image(Trust.TENANT)}\nUSER 0\nRUN {command}\nUSER 65534\n"
    done = subprocess.run(
        ["docker", "build", "--quiet", "-"], input=dockerfile, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@cache
def network() -> str:
    """A network for the admin's runners; the same in every run."""
    name = "plugbay-test"
    if not client().networks(names=[f"^{name}$"]):
        client().create_network(name, driver="bridge")
    return name


def kind(name: str) -> Kind:
    """What runners are made of, from this image."""
    return Kind(name, pids=64, tmp=32 * MIB)


QUOTA = kind("").quota(RESOURCES)
"""All bounds of a runner with RESOURCES."""


def installation(folder: Path, **changes: Any) -> Installation:
    """An installation of its own, as an operator would have set it up."""
    usual: dict[str, Any] = {
        "name": f"test-{secrets.token_hex(4)}",
        "folder": folder,
        "admin": kind(image(Trust.ADMIN)),
        "tenant": kind(image(Trust.TENANT)),
        "network": network(),
        "runtime": "runc",
        "profile": PROFILE,
    }
    return Installation(**(usual | changes))


@contextlib.contextmanager
def run_folder() -> Any:
    """A folder of the host's alone whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="plugbay-"))
    yield folder
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def launching(wanted: Installation, address: str = ADDRESS) -> AsyncIterator[DockerLauncher]:
    """A launcher; afterwards none of its containers is left."""
    launcher = DockerLauncher(Engine(address), wanted)
    await launcher.open()
    try:
        yield launcher
    finally:
        await launcher.close()
    assert containers(wanted.name) == []


def containers(name: str) -> list[str]:
    """Ids of the containers of this installation, running or not."""
    return [str(one["Id"]) for one in client().containers(all=True, filters={"label": [label(name)]})]


def processes(name: str) -> set[int]:
    """Process ids, as this machine has them, of what runs in the containers of this installation."""
    found: set[int] = set()
    for container in containers(name):
        with contextlib.suppress(docker.errors.APIError):  # it has ended
            found |= {int(row[1]) for row in client().top(container)["Processes"]}
    return found
