"""One owner's pool: how many runners and workers there are, and what they are given."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from calls import frames
from calls.call import Kind, Outcome
from calls.pools import PoolStatus
from runner.connection import Connection
from runner.dispatch import Dispatcher
from runner.inspector import Inspector
from runner.job import Job
from runner.launcher import ControlMissing, Launcher, LaunchFailed, Trust
from runner.modules import ModuleSource, OwnerModules
from runner.runner import Limits, Runner
from runner.worker_process import WorkerProcess

log = logging.getLogger("plugbay.runner")

_RESTART_SECS: Final = (0.1, 1.0, 5.0, 15.0)
"""Seconds before a runner that died young is replaced: each time longer."""
_YOUNG_SECS: Final = 10.0
_STOP_SECS: Final = 5.0
"""Seconds a drained runner gets to end by itself."""
_CALLS: Final = "calls"
_INSPECTION: Final = "inspection"


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of a pool."""

    runners: int
    """Runners at the start."""
    max_runners: int
    warm_workers: int
    """Workers kept ready per runner."""
    worker_idle_secs: float
    worker_async_calls: int
    max_queue_secs: float
    max_result: int
    """Bytes of a result."""
    runner: Limits


class Environment(Protocol):
    """What an owner's code finds besides its modules."""

    def variables(self) -> dict[str, str]:
        """Environment variables of the owner's own."""

    def packages(self) -> list[str]:
        """Folders with third-party packages."""


class Supply(Protocol):
    """Prewarmed runners, and leave to start others."""

    def take(self) -> Runner | None:
        """A prewarmed runner to bind at once; None: start one. Raises LaunchFailed when neither is allowed now."""


