"""The runners of one pool: started, bound, replaced when they end unasked, more of them while calls wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from calls.pools import Tally, UnknownRunner
from runner.launcher import ControlMissing, LaunchFailed
from runner.limits import PoolLimits
from runner.runner import DRAINED, Limits, Owner, Runner
from runner.states import State
from runner.upkeep import Upkeep, Weighing
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

    def refuse_waiting(self, reason: str) -> None:
        """None takes calls, and none will in time for those that wait."""


class Crew:
    """Keeps the runners wanted. With a `supply`, which a tenant's pool has, there are more of them while
    calls wait, and those that are worn out are replaced (see runner.upkeep.Keeper)."""

    def __init__(
        self,
        boss: Boss,
        make: Callable[[Limits], Runner],
        limits: PoolLimits,
        supply: Supply | None,
        weighs: bool,
    ) -> None:
        """`make` gives a runner, not started, that answers to `boss`. `weighs`: somebody wants to know their processor
        time, without a `supply` too."""
        self.runners: list[Runner] = []
        """Whatever their state."""
        self.wanted = limits.runners
        self.limits = limits
        """As they are for the next runner."""
        self.closing = asyncio.Event()
        """Set once no runner is started any more."""
        self.tally = Tally()
        self.decided_at: dict[Runner, float] = {}
        """When it was decided that a runner is needed; until it has its first worker."""
        self._boss = boss
        self._make = make
        self._supply = supply
        self._weighs = weighs
        self._failures = 0
        self._refilling = False
        self._widening = False
        self._changing = asyncio.Lock()
        """Held by whoever counts runners, and starts or ends some after that count."""
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
        async with self._changing:
            await self._fill()
        if self._supply is not None:
            upkeep = Upkeep(self, self.limits.max_calls, self.limits.worker_idle_secs)
            self._upkeep = self.own(upkeep.run())
        elif self._weighs:
            self._upkeep = self.own(Weighing(self.usable).run())

    async def _fill(self) -> None:
        while self._standing() < self.wanted:
            decided_at = time.monotonic()
            await self._learn_limits()
            await self._start_runner(decided_at)

    async def _start_runner(self, decided_at: float) -> None:
        """Takes or starts one more, whose place is its own at once: nothing is awaited until it is among `runners`."""
        if self.closing.is_set():
            raise LaunchFailed("the platform is shutting down")
        try:
            runner = await self._taken() or await self._started()
        except (LaunchFailed, ControlMissing) as error:
            if not self.usable():
                self._boss.no_runner(str(error))
            raise
        self.decided_at[runner] = decided_at
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
        if self._supply is None:
            return None
        try:
            runner = self._supply.take(limits)
        except LaunchFailed as error:
            if not self.usable():
                self._boss.refuse_waiting(str(error))
            raise
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
        began = time.monotonic()
        await runner.start()
        self.tally.starts.observe(time.monotonic() - began)
        await runner.bind(self._boss.owner, self._boss, runner.limits)
        return runner

    async def scale(self, size: int) -> None:
        """Sets the runners wanted; returns when they are there, or draining. Raises ValueError, LaunchFailed or
        ControlMissing."""
        if not 1 <= size <= self.limits.max_runners:
            raise ValueError(f"size must be between 1 and {self.limits.max_runners} (MAX_RUNNERS)")
        async with self._changing:
            self.wanted = size
            for runner in self.usable()[size:]:
                runner.drain("scaled down")
            await self._fill()

    def has(self, runner: str) -> bool:
        """Whether it is one of these."""
        return any(one.id == runner for one in self.runners)

    async def drain(self, runner: str) -> None:
        """Ends one runner once its calls are answered; another takes its place first. Raises UnknownRunner,
        LaunchFailed or ControlMissing."""
        async with self._changing:
            if not self.has(runner):
                raise UnknownRunner(runner)
            for one in self.usable():
                if one.id == runner:
                    await self._replace(one, DRAINED)

    def widen(self) -> None:
        """Calls wait and every worker is busy: a tenant gets another runner, where plan and host have room."""
        if self._supply is not None and len(self.usable()) >= self.wanted and not self._widening:
            self._widening = True
            self.own(self._widen(self._supply))

    async def _widen(self, supply: Supply) -> None:
        async with self._changing:
            decided_at = time.monotonic()
            with contextlib.suppress(LaunchFailed):  # the tenant is gone, and its pool about to be
                await self._learn_limits()
            if self.wanted < self.limits.max_runners and supply.has_room():
                self.wanted += 1
                try:
                    await self._start_runner(decided_at)
                except (LaunchFailed, ControlMissing) as error:
                    self.wanted -= 1
                    log.warning("pool %s: there is no further runner: %s", self._boss.name, error)
                else:
                    self._widening = False
                    return
        await self._closes_within(_WIDEN_SECS)
        self._widening = False

    # How they go (see runner.upkeep.Keeper for the first three).

    def spare(self) -> int:
        """See Keeper."""
        return self.wanted - self.limits.runners

    async def replace(self, runner: Runner, reason: str) -> None:
        """See Keeper."""
        async with self._changing:
            if runner.usable:
                await self._replace(runner, reason)

    async def _replace(self, runner: Runner, reason: str) -> None:
        if self._standing() <= self.wanted:
            decided_at = time.monotonic()
            await self._learn_limits()
            if self._supply is None or self._supply.has_room():
                await self._start_runner(decided_at)
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
        self.decided_at.pop(runner, None)
        self.own(runner.gone())
        if self._standing() >= self.wanted or self.closing.is_set():
            return
        failed = runner.life.state is State.FAILED
        self._failures = self._failures + 1 if failed and runner.status().age_secs < _YOUNG_SECS else 0
        level = logging.ERROR if failed else logging.INFO
        log.log(
            level, "pool %s: runner %s is over: %s; replaced in %g s", self._boss.name, runner.id, reason, self._delay()
        )
        if not self._refilling:
            self._refilling = True
            self.own(self._refill(self._delay()))

    def _delay(self) -> float:
        return _RESTART_SECS[min(self._failures, len(_RESTART_SECS)) - 1] if self._failures else 0.0

    async def _refill(self, delay: float) -> None:
        """Starts the runners that are missing, however often it takes."""
        while not await self._closes_within(delay):
            async with self._changing:
                try:
                    await self._fill()
                except (LaunchFailed, ControlMissing) as error:
                    log.error("pool %s: a runner could not be started: %s", self._boss.name, error)
                    self._failures += 1
                    delay = self._delay()
                else:
                    self._refilling = False
                    return

    async def _closes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.closing.wait()
        except TimeoutError:
            return False

    def drain_all(self, reason: str) -> None:
        """Ends every runner that takes calls, once those it has are answered."""
        for runner in self.usable():
            runner.drain(reason)

    async def end(self) -> None:
        """Ends every runner, those without a call by draining; nothing is left."""
        self.closing.set()
        if self._upkeep is not None:
            self._upkeep.cancel()
        ending = list(self.runners)
        for runner in ending:
            if runner.busy or not (runner.usable or runner.life.state is State.DRAINING):
                runner.destroy("shutting down")
        self.drain_all("shutting down")
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
