"""What pools do besides answering calls: a tenant's replaces runners that are worn out and ends those not needed, and
a further admin's has what they use be told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from runner.launcher import ControlMissing, LaunchFailed
from runner.runner import Runner

log = logging.getLogger("plugbay.runner")

CHECK_SECS: Final = 2.0
"""Seconds between two looks at the runners of a pool; a runner may answer more calls than it should for so long."""
MAX_MEMORY_LEFT: Final = 0.75
"""Part of a runner's memory that its calls may leave taken."""


class Weighing:
    """Has what a pool's runners use be told, and nothing else: of a pool whose runners stay, however worn."""

    def __init__(self, usable: Callable[[], list[Runner]]) -> None:
        """`usable` gives the runners that take calls."""
        self._usable = usable
        self._weighed: dict[str, int] = {}
        """Calls a runner had answered when it was last looked at and had no call, by its id."""

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECS)
            runners = self._usable()
            self._weighed = {runner.id: self._weighed.get(runner.id, 0) for runner in runners}
            for runner in runners:
                busy, calls = runner.busy, runner.calls
                if busy or calls != self._weighed[runner.id]:
                    await runner.look()
                    if not busy:
                        self._weighed[runner.id] = calls


class Keeper(Protocol):
    """The pool."""

    def usable(self) -> list[Runner]:
        """Runners that take calls."""

    def spare(self) -> int:
        """Runners there are because calls have waited; those that were there first are not counted."""

    async def replace(self, runner: Runner, reason: str) -> None:
        """Has another runner take its place, without losing a call. Raises LaunchFailed or ControlMissing."""

    def release(self, runner: Runner, reason: str) -> None:
        """Ends one that is not needed any more, without losing a call."""


class Upkeep:
    """One pool's. A look costs nothing but what the launcher takes to tell what a runner takes of the machine, and
    that is asked for only during calls and after some."""

    def __init__(self, keeper: Keeper, max_calls: int, idle_secs: float) -> None:
        """`max_calls`: of a runner until it is replaced, 0: any number; `idle_secs` without a call end a spare one."""
        self._keeper = keeper
        self._max_calls = max_calls
        self._idle_secs = idle_secs
        self._weighed: dict[str, int] = {}
        """Calls a runner had answered when it was asked for that and had no call, by the runner's id."""

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECS)
            runners = self._keeper.usable()
            self._weighed = {runner.id: self._weighed.get(runner.id, 0) for runner in runners}
            for runner in runners:
                if runner.usable:
                    await self._look(runner)

    async def _look(self, runner: Runner) -> None:
        if self._keeper.spare() and runner.idle_secs >= self._idle_secs:
            self._keeper.release(runner, "not needed any more")
        elif reason := await self._worn(runner):
            try:
                await self._keeper.replace(runner, reason)
            except (LaunchFailed, ControlMissing) as error:
                log.warning("runner %s is not replaced yet: %s", runner.id, error)

    async def _worn(self, runner: Runner) -> str | None:
        """Why the runner should be replaced; None: it may stay."""
        calls = runner.calls
        if 0 < self._max_calls <= calls:
            return f"has answered {calls} calls (RUNNER_MAX_CALLS)"
        busy = runner.busy
        if not busy and calls == self._weighed[runner.id]:
            return None
        used = await runner.look()
        if busy:  # its calls will give back what they hold
            return None
        self._weighed[runner.id] = calls
        if used is None or used.memory_bytes <= MAX_MEMORY_LEFT * runner.limits.resources.memory_bytes:
            return None
        return f"its calls left {used.memory_bytes} bytes of memory taken"
