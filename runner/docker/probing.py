"""Runs a probe in a container made exactly like a tenant's, and gives what it found."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from runner.connection import peer_uid
from runner.docker import sockets, template
from runner.docker.engine import EngineAway, EngineError
from runner.docker.fleet import Fleet
from runner.docker.sandbox import DockerSandbox
from runner.docker.verdict import Report
from runner.launcher import ControlMissing, LaunchFailed, Resources, RunnerSpec, Trust

log = logging.getLogger("plugbay.runner")

_SCRIPT: Final = Path(__file__).with_name("probe.py")
_PROBE_SECS: Final = 30.0
_MAX_REPORT: Final = 256 * 1024
"""Bytes of a report at most."""
PROBED: Final = Resources(memory_bytes=128 * template.MIB, cpus=1)
"""What a probe's container gets."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe reported, and what was seen from outside."""

    report: Report
    uid: int
    """User id the container was given."""
    peer: int
    """User id the host saw at the other end of the probe's connection."""
    resizes: bool
    """Its resources could be set while it ran."""
    warnings: list[str]
    """What of the container's settings the Engine said it would not honour."""


async def probe(fleet: Fleet, folder: Path, body: Callable[[RunnerSpec, int], dict[str, Any]]) -> Finding:
    """Raises ControlMissing when no probe reports, EngineAway when the Engine is. `folder` is the host's own."""
    address = folder / f"probe-{secrets.token_hex(4)}" / "host.sock"
    spec = RunnerSpec(
        id=secrets.token_hex(8),
        trust=Trust.TENANT,
        socket=address,
        nonce=b"",
        max_log=0,
        memory_bytes=0,
        resources=PROBED,
    )
    try:
        member = fleet.add(spec)
    except LaunchFailed as error:
        raise ControlMissing(f"sandbox: {error}; try again later") from error
    try:
        address.parent.mkdir(mode=0o700, parents=True)
        async with asyncio.timeout(_PROBE_SECS):
            return await _found(member, address, body(spec, member.uid), template.socket_inside(spec))
    except EngineAway:
        raise
    except EngineError as error:
        raise ControlMissing(f"sandbox: the Docker Engine does not make one as it must be: {error}") from error
    except (TimeoutError, OSError, msgspec.DecodeError) as error:
        raise ControlMissing(f"sandbox: a probe in it gave no report: {error or 'not in time'}") from error
    finally:
        await asyncio.shield(member.destroy("probed"))
        shutil.rmtree(address.parent, ignore_errors=True)


async def _found(member: DockerSandbox, address: Path, body: dict[str, Any], inside: str) -> Finding:
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    connected = asyncio.get_running_loop().create_future()

    def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if connected.done():
            writer.close()
        else:
            connected.set_result((reader, writer))

    async with await asyncio.start_unix_server(connection, address):
        sockets.open_to(address, member.uid)
        warnings = await member.bring_up(template.probe_body(body, _SCRIPT.read_text("utf-8"), [inside]), b"")
        ended = asyncio.create_task(member.wait(), name="probe ends")
        ended.add_done_callback(partial(_not_connected, connected))
        try:
            reader, writer = await connected
        finally:
            ended.cancel()
        peer = peer_uid(writer.get_extra_info("socket"))
        try:
            resizes = await _resizes(member)
            text = await _read(reader)
        finally:
            writer.close()
    report = msgspec.json.decode(text, type=Report)
    return Finding(report=report, uid=member.uid, peer=peer, resizes=resizes, warnings=warnings)


async def _resizes(member: DockerSandbox) -> bool:
    try:
        await member.resize(PROBED)
    except LaunchFailed as error:
        log.info("runners cannot be given other resources while they run: %s", error)
        return False
    return True


def _not_connected(connected: asyncio.Future[Any], ended: asyncio.Task[str]) -> None:
    if not connected.done():
        connected.set_exception(ConnectionError(f"it ended with {ended.result()}"))


async def _read(reader: asyncio.StreamReader) -> bytes:
    text = b""
    while part := await reader.read(65536):
        text += part
        if len(text) > _MAX_REPORT:
            raise ConnectionError(f"its report is larger than {_MAX_REPORT} bytes")
    return text
