"""Launcher kind `docker`: every runner is a container, a tenant's one with every control or not at all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from runner import sockets
from runner.docker import template
from runner.docker.engine import Engine, EngineError, NotThere
from runner.docker.fleet import Fleet
from runner.docker.installation import Installation
from runner.docker.proof import Prover
from runner.docker.sandbox import DockerSandbox
from runner.docker.template import Wish
from runner.launcher import ControlMissing, LaunchFailed, RunnerSpec, Trust

log = logging.getLogger("plugbay.runner")


class DockerLauncher:
    """See runner.launcher.Launcher. `open` it first, and `close` it last."""

    def __init__(self, engine: Engine, installation: Installation) -> None:
        self._engine = engine
        self._installation = installation
        self._fleet = Fleet(engine, installation.name)
        self._prover = Prover(engine, self._fleet, installation)

    async def open(self) -> None:
        """Connects, removes what a predecessor left, and follows the Engine. Raises LaunchFailed."""
        try:
            await self._fleet.open()
        except EngineError as error:
            raise LaunchFailed(
                f"{error}; is the Docker Engine running, and may this user open {self._engine.socket}?"
            ) from error

    async def close(self) -> None:
        """Removes every container of this host and lets go of the Engine."""
        await self._fleet.close()
        self._engine.close()

    async def check(self, trust: Trust) -> None:
        """See launcher.Launcher."""
        wanted = self._installation
        try:
            if trust is Trust.TENANT:
                await self._prover.prove()
                return
            await self._engine.image(wanted.admin.image)
            await self._engine.network(wanted.network)
        except NotThere as error:
            raise ControlMissing(f"admin runners: {error}; ./docker-up.sh makes it") from error
        except EngineError as error:
            raise ControlMissing(str(error)) from error

    async def start(self, spec: RunnerSpec) -> DockerSandbox:
        """See launcher.Launcher."""
        member = self._fleet.add(spec)
        try:
            await self._bring_up(member, spec)
        except BaseException as error:
            await asyncio.shield(member.destroy("it was not started"))
            if isinstance(error, EngineError | OSError):
                raise LaunchFailed(f"a runner could not be started: {error}") from error
            raise
        return member

    async def _bring_up(self, member: DockerSandbox, spec: RunnerSpec) -> None:
        if spec.trust is Trust.TENANT:
            proof = await self._prover.prove()
            body = self._prover.body(proof.basis, spec, member.uid)
            member.peer = member.uid if proof.peer is None else proof.peer
        else:
            body = await self._admin_body(spec, member.uid)
        sockets.open_to(spec.socket, member.uid)
        for warning in await member.bring_up(body, spec.nonce):
            log.warning("runner %s: the Docker Engine: %s", spec.id, warning)

    async def _admin_body(self, spec: RunnerSpec, uid: int) -> dict[str, Any]:
        wanted = self._installation
        image = await self._engine.image(wanted.admin.image)
        quota = wanted.admin.quota(spec.resources)
        wish = Wish(spec=spec, installation=wanted.name, image=image, uid=uid, quota=quota)
        return template.admin_body(wish, network=wanted.network)

    def resizes(self, trust: Trust) -> bool:
        """See launcher.Launcher."""
        return trust is Trust.ADMIN or self._prover.resizes

    def admits(self, runner: str, uid: int) -> bool:
        """See launcher.Launcher."""
        member = self._fleet.get(runner)
        return member is not None and member.peer == uid
