"""The launcher contract (runner/launcher.py), for every kind of launcher."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from calls.frames import CONTROL, Order
from runner.bubblewrap.launcher import BubblewrapLauncher
from runner.connection import peer_uid
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Resources, RunnerSpec, Trust
from runner.process import ProcessLauncher
from runner.worker import kernel
from tests.runner.docker import stack

MIB = 1024 * 1024
RESOURCES = Resources(memory_bytes=256 * MIB, cpus=1)


@dataclass
class Kind:
    """One kind of launcher, and how to see its processes."""

    launcher: Launcher
    trust: Trust
    processes: Callable[[], set[int]]


@contextlib.asynccontextmanager
async def process_kind() -> AsyncIterator[Kind]:
    """The kind `process`."""
    kernel.adopt_orphans()
    launcher = ProcessLauncher(sys.executable, {"PATH": os.environ["PATH"]})
    yield Kind(launcher, Trust.ADMIN, lambda: set(kernel.descendants(os.getpid())))


@contextlib.asynccontextmanager
async def bubblewrap_kind() -> AsyncIterator[Kind]:
    """The kind `bubblewrap`."""
    kernel.adopt_orphans()
    yield Kind(BubblewrapLauncher(), Trust.TENANT, lambda: set(kernel.descendants(os.getpid())))


@contextlib.asynccontextmanager
async def docker_kind(trust: Trust, runtime: str = "runc") -> AsyncIterator[Kind]:
    """The kind `docker`."""
    with stack.run_folder() as folder:
        wanted = stack.installation(folder, runtime=runtime)
        async with stack.launching(wanted) as launcher:
            yield Kind(launcher, trust, lambda: stack.processes(wanted.name))


KINDS = [
    pytest.param(process_kind, id="process"),
    pytest.param(bubblewrap_kind, id="bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param(partial(docker_kind, Trust.ADMIN), id="docker-admin", marks=pytest.mark.needs("docker")),
    pytest.param(partial(docker_kind, Trust.TENANT), id="docker-tenant", marks=pytest.mark.needs("docker")),
    pytest.param(
        partial(docker_kind, Trust.TENANT, "runsc"), id="gvisor-tenant", marks=pytest.mark.needs("docker", "gvisor")
    ),
]


@pytest.fixture(params=KINDS)
async def kind(request: pytest.FixtureRequest) -> AsyncIterator[Kind]:
    """Each kind of launcher in turn."""
    make: Callable[[], contextlib.AbstractAsyncContextManager[Kind]] = request.param
    async with make() as made:
        yield made


class Socket:
    """A host's socket, and the zygote's end of its control connection once it has come."""

    def __init__(self, folder: Path, trust: Trust) -> None:
        self.spec = RunnerSpec(
            id=secrets.token_hex(8),
            trust=trust,
            socket=folder / "host.sock",
            nonce=secrets.token_bytes(16),
            max_log=1024,
            memory_bytes=0,
            resources=RESOURCES,
        )
        self.connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    async def __aenter__(self) -> Socket:
        self.connected = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_unix_server(
            lambda reader, writer: self.connected.set_result((reader, writer)), self.spec.socket
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self.connected.done():
            self.connected.result()[1].close()


async def test_the_zygote_connects_and_presents_the_nonce(kind: Kind, tmp_path: Path) -> None:
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        reader, _ = await host.connected
        record = CONTROL.unpack(await reader.readexactly(CONTROL.size))
        assert (record[0], record[1]) == (Order.HELLO, host.spec.nonce)
        assert sandbox.id == host.spec.id
        await sandbox.destroy("the test is over")


async def test_destroying_tells_waiters_the_first_reason_and_may_be_repeated(kind: Kind, tmp_path: Path) -> None:
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        waiting = asyncio.create_task(sandbox.wait())
        await sandbox.destroy("first")
        await sandbox.destroy("second")
        assert (await waiting, await sandbox.wait()) == ("first", "first")


async def test_destroying_leaves_no_process(kind: Kind, tmp_path: Path) -> None:
    before = kind.processes()
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        reader, writer = await host.connected
        await reader.readexactly(CONTROL.size)
        writer.write(CONTROL.pack(Order.FORK, secrets.token_bytes(16), 0, 0))
        await writer.drain()
        while len(kind.processes() - before) < 2:
            await asyncio.sleep(0.005)
        await sandbox.destroy("the test is over")
    assert kind.processes() == before


async def test_a_zygote_that_loses_its_host_ends_by_itself(kind: Kind, tmp_path: Path) -> None:
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        reader, writer = await host.connected
        await reader.readexactly(CONTROL.size)
        writer.close()
        assert await sandbox.wait() == "exit code 0"
        await sandbox.destroy("too late to matter")


async def test_only_processes_of_the_runner_are_admitted(kind: Kind, tmp_path: Path) -> None:
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        _, writer = await host.connected
        peer = peer_uid(writer.get_extra_info("socket"))
        assert kind.launcher.admits(sandbox.id, peer)
        assert not kind.launcher.admits(sandbox.id, peer + 1)
        await sandbox.destroy("the test is over")


async def test_a_runner_is_resized_while_it_runs_or_says_that_it_cannot_be(kind: Kind, tmp_path: Path) -> None:
    larger = Resources(memory_bytes=2 * RESOURCES.memory_bytes, cpus=0.5)
    async with Socket(tmp_path, kind.trust) as host:
        sandbox = await kind.launcher.start(host.spec)
        reader, writer = await host.connected
        await reader.readexactly(CONTROL.size)
        if kind.launcher.resizes(kind.trust):
            await sandbox.resize(larger)
        else:
            with pytest.raises(LaunchFailed, match="resources"):
                await sandbox.resize(larger)
        used = await sandbox.used()
        assert used is None or MIB < used.memory_bytes < larger.memory_bytes
        assert used is None or 0 < used.cpu_seconds < 100
        # It obeys as before.
        nonce = secrets.token_bytes(16)
        writer.write(CONTROL.pack(Order.FORK, nonce, 0, 0) + CONTROL.pack(Order.KILL, nonce, 0, 0))
        assert CONTROL.unpack(await reader.readexactly(CONTROL.size))[:2] == (Order.EXITED, nonce)
        await sandbox.destroy("the test is over")
        later = await sandbox.used()
        assert later is None or (used is not None and later.cpu_seconds >= used.cpu_seconds and not later.memory_bytes)


async def test_without_a_sandbox_tenants_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    async with process_kind() as kind, Socket(tmp_path, Trust.TENANT) as host:
        with pytest.raises(ControlMissing, match="sandbox"):
            await kind.launcher.check(Trust.TENANT)
        before = set(tmp_path.iterdir())
        with pytest.raises(ControlMissing, match="sandbox"):
            await kind.launcher.start(host.spec)
        assert set(tmp_path.iterdir()) == before
