"""Imports modules to learn their endpoints, in workers of their own that never run a call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from calls.call import Outcome
from runner.connection import Connection
from runner.job import Job
from runner.modules import OwnerModules
from runner.worker_process import WorkerProcess

MAX_WORKERS: Final = 2
"""Modules inspected at once."""
_LINGER_SECS: Final = 0.5
"""Seconds an inspecting worker waits for the next module of the same batch."""

_candidates = msgspec.msgpack.Decoder(dict[str, str])


class Inspector:
    """Answers INSPECT calls. Their payload is the batch: candidate modules, name → digest, that are
    importable besides the owner's own. Calls with the same batch share a worker."""

    def __init__(self, modules: OwnerModules, fork: Callable[[], bool], kill: Callable[[WorkerProcess], None]) -> None:
        self._modules = modules
        self._fork = fork
        self._kill = kill
        self._queue: deque[Job] = deque()
        self._workers: dict[WorkerProcess, bytes] = {}
        self._starting: asyncio.Task[None] | None = None
        self._prepared: tuple[bytes, bytes] | None = None

    @property
    def quiet(self) -> bool:
        """No accepted INSPECT is unanswered."""
        return not self._queue and not any(worker.busy for worker in self._workers)

    def accept(self, job: Job) -> None:
        """Takes one INSPECT; it is answered whatever happens."""
        self._queue.append(job)
        left = max(0.0, job.call.deadline - time.time())
        expiry = asyncio.get_running_loop().call_later(left, self._expire, job)
        job.on_answered = lambda _: expiry.cancel()  # which would keep the job, and its batch, for minutes
        self.advance()

    def _expire(self, job: Job) -> None:
        if job in self._queue:
            self._queue.remove(job)
            job.finish(Outcome.UNAVAILABLE, "no worker to import the module was there in time")

    def advance(self) -> None:
        """Gives waiting modules to idle workers of their batch, or has another worker started."""
        for worker, batch in list(self._workers.items()):
            if self._queue and not worker.busy and self._queue[0].call.payload == batch:
                worker.run(self._queue.popleft())
        if self._queue and self._starting is None and self._prepared is None and len(self._workers) < MAX_WORKERS:
            batch = self._queue[0].call.payload
            self._starting = asyncio.get_running_loop().create_task(self._start(batch), name="prepare inspection")

    async def _start(self, batch: bytes) -> None:
        try:
            encoded = await self._modules.encoded_with(_candidates.decode(batch))
        except msgspec.DecodeError:
            self._queue.popleft().finish(Outcome.MALFORMED, "not a batch of candidate modules")
            return
        finally:
            self._starting = None
        if self._fork():
            self._prepared = (batch, encoded)

    def attach(self, connection: Connection, max_log: int) -> tuple[WorkerProcess, bytes]:
        """Takes a forked worker, and gives the frames of the modules it is to know."""
        batch, encoded = self._prepared or (b"", b"")
        self._prepared = None
        worker = WorkerProcess(self, connection, 0, max_log)
        self._workers[worker] = batch
        return worker, encoded

    def not_started(self, reason: str) -> None:
        """The worker it asked for is not to be."""
        self._prepared = None
        if self._queue:
            self._queue.popleft().finish(Outcome.UNAVAILABLE, f"no worker to import the module: {reason}")
        self.advance()

    def renew(self) -> None:
        """Packages or variables have changed: what is imported from now on is so in new workers."""
        for worker in list(self._workers):
            worker.retire()

    def refuse_waiting(self, reason: str) -> None:
        """Answers what waits as not run."""
        while self._queue:
            self._queue.popleft().finish(Outcome.UNAVAILABLE, reason)

    def close(self) -> None:
        """Answers what waits, and starts nothing more."""
        if self._starting is not None:
            self._starting.cancel()
        self.refuse_waiting("the platform is shutting down")
        for worker in list(self._workers):
            worker.kill("shutting down", "shutting down")

    # runner.worker_process.Supervisor

    def worker_free(self, worker: WorkerProcess) -> None:
        """See Supervisor."""
        self.advance()
        if not worker.busy:
            asyncio.get_running_loop().call_later(_LINGER_SECS, self._retire_if_idle, worker)
            if self._queue and len(self._workers) >= MAX_WORKERS:
                worker.retire()  # the next batch needs its place

    def _retire_if_idle(self, worker: WorkerProcess) -> None:
        if worker in self._workers and not worker.busy:
            worker.retire()

    def worker_over(self, worker: WorkerProcess, cause: str | None) -> None:  # noqa: ARG002
        """See Supervisor."""
        self._workers.pop(worker, None)
        self.advance()

    def worker_kill(self, worker: WorkerProcess) -> None:
        """See Supervisor."""
        self._kill(worker)
