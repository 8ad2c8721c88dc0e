"""Prewarmed runners that nobody owns yet. What is taken out never comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from calls.pools import PREWARMED, PoolStatus, PoolsUnavailable, Tally
from runner.connection import Connection
from runner.launcher import ControlMissing, LaunchFailed
from runner.runner import DRAINED, Runner
from runner.states import State
from runner.worker_process import WorkerProcess

log = logging.getLogger("plugbay.runner")

_RETRY_SECS: Final = 5.0
"""Seconds before another try when a runner could not be started."""
_SETTLE_SECS: Final = 0.1
"""Seconds before another takes the place of one that was taken: its taker waits for a first answer, and starting
a container would compete with that."""


class Stock:
    """Keeps `size` runners ready; `make` gives a new one that answers to this stock.

    `room` says whether one more runner is within the host's bound.
    """

    def __init__(self, size: int, make: Callable[[Stock], Runner], room: Callable[[], bool]) -> None:
        self.size = size
        self.tally = Tally()
        self._make = make
        self._room = room
        self._runners: list[Runner] = []
        self._filling: asyncio.Task[None] | None = None
        self._over: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Runners ready or starting."""
        return len(self._runners)

    @property
    def ready(self) -> int:
        """How many can be taken."""
        return sum(runner.ready for runner in self._runners)

    def fill(self) -> None:
        """Starts what is missing, one after another, in the background."""
        if self._filling is None and not self._closed and len(self._runners) < self.size and self._room():
            self._filling = asyncio.get_running_loop().create_task(self._start_one(), name="prewarm a runner")

    async def _start_one(self) -> None:
        runner = self._make(self)
        self._runners.append(runner)
        delay = 0.0
        began = time.monotonic()
        try:
            await runner.start()
            self.tally.starts.observe(time.monotonic() - began)
        except (LaunchFailed, ControlMissing) as error:
            log.error("no runner could be prewarmed: %s", error)
            delay = _RETRY_SECS
        self._filling = None
        asyncio.get_running_loop().call_later(delay, self.fill)

    def take(self) -> Runner | None:
        """A runner that is ready, for its taker to bind at once; another is started in its place."""
        for runner in self._runners:
            if runner.ready:
                self._runners.remove(runner)
                asyncio.get_running_loop().call_later(_SETTLE_SECS, self.fill)
                return runner
        return None

    def resize(self, size: int) -> None:
        """Keeps so many from now on."""
        self.size = size
        ready = [runner for runner in self._runners if runner.life.state is State.PREWARMED]
        for runner in ready[: max(0, len(self._runners) - size)]:
            runner.drain("fewer prewarmed runners wanted")
        self.fill()

    def drain(self) -> None:
        """Ends every prewarmed runner; others take their place."""
        for runner in list(self._runners):
            if runner.life.state is State.PREWARMED:
                runner.drain(DRAINED)

    def drain_one(self, runner: str) -> bool:
        """The same for one. False: there is no such runner. Raises PoolsUnavailable."""
        for one in self._runners:
            if one.id == runner:
                if one.life.state is State.STARTING:
                    raise PoolsUnavailable(f"runner {runner} is still starting")
                one.drain(DRAINED)
                return True
        return False

    async def close(self) -> None:
        """Ends them all; nothing of them is left."""
        self._closed = True
        for runner in list(self._runners):
            runner.destroy("shutting down")
        while self._over or self._filling is not None:
            await asyncio.wait([*self._over, *([self._filling] if self._filling is not None else [])])

    def status(self) -> PoolStatus:
        """The stock now, for operators."""
        runners = tuple(runner.status() for runner in self._runners)
        return PoolStatus(
            name=PREWARMED, kind=PREWARMED, size=self.size, runners=runners, queue=0, cold_starts=0, kills={}
        )

    # runner.runner.Owner: a runner without an owner has no workers.

    def worker_ready(self, runner: Runner, connection: Connection, purpose: str) -> WorkerProcess:  # noqa: ARG002
        """See Owner."""
        raise AssertionError(f"a worker of prewarmed runner {runner.id}")

    def worker_lost(self, runner: Runner, purpose: str, reason: str) -> None:  # noqa: ARG002
        """See Owner."""
        raise AssertionError(f"a worker of prewarmed runner {runner.id}")

    def consumed(self, seconds: float) -> None:
        """See Owner. It is whoever's the runner will be."""

    def runner_over(self, runner: Runner, reason: str) -> None:
        """See Owner."""
        if runner in self._runners:
            self._runners.remove(runner)
        task = asyncio.get_running_loop().create_task(runner.gone(), name="prewarmed runner is gone")
        self._over.add(task)
        task.add_done_callback(self._over.discard)
        if self._closed:
            return
        if runner.life.state is State.STOPPED:
            asyncio.get_running_loop().call_soon(self.fill)
        else:
            log.error("prewarmed runner %s lost: %s", runner.id, reason)
            asyncio.get_running_loop().call_later(_RETRY_SECS, self.fill)
