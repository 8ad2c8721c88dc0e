"""Every container of this installation: those that run are followed, those that are nobody's removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from runner.docker import events, template
from runner.docker.engine import Conflict, Engine, NotThere
from runner.docker.sandbox import DockerSandbox
from runner.launcher import LaunchFailed, RunnerSpec
from runner.uids import NoUid, Uids

log = logging.getLogger("plugbay.runner")

_FIRST_UID: Final = 200_001
_UIDS: Final = 50_000
"""Bounds starts to as many an hour."""


class Fleet:
    """What this host believes to exist, kept in step with what the Engine has."""

    def __init__(self, engine: Engine, installation: str) -> None:
        self._engine = engine
        self._label = template.label(installation)
        self._uids = Uids(_FIRST_UID, _UIDS)
        self._members: dict[str, DockerSandbox] = {}
        self.connections = 0
        """How often this host and the Engine came together: the Engine may be another one after each."""
        self._closed = False
        self._follower: asyncio.Task[None] | None = None
        self._pauses: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Removes what a predecessor left, and follows the Engine from now on. Raises EngineError."""
        await self._engine.open()
        await self._reconcile()
        self._follower = asyncio.create_task(
            events.follow(self._engine.socket, self._label, self._reconcile, self._happened),
            name="follow the Docker Engine",
        )

    async def close(self) -> None:
        """Removes every container there is; none is made any more."""
        self._closed = True
        await asyncio.gather(*(member.destroy("shutting down") for member in list(self._members.values())))
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    def add(self, spec: RunnerSpec) -> DockerSandbox:
        """A sandbox with a user id of its own, not created yet; it leaves when it is removed. Raises LaunchFailed."""
        if self._closed:
            raise LaunchFailed("the platform is shutting down")
        try:
            uid = self._uids.take()
        except NoUid as error:
            raise LaunchFailed(str(error)) from error
        member = DockerSandbox(spec.id, template.container_name(spec), uid, self._engine, self._left)
        self._members[spec.id] = member
        return member

    def get(self, runner: str) -> DockerSandbox | None:
        """The sandbox of this runner, until it is removed."""
        return self._members.get(runner)

    def _left(self, member: DockerSandbox, removed: bool) -> None:
        del self._members[member.id]
        if removed:
            self._uids.give_back(member.uid)

    async def _reconcile(self) -> None:
        """Makes belief and fact agree, after a time without news. Raises EngineError."""
        self.connections += 1
        believed = [member for member in self._members.values() if member.container]
        for container, labels in (await self._engine.labelled(self._label)).items():
            if labels.get(template.LABEL_RUNNER) not in self._members:
                log.warning("container %s is left over: removed", container[:12])
                with contextlib.suppress(NotThere, Conflict):  # its own removal was under way
                    await self._engine.remove(container)
        for member in believed:
            try:
                state = await self._engine.state(member.container)
            except NotThere:
                member.died(None)
                continue
            if state.paused:
                self._end_paused(member)
            elif not state.running:
                member.died(state.exit_code)

    def _happened(self, container: str, action: str, attributes: dict[str, str]) -> None:
        member = self._members.get(attributes.get(template.LABEL_RUNNER, ""))
        if member is None or member.container != container:
            return
        if action == "pause":
            self._end_paused(member)
        else:
            member.died(int(attributes["exitCode"]) if action == "die" else None)

    def _end_paused(self, member: DockerSandbox) -> None:
        """A paused runner answers nothing and holds its calls: it is ended instead."""
        task = asyncio.create_task(member.destroy("paused by somebody else"), name=f"end paused {member.name}")
        self._pauses.add(task)
        task.add_done_callback(self._pauses.discard)
