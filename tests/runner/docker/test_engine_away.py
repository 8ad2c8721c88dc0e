"""Given an Engine that cannot be reached for a while, when it is back, then what happened meanwhile is found out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runner.docker.engine import Engine
from runner.docker.launcher import DockerLauncher
from runner.launcher import ControlMissing, LaunchFailed, Trust
from tests.runner.docker import stack
from tests.runner.docker.running import Running, spec
from tests.waiting import until

pytestmark = pytest.mark.needs("docker")


class Way:
    """The way to the Engine, which can be closed: then every connection breaks and no other is made."""

    def __init__(self, address: Path) -> None:
        self._address = address
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Connections are carried to the Engine."""
        self._server = await asyncio.start_unix_server(self._connected, self._address)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(stack.ADDRESS.removeprefix("unix://"))
        self._writers |= {writer, back}
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def close(self) -> None:
        """Breaks every connection."""
        if self._server is not None:
            self._server.close()
            self._address.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@pytest.fixture
async def way(folder: Path) -> AsyncIterator[Way]:
    """An open way."""
    made = Way(folder / "engine.sock")
    await made.open()
    yield made
    await made.close()


async def test_what_happened_while_the_engine_was_away_is_found_out(way: Way, folder: Path) -> None:
    wanted = stack.installation(folder)
    launcher = DockerLauncher(Engine(f"unix://{folder}/engine.sock"), wanted)
    await launcher.open()
    async with (
        Running(launcher, folder) as kept,
        Running(launcher, folder) as killed,
        Running(launcher, folder) as gone,
    ):
        ends = {one: asyncio.create_task(one.sandbox.wait()) for one in (kept, killed, gone)}
        await way.close()
        stack.client().kill(killed.sandbox.container)
        stack.client().remove_container(gone.sandbox.container, force=True)
        with pytest.raises(ControlMissing, match="does not answer"):
            await launcher.check(Trust.TENANT)
        with pytest.raises(LaunchFailed, match="does not answer"):
            await launcher.start(spec(folder))
        await way.open()
        assert await ends[killed] == "signal 9 (SIGKILL)"
        assert await ends[gone] == "removed by somebody else"
        assert not ends[kept].done()
        async with Running(launcher, folder):
            await launcher.check(Trust.TENANT)
    await launcher.close()
    assert stack.containers(wanted.name) == []


async def test_what_cannot_be_removed_now_is_removed_when_the_engine_is_back(
    way: Way, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.docker.sandbox._REMOVE_SECS", 0.2)
    wanted = stack.installation(folder)
    launcher = DockerLauncher(Engine(f"unix://{folder}/engine.sock"), wanted)
    await launcher.open()
    async with Running(launcher, folder) as running:
        await way.close()
        await running.sandbox.destroy("over")
        assert await running.sandbox.wait() == "over"
        assert len(stack.containers(wanted.name)) == 1
        await way.open()
        await until(lambda: not stack.containers(wanted.name))
    await launcher.close()
