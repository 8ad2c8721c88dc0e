"""The launcher contract (runner/launcher.py), for every kind of launcher."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from calls.frames import CONTROL, Order
from runner.launcher import ControlMissing, Launcher, RunnerSpec, Trust
from runner.process import ProcessLauncher
from runner.worker import kernel


def process_launcher() -> Launcher:
    """The kind `process`."""
    kernel.adopt_orphans()
    return ProcessLauncher(sys.executable, {"PATH": os.environ["PATH"]})


@pytest.fixture(params=[process_launcher], ids=["process"])
def launcher(request: pytest.FixtureRequest) -> Launcher:
    """One launcher of each kind."""
    make: Callable[[], Launcher] = request.param
    return make()


class Socket:
    """A host's socket, and the zygote's end of its control connection once it has come."""

    def __init__(self, folder: Path) -> None:
        self.spec = RunnerSpec(
            id=secrets.token_hex(8),
            trust=Trust.ADMIN,
            socket=folder / "host.sock",
            nonce=secrets.token_bytes(16),
            max_log=1024,
            memory_bytes=0,
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


async def test_the_zygote_connects_and_presents_the_nonce(launcher: Launcher, tmp_path: Path) -> None:
    async with Socket(tmp_path) as host:
        sandbox = await launcher.start(host.spec)
        reader, _ = await host.connected
        record = CONTROL.unpack(await reader.readexactly(CONTROL.size))
        assert (record[0], record[1]) == (Order.HELLO, host.spec.nonce)
        assert sandbox.id == host.spec.id
        await sandbox.destroy("the test is over")


async def test_destroying_tells_waiters_the_first_reason_and_may_be_repeated(
    launcher: Launcher, tmp_path: Path
) -> None:
    async with Socket(tmp_path) as host:
        sandbox = await launcher.start(host.spec)
        waiting = asyncio.create_task(sandbox.wait())
        await sandbox.destroy("first")
        await sandbox.destroy("second")
        assert (await waiting, await sandbox.wait()) == ("first", "first")


async def test_destroying_leaves_no_process(launcher: Launcher, tmp_path: Path) -> None:
    before = set(kernel.descendants(os.getpid()))
    async with Socket(tmp_path) as host:
        sandbox = await launcher.start(host.spec)
        reader, writer = await host.connected
        await reader.readexactly(CONTROL.size)
        writer.write(CONTROL.pack(Order.FORK, secrets.token_bytes(16), 0, 0))
        await writer.drain()
        while len(set(kernel.descendants(os.getpid())) - before) < 2:
            await asyncio.sleep(0.005)
        await sandbox.destroy("the test is over")
    assert set(kernel.descendants(os.getpid())) == before


async def test_a_zygote_that_loses_its_host_ends_by_itself(launcher: Launcher, tmp_path: Path) -> None:
    async with Socket(tmp_path) as host:
        sandbox = await launcher.start(host.spec)
        reader, writer = await host.connected
        await reader.readexactly(CONTROL.size)
        writer.close()
        assert await sandbox.wait() == "exit code 0"
        await sandbox.destroy("too late to matter")


async def test_without_a_sandbox_tenants_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    async with Socket(tmp_path) as host:
        spec = RunnerSpec(
            id="0" * 16,
            trust=Trust.TENANT,
            socket=host.spec.socket,
            nonce=host.spec.nonce,
            max_log=1024,
            memory_bytes=0,
        )
        launcher = process_launcher()
        with pytest.raises(ControlMissing, match="sandbox"):
            await launcher.check(Trust.TENANT)
        before = set(tmp_path.iterdir())
        with pytest.raises(ControlMissing, match="sandbox"):
            await launcher.start(spec)
        assert set(tmp_path.iterdir()) == before