class Pool:
    """Runs the calls of one owner."""

    def __init__(
        self,
        name: str,
        owner: str,
        trust: Trust,
        launcher: Launcher,
        source: ModuleSource,
        environment: Environment,
        folder: Path,
        limits: PoolLimits,
        supply: Supply | None = None,
    ) -> None:
        """`supply`: where a runner comes from that need not be started here."""
        self.name = name
        self.owner = owner
        self._supply = supply
        self._trust = trust
        self._launcher = launcher
        self._environment = environment
        self._folder = folder
        self._limits = limits
        self._modules = OwnerModules(owner, source)
        self._dispatcher = Dispatcher(limits.max_queue_secs, limits.worker_async_calls, self._grow)
        self._inspector = Inspector(self._modules, self._fork_inspector, self.worker_kill)
        self._wanted = limits.runners
        self._runners: list[Runner] = []
        self._homes: dict[WorkerProcess, Runner] = {}
        self._kills: Counter[str] = Counter()
        self._cold_starts = 0
        self._failures = 0
        self._shrinking: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def accept(self, job: Job) -> None:
        """Takes one call; it is answered whatever happens."""
        if self._closing.is_set():
            job.finish(Outcome.UNAVAILABLE, "the platform is shutting down")
        elif self._dispatcher.refusal is not None and not self._runners:
            job.finish(Outcome.UNAVAILABLE, self._dispatcher.refusal, retry_after=5)
        elif job.call.kind is Kind.INSPECT:
            self._inspector.accept(job)
        else:
            self.prepare(job.call.revision)
            self._dispatcher.accept(job)

    def prepare(self, revision: int) -> None:
        """There may be a newer module set: replaces workers, at best before the first call that needs it."""
        if revision > self._modules.revision:
            self._own(self._refresh(revision))

    async def _refresh(self, revision: int) -> None:
        await self._modules.refresh(revision)
        self._dispatcher.revision = self._modules.revision
        for worker in list(self._dispatcher.idle):
            if worker.revision < self._modules.revision:
                worker.retire()
        self._dispatcher.advance()

    @property
    def runners(self) -> int:
        """Runners there are, whatever their state."""
        return len(self._runners)

    @property
    def quiet(self) -> bool:
        """No accepted call is unanswered."""
        return self._dispatcher.quiet.is_set()

    def refuse_waiting(self, reason: str) -> None:
        """Answers every waiting call as not run."""
        self._dispatcher.refuse_waiting(reason)

    def renew(self) -> None:
        """Replaces every worker as soon as its calls are answered: its packages or variables have changed."""
        for worker in list(self._homes):
            worker.retire()

    # Workers (runner.runner.Owner and runner.worker_process.Supervisor).

    def worker_ready(self, runner: Runner, connection: Connection, purpose: str) -> WorkerProcess:
        """See Owner."""
        begin = frames.encode(
            frames.Begin(self._environment.variables(), self._limits.max_result, self._environment.packages())
        )
        if purpose == _INSPECTION:
            worker, bundles = self._inspector.attach(connection, self._limits.runner.max_log)
        else:
            worker = WorkerProcess(self, connection, self._modules.revision, self._limits.runner.max_log)
            bundles = self._modules.encoded
            self._homes[worker] = runner
        connection.send(bundles + begin)
        # The runner knows the worker only once this returns: before, it must not be given a call.
        self._loop.call_soon(worker.ready if runner.usable else worker.retire)
        return worker

    def worker_lost(self, runner: Runner, purpose: str, reason: str) -> None:
        """See Owner."""
        log.warning("pool %s: runner %s: a worker did not start: %s", self.name, runner.id, reason)
        if purpose == _INSPECTION:
            self._inspector.not_started(reason)

    def worker_free(self, worker: WorkerProcess) -> None:
        """See Supervisor."""
        if worker.revision < self._modules.revision:
            worker.retire()
        else:
            self._dispatcher.free(worker)

    def worker_over(self, worker: WorkerProcess, cause: str | None) -> None:
        """See Supervisor."""
        self._dispatcher.forget(worker)
        if cause is not None:
            self._kills[cause] += 1
            log.warning("pool %s: worker lost: %s", self.name, cause)
        home = self._homes.pop(worker)
        self._loop.call_soon(self._keep_warm, home)

    def worker_kill(self, worker: WorkerProcess) -> None:
        """See Supervisor."""
        for runner in self._runners:
            runner.kill(worker)

    def _fork_inspector(self) -> bool:
        for runner in self._runners:
            if runner.usable:
                runner.fork(_INSPECTION)
                return True
        return False

    def _keep_warm(self, runner: Runner) -> None:
        if runner.usable:
            for _ in range(self._limits.warm_workers - runner.size):
                runner.fork(_CALLS)

    def _grow(self) -> None:
        """Forks one more worker, where there is room and none is on its way already."""
        usable = [runner for runner in self._runners if runner.usable]
        room = [runner for runner in usable if runner.size < self._limits.runner.workers]
        if room and not any(runner.forking for runner in usable):
            min(room, key=lambda runner: runner.size).fork(_CALLS)
            self._cold_starts += 1
            if self._shrinking is None:
                self._shrinking = self._loop.call_later(self._limits.worker_idle_secs, self._shrink)

    def _shrink(self) -> None:
        """Ends workers that were idle for long, down to the warm ones."""
        self._shrinking = None
        now = time.monotonic()
        for worker in list(self._dispatcher.idle):
            if (
                self._homes[worker].size > self._limits.warm_workers
                and now - worker.idle_since >= self._limits.worker_idle_secs
            ):
                worker.retire()
        if any(runner.size > self._limits.warm_workers for runner in self._runners):
            self._shrinking = self._loop.call_later(self._limits.worker_idle_secs / 2, self._shrink)

    # Runners.

    async def start(self) -> None:
        """Starts the runners wanted. Raises LaunchFailed or ControlMissing when the first cannot be started."""
        await self._refresh(0)
        for _ in range(self._wanted):
            await self._start_runner()

    async def _start_runner(self) -> None:
        if self._closing.is_set():
            raise LaunchFailed("the platform is shutting down")
        runner = self._take()
        if runner is None:
            runner = Runner(self, self._launcher, self._folder, self._trust, self._limits.runner)
            self._runners.append(runner)
            try:
                await runner.start()
            except (LaunchFailed, ControlMissing) as error:
                self._dispatcher.refusal = str(error)
                raise
        else:
            self._runners.append(runner)
        runner.bind(self.owner, self)
        self._dispatcher.refusal = None
        self._keep_warm(runner)
        self._inspector.advance()

    def _take(self) -> Runner | None:
        if self._supply is None:
            return None
        try:
            return self._supply.take()
        except LaunchFailed as error:
            self._dispatcher.refusal = str(error)
            raise

    async def _replace_runner(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._closing.wait()
        except TimeoutError:
            if len(self._runners) < self._wanted:
                try:
                    await self._start_runner()
                except (LaunchFailed, ControlMissing) as error:
                    log.error("pool %s: a runner could not be started: %s", self.name, error)

    def runner_over(self, runner: Runner, reason: str) -> None:
        """See Owner."""
        self._runners.remove(runner)
        self._own(runner.gone())
        if len(self._runners) < self._wanted and not self._closing.is_set():
            self._failures = self._failures + 1 if runner.status().age_secs < _YOUNG_SECS else 0
            delay = _RESTART_SECS[min(self._failures, len(_RESTART_SECS)) - 1] if self._failures else 0.0
            log.error("pool %s: runner %s lost: %s; replaced in %g s", self.name, runner.id, reason, delay)
            self._own(self._replace_runner(delay))

    async def scale(self, size: int) -> None:
        """Sets the runners wanted; returns when they are there, or draining. Raises ValueError or LaunchFailed."""
        if not 1 <= size <= self._limits.max_runners:
            raise ValueError(f"size must be between 1 and {self._limits.max_runners} (MAX_RUNNERS)")
        self._wanted = size
        usable = [runner for runner in self._runners if runner.usable]
        for runner in usable[size:]:
            runner.drain("scaled down")
        for _ in range(size - len(usable)):
            await self._start_runner()

    async def close(self, seconds: float) -> None:
        """Refuses new calls, lets those accepted finish for so long, then ends every runner."""
        self._closing.set()
        try:
            async with asyncio.timeout(seconds):
                await self._dispatcher.quiet.wait()
        except TimeoutError:
            log.warning("pool %s: calls were cut short after %g s", self.name, seconds)
            self._dispatcher.refuse_waiting("the platform is shutting down")
        self._inspector.close()
        self._dispatcher.close()
        if self._shrinking is not None:
            self._shrinking.cancel()
        ending = list(self._runners)
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

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def status(self) -> PoolStatus:
        """The pool now, for operators."""
        return PoolStatus(
            name=self.name,
            size=self._wanted,
            runners=tuple(runner.status() for runner in self._runners),
            queue=len(self._dispatcher),
            cold_starts=self._cold_starts,
            kills=dict(self._kills),
        )
