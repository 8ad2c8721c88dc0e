"""A worker as the host sees it: which calls it holds, and what happens when it answers, overruns or dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Final, Protocol

from calls import frames
from calls.call import SAID_BY_WORKER, Call, Kind, Outcome, Reply
from runner.connection import Connection
from runner.job import Job

CANCEL_SECS: Final = 1.0
"""Seconds a coroutine over its limit gets to end before its whole worker is killed."""
CLOSE_SECS: Final = 2.0
"""Seconds a worker gets to end by itself once its connection is closed."""

TIME_LIMIT: Final = "time limit"
MEMORY_LIMIT: Final = "memory limit"
_CLOSED: Final = ("the worker closed its connection", "connection closed")


class Supervisor(Protocol):
    """The pool that owns the worker."""

    def worker_free(self, worker: WorkerProcess) -> None:
        """It has room for another call."""

    def worker_over(self, worker: WorkerProcess, cause: str | None) -> None:
        """It takes no more calls and its last call is answered. `cause` is None when it was retired,
        else what ended it, in one of few fixed wordings."""

    def worker_kill(self, worker: WorkerProcess) -> None:
        """Have the zygote kill it with all its descendants."""


class WorkerProcess:
    """One worker. Sync calls have it to themselves; coroutine calls of one module share it."""

    def __init__(self, supervisor: Supervisor, connection: Connection, revision: int, max_log: int) -> None:
        self.revision = revision
        self.jobs: dict[str, Job] = {}
        self.shared_by: str | None = None
        """The module whose coroutines run here now."""
        self.over = False
        self.retiring = False
        self.idle_since = time.monotonic()
        self.calls = 0
        self._supervisor = supervisor
        self._connection = connection
        self._max_log = max_log
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._late: set[str] = set()
        self._killed: tuple[str, str] | None = None
        self._overran: str | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def busy(self) -> bool:
        """Holds at least one call, answered to its caller or not."""
        return bool(self.jobs) or bool(self._late)

    def ready(self) -> None:
        """It was sent its modules: calls may come."""
        if not self.over:
            self._supervisor.worker_free(self)

    def run(self, job: Job) -> None:
        """Sends it a call and starts its clock."""
        call = job.call
        job.start()
        self.jobs[call.id] = job
        self.shared_by = call.module if call.concurrent else None
        self._timers[call.id] = self._loop.call_later(call.limit, self._overrun, call)
        if call.kind is Kind.INVOKE:
            frame: frames.FromHost = frames.Invoke(call.id, call.module, call.function, call.payload)
        else:
            frame = frames.Inspect(call.id, call.module)
        self._connection.send(frames.encode(frame))

    def received(self, body: bytes) -> None:
        """A frame from the worker. Raises FrameError for anything but one answer per call it holds."""
        frame = frames.decode_from_worker(body)
        if not isinstance(frame, frames.Result):
            raise frames.FrameError("a second Hello")
        if frame.outcome not in SAID_BY_WORKER or len(frame.log) > self._max_log:
            raise frames.FrameError("a result no worker may give")
        if frame.call in self._late:
            self._late.discard(frame.call)
        else:
            self._answered(frame)
        if timer := self._timers.pop(frame.call, None):
            timer.cancel()
        if not self.jobs:
            self.shared_by = None
            self.idle_since = time.monotonic()
        if frame.retire or self.retiring:
            self.retire()
        elif not self.over:
            self._supervisor.worker_free(self)

    def _answered(self, frame: frames.Result) -> None:
        job = self.jobs.pop(frame.call, None)
        if job is None:
            raise frames.FrameError("a result for a call it does not hold")
        self.calls += 1
        queue, run = job.times()
        job.reply(
            Reply(
                call=frame.call,
                outcome=frame.outcome,
                payload=frame.payload,
                status=frame.status,
                headers=frame.headers,
                media_type=frame.media_type,
                log=frame.log,
                log_truncated=frame.log_truncated,
                queue=queue,
                bind=job.bind,
                run=run,
            )
        )

    def _overrun(self, call: Call) -> None:
        text = f"time limit of {call.limit:g} s reached"
        del self._timers[call.id]
        if call.concurrent:
            job = self.jobs.pop(call.id)
            self._late.add(call.id)
            self._timers[call.id] = self._loop.call_later(
                CANCEL_SECS, self.kill, f"{call.module} ignored its {text}", TIME_LIMIT
            )
            self._connection.send(frames.encode(frames.Cancel(call.id)))
            job.finish(Outcome.TIMED_OUT, text)
        else:
            self._overran = call.id
            self.kill(text, TIME_LIMIT)

    def retire(self) -> None:
        """Ends the worker once its calls are answered."""
        self.retiring = True
        if self.busy or self.over:
            return
        self._end(None)
        self._connection.close()
        self._timers[""] = self._loop.call_later(CLOSE_SECS, self._supervisor.worker_kill, self)

    def kill(self, reason: str, cause: str) -> None:
        """Kills it at once. Its calls are answered when its death, with its last output, is reported."""
        if self._killed is None:
            self._killed = (reason, cause)
            self._supervisor.worker_kill(self)

    def lost(self) -> None:
        """Its connection closed: whatever it is still doing, nobody will hear of it.

        Most likely it is dead and the zygote about to say of what; when it is killed at once, of that.
        """
        if self.busy and not self.over:
            self._timers["closed"] = self._loop.call_later(CLOSE_SECS, self.kill, *_CLOSED)
        elif not self.over:
            self.kill(*_CLOSED)

    def exited(self, status: int, output: bytes, *, starved: bool) -> None:
        """The zygote has reaped it; `starved`: the kernel had killed it for want of memory."""
        reason = cause = describe(status)
        if starved and self._killed in (None, _CLOSED):
            reason = cause = MEMORY_LIMIT
        elif self._killed is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            reason, cause = self._killed
        self.died(reason, cause, output)
        self._stop_timers()
        self._connection.abort()

    def died(self, reason: str, cause: str, output: bytes = b"") -> None:
        """It is dead or out of reach: answers the calls it held."""
        if self.over:
            return
        for job in self.jobs.values():
            outcome = Outcome.TIMED_OUT if job.call.id == self._overran else Outcome.DIED
            job.finish(outcome, reason, log=output)
        self.jobs.clear()
        self._end(cause)

    def _end(self, cause: str | None) -> None:
        self.over = True
        self._stop_timers()
        self._supervisor.worker_over(self, cause)

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


def describe(status: int) -> str:
    """A wait status in words: "exit code 3", "signal 9 (SIGKILL)"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"signal {number} ({signal.Signals(number).name})"
        except ValueError:
            return f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"
