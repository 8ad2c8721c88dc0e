"""One runner in a container, without a pool: its zygote has reported to a socket of the test's own."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from calls.frames import CONTROL, Order
from runner.connection import peer_uid
from runner.docker.launcher import DockerLauncher
from runner.docker.sandbox import DockerSandbox
from runner.launcher import RunnerSpec, Trust
from tests.runner.docker.stack import RESOURCES


class Running:
    """A runner from launch to destruction."""

    def __init__(self, launcher: DockerLauncher, folder: Path, trust: Trust = Trust.TENANT) -> None:
        self.launcher = launcher
        self.spec = spec(folder, trust)
        self.sandbox: DockerSandbox
        self.peer = -1
        """User id seen at the other end of the zygote's connection."""
        self._connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        self._server: asyncio.Server

    async def __aenter__(self) -> Running:
        self._connected = asyncio.get_running_loop().create_future()
        self.spec.socket.parent.mkdir()
        self._server = await asyncio.start_unix_server(
            lambda reader, writer: self._connected.set_result((reader, writer)), self.spec.socket
        )
        self.sandbox = await self.launcher.start(self.spec)
        reader, writer = await self._connected
        record = CONTROL.unpack(await reader.readexactly(CONTROL.size))
        assert record[:2] == (Order.HELLO, self.spec.nonce)
        self.peer = peer_uid(writer.get_extra_info("socket"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sandbox.destroy("the test is over")
        self._connected.result()[1].close()
        self._server.close()


def spec(folder: Path, trust: Trust = Trust.TENANT) -> RunnerSpec:
    """What a runner is started with; its socket lies in a folder of its own."""
    runner = secrets.token_hex(8)
    return RunnerSpec(
        id=runner,
        trust=trust,
        socket=folder / runner / "host.sock",
        nonce=secrets.token_bytes(16),
        max_log=1024,
        memory_bytes=0,
        resources=RESOURCES,
    )
