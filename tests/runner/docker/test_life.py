"""Given runners in containers, when something happens to them behind the platform's back, then it is noticed."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from runner.docker import template
from runner.docker.engine import Engine
from runner.docker.fleet import Fleet
from runner.docker.launcher import DockerLauncher
from runner.docker.sandbox import DockerSandbox
from runner.docker.template import Wish
from runner.launcher import LaunchFailed, Trust
from tests.runner.docker import stack
from tests.runner.docker.running import Running, spec

pytestmark = pytest.mark.needs("docker")


async def test_a_killed_runner_is_noticed(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as running:
        stack.client().kill(running.sandbox.container)
        assert await running.sandbox.wait() == "signal 9 (SIGKILL)"


async def test_a_removed_runner_is_noticed(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as running:
        stack.client().remove_container(running.sandbox.container, force=True)
        assert await running.sandbox.wait() in ("signal 9 (SIGKILL)", "removed by somebody else")


async def test_a_paused_runner_is_ended(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as running:
        stack.client().pause(running.sandbox.container)
        assert await running.sandbox.wait() == "paused by somebody else"
        await running.sandbox.destroy("too late")
        with pytest.raises(docker.errors.NotFound):
            stack.client().inspect_container(running.sandbox.container)


async def test_the_engine_is_asked_for_nothing_but_a_container_and_its_end(
    launcher: DockerLauncher, folder: Path
) -> None:
    since = time.time()
    async with Running(launcher, folder) as running:
        container = running.sandbox.container
    filters = {"container": [container]}
    seen = stack.client().events(since=since, until=time.time() + 0.001, decode=True, filters=filters)
    actions = {event["Action"] for event in seen}
    assert {"create", "start", "die", "destroy"} <= actions
    assert actions <= {"create", "attach", "start", "kill", "die", "destroy"}


async def run(wanted_folder: Path, script: str) -> str:
    """How a container like a tenant's ends when it runs `script` alone."""
    wanted = stack.installation(wanted_folder)
    engine = Engine(stack.ADDRESS)
    fleet = Fleet(engine, wanted.name)
    await fleet.open()
    one = spec(wanted_folder)
    one.socket.parent.mkdir()
    member = fleet.add(one)
    wish = Wish(
        spec=one,
        installation=wanted.name,
        image=wanted.tenant.image,
        uid=member.uid,
        quota=stack.QUOTA,
    )
    body = template.tenant_body(wish, runtime="runc", profile=stack.PROFILE.read_text(), systemd=False)
    try:
        await member.bring_up(template.probe_body(body, script, []), b"")
        return await member.wait()
    finally:
        await fleet.close()
        engine.close()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("import ctypes; ctypes.string_at(0)", "signal 11 (SIGSEGV)"),
        ("x = b'x' * (1 << 30)", "memory limit"),
    ],
)
async def test_the_reason_of_its_end_is_told(folder: Path, script: str, words: str) -> None:
    assert await run(folder, script) == words


async def test_what_a_predecessor_left_is_removed_and_nothing_else(folder: Path) -> None:
    wanted = stack.installation(folder)
    left = [create(wanted.name) for _ in range(2)]
    foreign = create(f"{wanted.name}-2")
    try:
        stack.client().start(left[0])
        async with stack.launching(wanted):
            assert stack.containers(wanted.name) == []
            assert stack.containers(f"{wanted.name}-2") == [foreign]
    finally:
        stack.client().remove_container(foreign, force=True)


def create(installation: str) -> str:
    """A container as an installation would have left it."""
    body: dict[str, Any] = {
        "Image": stack.image(Trust.TENANT),
        "Entrypoint": ["sleep", "1000"],
        "Labels": {template.LABEL_INSTALLATION: installation},
        "HostConfig": {"NetworkMode": "none"},
    }
    return str(stack.client().create_container_from_config(body, f"plugbay-left-{secrets.token_hex(4)}")["Id"])


async def test_a_start_that_is_cancelled_leaves_nothing(folder: Path) -> None:
    wanted = stack.installation(folder)
    async with stack.launching(wanted) as launcher:
        await launcher.check(Trust.TENANT)
        for turns in (1, 5, 20):
            one = spec(folder)
            one.socket.parent.mkdir()
            server = await asyncio.start_unix_server(lambda *_: None, one.socket)
            starting = asyncio.create_task(launcher.start(one))
            for _ in range(turns):
                await asyncio.sleep(0.002)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            server.close()
            assert stack.containers(wanted.name) == []


async def test_an_engine_that_is_away_is_named(folder: Path) -> None:
    wanted = stack.installation(folder)
    launcher = DockerLauncher(Engine(f"unix://{folder}/no-engine.sock"), wanted)
    with pytest.raises(LaunchFailed, match=r"Docker Engine.*running"):
        await launcher.open()
    await launcher.close()


def test_an_engine_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="on this machine"):
        Engine("tcp://127.0.0.1:2375")


async def test_destroying_is_one_removal_however_often_it_is_asked_for(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as running:
        sandbox: DockerSandbox = running.sandbox
        await asyncio.gather(*(sandbox.destroy(f"reason {number}") for number in range(5)))
        assert await sandbox.wait() == "reason 0"
