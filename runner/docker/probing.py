"""Runs a probe in a container made exactly like a tenant's, and gives what it found."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from runner import probing, sockets
from runner.docker.engine import EngineAway, EngineError
from runner.docker.fleet import Fleet
from runner.docker.sandbox import DockerSandbox
from runner.docker.template import MIB, probe_body
from runner.launcher import ControlMissing, LaunchFailed, Resources, RunnerSpec, Trust
from runner.verdict import Report

log = logging.getLogger("plugbay.runner")

PROBED: Final = Resources(memory_bytes=128 * MIB, cpus=1)
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
    warnings: list[str] = []
    resizes: list[bool] = []

    async def start() -> DockerSandbox:
        sockets.open_to(address, member.uid)
        inside = probe_body(body(spec, member.uid), probing.SCRIPT.read_text("utf-8"), [sockets.inside(spec)])
        warnings.extend(await member.bring_up(inside, b""))
        return member

    async def resize() -> None:
        resizes.append(await _resizes(member))

    try:
        address.parent.mkdir(mode=0o700, parents=True)
        said = await probing.reported(address, start, resize)
    except EngineAway:
        raise
    except EngineError as error:
        raise ControlMissing(f"sandbox: the Docker Engine does not make one as it must be: {error}") from error
    except (OSError, LaunchFailed) as error:
        raise ControlMissing(f"sandbox: {error}") from error
    finally:
        await asyncio.shield(member.destroy("probed"))
        shutil.rmtree(address.parent, ignore_errors=True)
    return Finding(report=said.report, uid=member.uid, peer=said.peer, resizes=resizes == [True], warnings=warnings)


async def _resizes(member: DockerSandbox) -> bool:
    try:
        await member.resize(PROBED)
    except LaunchFailed as error:
        log.info("runners cannot be given other resources while they run: %s", error)
        return False
    return True
