"""The runners of one pool: started, bound, replaced when they end unasked, more of them while calls wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from runner.launcher import ControlMissing, LaunchFailed
from runner.limits import PoolLimits
from runner.runner import Limits, Owner, Runner
from runner.states import State
from runner.upkeep import Upkeep
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.runner")

_RESTART_SECS: Final = (0.1, 1.0, 5.0, 15.0)
"""Seconds before a runner that died young is replaced: each time longer."""
_YOUNG_SECS: Final = 10.0
_WIDEN_SECS: Final = 5.0
"""Seconds until another runner is asked for again when there could be none."""
_STOP_SECS: Final = 5.0
"""Seconds a drained runner gets to end by itself."""


class Supply(Protocol):
    """What a tenant is entitled to: prewarmed runners, and leave to start others."""

    async def limits(self) -> PoolLimits:
        """The bounds of its pool, by its plan as it is now. Raises StoreUnavailable."""

    def has_room(self) -> bool:
        """Whether one more runner is within the host's bound."""

    def take(self, limits: Limits) -> Runner | None:
        """A prewarmed runner to bind, which can be given these limits; None: start one. Raises LaunchFailed
        when neither is allowed now."""


class Boss(Owner, Protocol):
    """The pool."""

    name: str
    owner: str

    def runner_ready(self, runner: Runner) -> None:
        """One more takes calls."""

    def no_runner(self, reason: str) -> None:
        """None takes calls now, and none could be started."""


