"""The images of a stack: those of services as the settings name them, those of runners as they are built now."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any, Final

import docker

from benchmarks.load import Unable
from benchmarks.processes import ROOT
from settings import Settings

_SECS: Final = 600
"""Seconds that fetching or building one image may take."""
RUNTIMES: Final = ("runc", "runsc")
"""What tenants' runners can be run by; the second is gVisor."""


def engine() -> Any:
    """The Docker Engine's client. Raises Unable when none answers."""
    try:
        return docker.from_env(version="auto").api
    except docker.errors.DockerException as error:
        raise Unable(f"the Docker Engine does not answer (scripts/docker-engine.sh up starts one): {error}") from error


@dataclass(frozen=True)
class Images:
    """Content addresses, or the names of images that are there."""

    redis: str
    nginx: str
    mongo: str
    admin: str
    tenant: str


def prepare() -> Images:
    """Fetches or makes what is missing, and builds the runners' images. Raises Unable."""
    base = _there("python", "PYTHON_IMAGE")
    return Images(
        redis=_there("redis", "REDIS_IMAGE"),
        nginx=_there("nginx", "NGINX_IMAGE"),
        mongo=_there("mongo", "MONGO_IMAGE"),
        admin=_built("admin", base),
        tenant=_built("tenant", base),
    )


def _there(stand_in: str, setting: str) -> str:
    """Name of a service's image, which is there now."""
    name = os.environ.get(setting) or str(Settings.model_fields[setting].default)
    try:
        engine().inspect_image(name)
    except docker.errors.ImageNotFound:
        try:
            _run("docker", "pull", "--quiet", name)
        except Unable:  # no registry: a stand-in will do
            _run(str(ROOT / "images" / "offline.sh"), stand_in)
    return name


def _built(target: str, base: str) -> str:
    tag = f"plugbay-benchmark-{target}"
    build = ("docker", "build", "--quiet", "--target", target, "--build-arg", f"PYTHON_IMAGE={base}", "--tag", tag)
    return _run(*build, "--file", "images/runner.Dockerfile", ".")


def _run(*command: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        timeout=_SECS,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise Unable(f"{' '.join(command[:2])} failed: {last}")
    return done.stdout.strip()


def runtimes() -> list[str]:
    """Those of RUNTIMES that the Engine has."""
    there = engine().info()["Runtimes"]
    return [name for name in RUNTIMES if name in there]


def containers() -> str:
    """What runs containers here, with versions, for the report."""
    try:
        client = engine()
    except Unable:
        return "no Docker Engine"
    parts = {part["Name"]: part["Version"] for part in client.version()["Components"]}
    told = [f"Docker {parts['Engine']}", *(f"{name} {parts[name]}" for name in ("containerd", "runc") if name in parts)]
    runsc = client.info()["Runtimes"].get("runsc")
    if runsc is not None:
        said = subprocess.run([runsc["path"], "--version"], capture_output=True, text=True, timeout=10, check=False)
        told.append(said.stdout.partition("\n")[0].replace("version ", ""))
    return ", ".join(told)
