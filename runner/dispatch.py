"""Which worker runs which call. Calls wait in one queue; a free worker takes the oldest.

When a call has waited long enough that the workers there are evidently too few, another is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from calls.call import Outcome
from runner.job import Job
from runner.worker_process import WorkerProcess

_PATIENCE_SECS: Final = 0.01
"""Seconds a call waits for the workers there are before another is asked for."""
_SPREAD: Final = 4
"""Coroutine calls in one worker before an idle worker is preferred."""


class Dispatcher:
    """The calls of one pool, waiting and running. `revision` is the least a worker must have."""

    def __init__(self, max_queue_secs: float, max_shared: int, grow: Callable[[], None]) -> None:
        self.revision = 0
        self.idle: list[WorkerProcess] = []
        """Workers without a call; the last one was busy most recently."""
        self.quiet = asyncio.Event()
        """Set while no accepted call is unanswered."""
        self.quiet.set()
        self.cold_until = 0.0
        """Monotonic time at which the owner's first worker was there: what was accepted before, waited for it."""
        self.refusal: str | None = None
        """Why calls cannot be run at present; waiting ones are then told so when their time is up."""
        self._max_queue_secs = max_queue_secs
        self._max_shared = max_shared
        self._ask_to_grow = grow
        self._sharing: dict[str, list[WorkerProcess]] = {}
        self._queue: deque[Job] = deque()
        self._active: Counter[tuple[str, str]] = Counter()
        self._growth: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """Calls waiting for a worker."""
        return len(self._queue)

    def accept(self, job: Job) -> None:
        """Takes one call; it is answered whatever happens."""
        call = job.call
        key = (call.module, call.function)
        if call.concurrency and self._active[key] >= call.concurrency:
            job.finish(Outcome.OVER_LIMIT, f"this endpoint is limited to {call.concurrency} calls at once")
            return
        self._active[key] += 1
        self.quiet.clear()
        job.on_answered = self._answered
        if not self._dispatch(job):
            self._wait(job)

    def _answered(self, job: Job) -> None:
        key = (job.call.module, job.call.function)
        self._active[key] -= 1
        if not self._active[key]:
            del self._active[key]
            if not self._active:
                self.quiet.set()

    def _dispatch(self, job: Job) -> bool:
        """Gives the call to a worker that has room for it, if there is one."""
        if job.call.revision > self.revision:
            return False
        worker = self._choose(job)
        if worker is None:
            return False
        job.bind = max(0.0, self.cold_until - job.accepted)
        worker.run(job)
        return True

    def _choose(self, job: Job) -> WorkerProcess | None:
        if not job.call.concurrent:
            return self.idle.pop() if self.idle else None
        sharing = self._sharing.setdefault(job.call.module, [])
        fit = [worker for worker in sharing if not worker.retiring and worker.revision >= self.revision]
        best = min(fit, key=lambda worker: len(worker.jobs), default=None)
        if self.idle and (best is None or len(best.jobs) >= _SPREAD):
            best = self.idle.pop()
            sharing.append(best)
        return best if best is not None and len(best.jobs) < self._max_shared else None

    def _wait(self, job: Job) -> None:
        self._queue.append(job)
        if self._growth is None:
            self._growth = self._loop.call_later(_PATIENCE_SECS, self._grow)
        if self._expiry is None:
            self._expiry = self._loop.call_later(self._max_queue_secs, self._expire)

    def _grow(self) -> None:
        self._growth = None
        if self._queue:
            oldest = self._queue[0]
            if time.monotonic() - oldest.accepted >= _PATIENCE_SECS and oldest.call.revision <= self.revision:
                self._ask_to_grow()
            self._growth = self._loop.call_later(_PATIENCE_SECS, self._grow)

    def _expire(self) -> None:
        """Refuses calls that waited too long. All may wait equally long, so the first due is in front."""
        self._expiry = None
        now = time.monotonic()
        while self._queue and now - self._queue[0].accepted >= self._max_queue_secs:
            waited = f"no worker was free within {self._max_queue_secs:g} s (MAX_QUEUE_SECS)"
            self._queue.popleft().finish(Outcome.UNAVAILABLE, self.refusal or waited)
        if self._queue:
            due = self._queue[0].accepted + self._max_queue_secs - now
            self._expiry = self._loop.call_later(due, self._expire)

    def refuse_waiting(self, reason: str) -> None:
        """Answers every waiting call as not run."""
        while self._queue:
            self._queue.popleft().finish(Outcome.UNAVAILABLE, reason)

    def advance(self) -> None:
        """Gives waiting calls to workers that have room."""
        while self._queue and self._dispatch(self._queue[0]):
            self._queue.popleft()

    def free(self, worker: WorkerProcess) -> None:
        """The worker has room for another call."""
        if not worker.busy:
            self._unshare(worker)
            self.idle.append(worker)
        if not self.cold_until:
            self.cold_until = time.monotonic()
        if self._queue:
            self.advance()

    def forget(self, worker: WorkerProcess) -> None:
        """The worker takes no more calls."""
        if worker in self.idle:
            self.idle.remove(worker)
        self._unshare(worker)

    def _unshare(self, worker: WorkerProcess) -> None:
        for module, sharing in self._sharing.items():
            if worker in sharing:
                sharing.remove(worker)
                if not sharing:
                    del self._sharing[module]
                return

    def close(self) -> None:
        """Stops its timers."""
        for timer in (self._growth, self._expiry):
            if timer is not None:
                timer.cancel()