class Crew:
    """Keeps the runners wanted. With a `supply`, which a tenant's pool has, there are more of them while
    calls wait, and those that are worn out are replaced (see runner.upkeep.Keeper)."""

    def __init__(
        self,
        boss: Boss,
        make: Callable[[Limits], Runner],
        limits: PoolLimits,
        supply: Supply | None,
    ) -> None:
        """`make` gives a runner, not started, that answers to `boss`."""
        self.runners: list[Runner] = []
        """Whatever their state."""
        self.wanted = limits.runners
        self.limits = limits
        """As they are for the next runner."""
        self.closing = asyncio.Event()
        """Set once no runner is started any more."""
        self._boss = boss
        self._make = make
        self._supply = supply
        self._failures = 0
        self._widening = False
        self._upkeep: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def usable(self) -> list[Runner]:
        """Those that take calls."""
        return [runner for runner in self.runners if runner.usable]

    def _standing(self) -> int:
        """Runners that are there or on their way, without those on their way out."""
        return sum(runner.life.state is not State.DRAINING for runner in self.runners)

    # How they come.

    async def start(self) -> None:
        """Starts the runners wanted. Raises LaunchFailed or ControlMissing when one cannot be started."""
        for _ in range(self.wanted):
            await self._start_runner()
        if self._supply is not None:
            upkeep = Upkeep(self, self.limits.max_calls, self.limits.worker_idle_secs)
            self._upkeep = self.own(upkeep.run())

    async def _start_runner(self) -> None:
        await self._learn_limits()
        if self.closing.is_set():
            raise LaunchFailed("the platform is shutting down")
        try:
            runner = await self._taken() or await self._started()
        except (LaunchFailed, ControlMissing) as error:
            if not self.usable():
                self._boss.no_runner(str(error))
            raise
        self._boss.runner_ready(runner)

    async def _learn_limits(self) -> None:
        """A plan that was changed counts from the next runner on. Raises LaunchFailed when there is to be none."""
        if self._supply is not None:
            try:
                self.limits = await self._supply.limits()
            except StoreUnavailable as error:
                log.warning("pool %s: the last plan known of it holds: %s", self._boss.name, error)

    async def _taken(self) -> Runner | None:
        """A prewarmed runner, bound; None when there is none that can be had."""
        limits = self.limits.runner
        runner = None if self._supply is None else self._supply.take(limits)
        if runner is None:
            return None
        self.runners.append(runner)
        try:
            await runner.bind(self._boss.owner, self._boss, limits)
        except LaunchFailed as error:
            self.runners.remove(runner)
            log.warning("pool %s: prewarmed runner %s is not used: %s", self._boss.name, runner.id, error)
            if self.closing.is_set():
                raise
            return None
        return runner

    async def _started(self) -> Runner:
        runner = self._make(self.limits.runner)
        self.runners.append(runner)
        await runner.start()
        await runner.bind(self._boss.owner, self._boss, runner.limits)
        return runner

    async def scale(self, size: int) -> None:
        """Sets the runners wanted; returns when they are there, or draining. Raises ValueError or LaunchFailed."""
        if not 1 <= size <= self.limits.max_runners:
            raise ValueError(f"size must be between 1 and {self.limits.max_runners} (MAX_RUNNERS)")
        self.wanted = size
        usable = self.usable()
        for runner in usable[size:]:
            runner.drain("scaled down")
        for _ in range(size - len(usable)):
            await self._start_runner()

    def widen(self) -> None:
        """Calls wait and every worker is busy: a tenant gets another runner, where plan and host have room."""
        if self._supply is not None and len(self.usable()) >= self.wanted and not self._widening:
            self._widening = True
            self.own(self._widen(self._supply))

    async def _widen(self, supply: Supply) -> None:
        with contextlib.suppress(LaunchFailed):  # the tenant is gone, and its pool about to be
            await self._learn_limits()
        if self.wanted < self.limits.max_runners and supply.has_room():
            self.wanted += 1
            try:
                await self._start_runner()
            except (LaunchFailed, ControlMissing) as error:
                self.wanted -= 1
                log.warning("pool %s: there is no further runner: %s", self._boss.name, error)
            else:
                self._widening = False
                return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WIDEN_SECS):
                await self.closing.wait()
        self._widening = False

    # How they go (see runner.upkeep.Keeper for the first three).

    def spare(self) -> int:
        """See Keeper."""
        return self.wanted - self.limits.runners

    async def replace(self, runner: Runner, reason: str) -> None:
        """See Keeper."""
        if self._supply is None or self._supply.has_room():
            await self._start_runner()
        elif runner.busy:
            raise LaunchFailed("there is no room for another one while it is busy")
        runner.drain(reason)

    def release(self, runner: Runner, reason: str) -> None:
        """See Keeper."""
        self.wanted -= 1
        runner.drain(reason)

    def over(self, runner: Runner, reason: str) -> None:
        """A runner has ended; another is started when too few are left."""
        self.runners.remove(runner)
        self.own(runner.gone())
        if self._standing() < self.wanted and not self.closing.is_set():
            died_young = runner.life.state is State.FAILED and runner.status().age_secs < _YOUNG_SECS
            self._failures = self._failures + 1 if died_young else 0
            delay = _RESTART_SECS[min(self._failures, len(_RESTART_SECS)) - 1] if self._failures else 0.0
            level = logging.ERROR if runner.life.state is State.FAILED else logging.INFO
            log.log(
                level, "pool %s: runner %s is over: %s; replaced in %g s", self._boss.name, runner.id, reason, delay
            )
            self.own(self._start_another(delay))

    async def _start_another(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self.closing.wait()
        except TimeoutError:
            if self._standing() < self.wanted:
                try:
                    await self._start_runner()
                except (LaunchFailed, ControlMissing) as error:
                    log.error("pool %s: a runner could not be started: %s", self._boss.name, error)

    async def end(self) -> None:
        """Ends every runner, those without a call by draining; nothing is left."""
        self.closing.set()
        if self._upkeep is not None:
            self._upkeep.cancel()
        ending = list(self.runners)
        for runner in ending:
            if runner.busy or not runner.usable:
                runner.destroy("shutting down")
            else:
                runner.drain("shutting down")
        for runner in ending:
            overdue = self._loop.call_later(_STOP_SECS, runner.destroy, "did not stop in time")
            await runner.gone()
            overdue.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def own(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs it; `end` waits for it."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
