"""Takes kept calls, a bounded number at once, and sees to it that each gets its result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import Final

from calls.kept import KeptCalls, KeptUnavailable, Taken
from gateway import answers
from gateway.kept import results
from gateway.kept.execution import Ended, Execution
from gateway.kept.keeping import Keeping
from gateway.observers import Observers

log = logging.getLogger("plugbay.kept")

POLL_SECS: Final = 0.5
"""Seconds after which calls that others have accepted, or that are due again, are looked for."""
LEASE_SECS: Final = 15.0
"""Seconds after which calls of a gateway that died are run by another one."""
RENEW_SECS: Final = LEASE_SECS / 3
"""Seconds after which a gateway says that its calls still run."""
BACKOFF_SECS: Final = (1, 2, 4, 8, 16, 30, 60)
"""Seconds from an attempt that says nothing of the function to the next. After one more it is given up."""
MAX_ATTEMPTS: Final = len(BACKOFF_SECS) + 1
SOON_SECS: Final = 1.0
"""The same after an attempt that does not count, because a limit was reached."""
STORE_ATTEMPTS: Final = 3
"""How often a result is tried to be kept, a second between; after that the call is run again."""

_UNDER_IT: Final = "what ran it ended each time, and nothing is known of it"


class Consumer:
    """Of one gateway, from `start` to the end of `drain`."""

    def __init__(
        self, kept: KeptCalls, keeping: Keeping, execution: Execution, observers: Observers, at_once: int, secs: float
    ) -> None:
        """`at_once`: calls that it runs at once; `secs`: how long a result is kept, and how long a call is tried."""
        self._kept = kept
        self._keeping = keeping
        self._execution = execution
        self._observers = observers
        self._counts = observers.metrics.kept
        self._at_once = at_once
        self._secs = secs
        self._news = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._owners: Counter[str] = Counter()
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be a call to be run."""
        self._news.set()

    def start(self) -> None:
        """Runs calls from now on."""
        self._loop = asyncio.create_task(self._run(), name="kept calls")
        self._renewing = asyncio.create_task(self._renew(), name="leases of kept calls")

    async def ended(self) -> None:
        """Returns when no calls are run any more; raises what it failed by."""
        if self._loop is not None:
            await asyncio.wait({self._loop})
            if not self._loop.cancelled():
                self._loop.result()

    def stop(self) -> None:
        """Takes no more."""
        self._stopping = True

    async def drain(self) -> None:
        """Returns when those that were taken have ended. What the end of the platform cuts short is run again, by another
        gateway or after the next start."""
        self.stop()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        for task in (self._loop, self._renewing):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        problem = ""
        while True:
            self._news.clear()
            try:
                await self._fill()
                problem = ""
            except KeptUnavailable as error:
                if str(error) != problem:
                    problem = str(error)
                    log.warning("kept calls are not run now: %s", problem)
            self._counts.waiting = self._kept.waiting
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECS):
                    await self._news.wait()

    async def _fill(self) -> None:
        """Begins as many calls as there are places. One owner has at most as many as are free."""
        while not self._stopping and (free := self._at_once - len(self._tasks)) > 0:
            taken = await self._kept.take([owner for owner, running in self._owners.items() if running >= free])
            if taken is None:
                return
            if taken.call.id not in self._tasks:  # else its lease could not be renewed in time
                self._begin(taken)

    def _begin(self, taken: Taken) -> None:
        id = taken.call.id
        self._owners[taken.call.owner] += 1
        self._counts.running += 1
        task = self._tasks[id] = asyncio.create_task(self._work(taken), name=f"kept call {taken.call.call}")

        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[id]
            self._owners[taken.call.owner] -= 1
            self._owners += Counter()  # without those that have none
            self._counts.running -= 1
            self._news.set()

        task.add_done_callback(ended)

    async def _renew(self) -> None:
        """However busy the other task is."""
        while True:
            await asyncio.sleep(RENEW_SECS)
            if self._tasks:
                with contextlib.suppress(KeptUnavailable):  # the other task says so
                    await self._kept.renew(list(self._tasks))

    async def _work(self, taken: Taken) -> None:
        try:
            await self._attempt(taken)
        except KeptUnavailable as error:
            log.warning("a kept call is run again, what became of it cannot be kept: %s", error)
            with contextlib.suppress(KeptUnavailable):  # it is after its lease
                await self._kept.again(taken, BACKOFF_SECS[0], counts=True)

    async def _attempt(self, taken: Taken) -> None:
        call, began = taken.call, time.perf_counter()
        if taken.attempt > MAX_ATTEMPTS:  # by the end of each gateway that took it
            ended: Ended | None = Ended(call.call, answers.refused(502, _UNDER_IT), None, again=True)
        else:
            ended = await self._execution.run(taken)
        if ended is None:
            await self._kept.forget(call.id)
            return
        if ended.again and self._stopping:
            await self._kept.again(taken, 0, counts=False)
            return
        given_up = ended.again and (taken.attempt >= MAX_ATTEMPTS if ended.counts else self._too_old(call.accepted))
        if ended.again and not given_up:
            self._counts.retried += ended.counts
            pause = BACKOFF_SECS[taken.attempt - 1] if ended.counts else SOON_SECS
            await self._kept.again(taken, pause, counts=ended.counts)
            return
        if given_up:
            self._counts.given_up += 1
            log.warning("a kept call is given up after %d attempts", taken.attempt, extra={"call": ended.call})
        await self._store(taken, ended, taken.attempt if given_up else 0)
        seconds = time.perf_counter() - began
        self._observers.answered(ended.call, call.client, call.method, call.path, ended.answer, seconds)

    async def _store(self, taken: Taken, ended: Ended, given_up: int) -> None:
        """Raises KeptUnavailable."""
        result, most = results.keep(ended.answer, ended.call, given_up), self._keeping.most(ended.plan)
        for attempt in range(1, STORE_ATTEMPTS + 1):
            try:
                await self._kept.finish(taken.call.id, result, most)
                return
            except KeptUnavailable:
                if attempt == STORE_ATTEMPTS:
                    raise
            await asyncio.sleep(1)

    def _too_old(self, accepted: float) -> bool:
        return time.time() - accepted > self._secs
