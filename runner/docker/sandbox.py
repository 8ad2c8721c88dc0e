"""One runner's container, from its creation to its removal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from runner.docker import template
from runner.docker.engine import Conflict, Engine, EngineAway, EngineError, NotThere
from runner.launcher import LaunchFailed, Resources, Used

log = logging.getLogger("plugbay.runner")

_REMOVE_SECS: Final = 30.0
"""Seconds an Engine that is away gets to come back and remove a container; then that is left to the
reconciliation on its return."""
_RETRY_SECS: Final = 0.1

_T = TypeVar("_T")


class DockerSandbox:
    """See runner.launcher.Sandbox. `over` is called once, when the container is removed or, with
    False, when it could not be."""

    def __init__(
        self, runner: str, name: str, uid: int, engine: Engine, over: Callable[[DockerSandbox, bool], None]
    ) -> None:
        self.name = name
        self.uid = uid
        self.peer = uid
        """User id that the host sees at the other end of its connections; a runtime may connect on its behalf."""
        self.container = ""
        """The Engine's id of it, once it has one."""
        self._runner = runner
        self._engine = engine
        self._over = over
        self._asked: asyncio.Future[Any] | None = None
        self._reason: str | None = None
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._inspection: asyncio.Task[None] | None = None
        self._removal: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """See launcher.Sandbox."""
        return self._runner

    async def bring_up(self, body: dict[str, Any], stdin: bytes) -> list[str]:
        """Creates and starts it; gives the Engine's warnings. Raises EngineError; `destroy` is due even then."""
        self.container, warnings = await self._ask(self._engine.create(self.name, body))
        await self._ask(self._engine.start(self.container, stdin))
        return warnings

    async def _ask(self, request: Awaitable[_T]) -> _T:
        """A request that goes on when its waiter is cancelled: `destroy` must know what came of it."""
        asked = self._asked = asyncio.ensure_future(request)
        return await asyncio.shield(asked)

    async def wait(self) -> str:
        """See launcher.Sandbox."""
        return await asyncio.shield(self._ended)

    async def resize(self, resources: Resources) -> None:
        """See launcher.Sandbox."""
        try:
            await self._engine.update(self.container, template.changeable(resources.memory_bytes, resources.cpus))
        except EngineError as error:
            raise LaunchFailed(f"a runner could not be given the resources of its plan: {error}") from error

    async def used(self) -> Used | None:
        """See launcher.Sandbox."""
        try:
            return await self._engine.used(self.container)
        except EngineError as error:
            log.debug("runner %s: %s", self._runner, error)
            return None

    def died(self, exit_code: int | None) -> None:
        """Process 1 has ended, as the Engine says; None when the container is gone and cannot be asked."""
        if self._inspection is None and not self._ended.done():
            self._inspection = asyncio.create_task(self._find_out(exit_code), name=f"why runner {self._runner} ended")

    async def _find_out(self, exit_code: int | None) -> None:
        reason = "removed by somebody else" if exit_code is None else describe(exit_code, out_of_memory=False)
        try:
            state = await self._engine.state(self.container)
            reason = describe(state.exit_code, out_of_memory=state.out_of_memory)
        except EngineError as error:
            log.debug("runner %s: %s", self._runner, error)
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(self._reason or reason)

    async def destroy(self, reason: str) -> None:
        """See launcher.Sandbox."""
        if self._reason is None and self._inspection is None:
            self._reason = reason
        if self._removal is None:
            self._removal = asyncio.create_task(self._remove(), name=f"remove container {self.name}")
        await asyncio.shield(self._removal)

    async def _remove(self) -> None:
        removed = True
        if self._asked is not None:
            await asyncio.gather(self._asked, return_exceptions=True)
            removed = await self._removed()
        if self._inspection is not None:
            await self._inspection
        self._end("removed")
        self._over(self, removed)

    async def _removed(self) -> bool:
        deadline = asyncio.get_running_loop().time() + _REMOVE_SECS
        while asyncio.get_running_loop().time() < deadline:
            try:
                await self._engine.remove(self.name)
            except NotThere:
                return True
            except (Conflict, EngineAway) as error:
                log.debug("container %s: %s", self.name, error)
                if not self.container:  # it may never have been made: not worth keeping anybody waiting
                    return False
            except EngineError as error:
                log.warning("container %s could not be removed: %s", self.name, error)
            else:
                return True
            await asyncio.sleep(_RETRY_SECS)
        log.error("container %s could not be removed within %g s", self.name, _REMOVE_SECS)
        return False


def describe(exit_code: int, *, out_of_memory: bool) -> str:
    """A container's exit code in words: "exit code 3", "signal 9 (SIGKILL)", "memory limit"."""
    number = exit_code - 128
    if number == signal.SIGKILL and out_of_memory:
        return "memory limit"
    if number in signal.valid_signals():
        try:
            return f"signal {number} ({signal.Signals(number).name})"
        except ValueError:
            return f"signal {number}"
    return f"exit code {exit_code}"
