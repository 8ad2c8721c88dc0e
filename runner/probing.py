"""Takes the report of a probe: a program that tries, inside a sandbox, what no tenant may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from runner.connection import peer_uid
from runner.launcher import LaunchFailed, Sandbox
from runner.verdict import Report

SCRIPT: Final = Path(__file__).with_name("probe.py")
"""The program. It is given the path of a socket, and sends one report there."""
PROBE_SECS: Final = 30.0
"""Seconds from its start to its report."""
MAX_REPORT: Final = 256 * 1024
"""Bytes of a report at most."""


class Reported(msgspec.Struct, frozen=True):
    """What a probe said, and what was seen from outside."""

    report: Report
    peer: int
    """User id this host saw at the other end of its connection."""


async def reported(
    address: Path,
    start: Callable[[], Awaitable[Sandbox]],
    while_it_runs: Callable[[], Awaitable[None]] | None = None,
) -> Reported:
    """Listens at `address`, starts a probe that reports there, and ends its sandbox.
    Raises LaunchFailed when none reports, besides what starting it raises."""
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    connected = asyncio.get_running_loop().create_future()

    def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if connected.done():
            writer.close()
        else:
            connected.set_result((reader, writer))

    async with await asyncio.start_unix_server(connection, address):
        sandbox = await start()
        ended = asyncio.create_task(sandbox.wait(), name="probe ends")
        ended.add_done_callback(partial(_not_connected, connected))
        try:
            async with asyncio.timeout(PROBE_SECS):
                reader, writer = await connected
                try:
                    peer = peer_uid(writer.get_extra_info("socket"))
                    if while_it_runs is not None:
                        await while_it_runs()
                    return Reported(msgspec.json.decode(await _read(reader), type=Report), peer)
                finally:
                    writer.close()
        except (TimeoutError, OSError, msgspec.DecodeError) as error:
            raise LaunchFailed(f"a probe in it gave no report: {str(error) or 'not in time'}") from error
        finally:
            await asyncio.shield(sandbox.destroy("probed"))


def _not_connected(connected: asyncio.Future[Any], ended: asyncio.Task[str]) -> None:
    if not connected.done():
        connected.set_exception(ConnectionError(f"it ended with {ended.result()}"))


async def _read(reader: asyncio.StreamReader) -> bytes:
    text = b""
    while part := await reader.read(65536):
        text += part
        if len(text) > MAX_REPORT:
            raise ConnectionError(f"its report is larger than {MAX_REPORT} bytes")
    return text
