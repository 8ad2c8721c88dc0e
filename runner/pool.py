"""One owner's pool: how many runners and workers there are, and what they are given."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from calls import frames
from calls.call import Kind, Outcome
from calls.pools import PoolStatus, Tally
from runner.connection import Connection
from runner.crew import Crew, Supply
from runner.dispatch import Dispatcher
from runner.inspector import Inspector
from runner.job import Job
from runner.launcher import Launcher, LaunchFailed, Trust
from runner.limits import PoolLimits
from runner.modules import ModuleSource, OwnerModules
from runner.own_variables import OwnVariables
from runner.runner import Runner
from runner.worker_process import WorkerProcess
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.runner")

_CALLS: Final = "calls"
_INSPECTION: Final = "inspection"
_RETRY_SECS: Final = 1.0
"""Seconds until variables that have changed and could not be read are read again."""


class Environment(Protocol):
    """What an owner's code finds besides its modules."""

    def variables(self) -> dict[str, str]:
        """Environment variables of the owner's own."""

    def packages(self) -> list[str]:
        """Folders with third-party packages."""


class Pool:
    """Runs the calls of one owner."""

    def __init__(
        self,
        name: str,
        kind: str,
        owner: str,
        trust: Trust,
        launcher: Launcher,
        source: ModuleSource,
        environment: Environment,
        folder: Path,
        limits: PoolLimits,
        supply: Supply | None = None,
        own: OwnVariables | None = None,
        consumed: Callable[[float], None] | None = None,
    ) -> None:
        """`kind`: see PoolStatus. `supply`: a tenant's; then there are more runners while calls wait, and what is worn out is replaced.
        `own`: variables besides those of `environment`. `consumed` is told of the processor time that its runners have."""
        self.name = name
        self._kind = kind
        self._consumed = consumed
        self.owner = owner
        self._environment = environment
        self._own = own
        self._is_tenants = supply is not None
        self._crew = Crew(
            self, lambda bounds: Runner(self, launcher, folder, trust, bounds), limits, supply, consumed is not None
        )
        self._modules = OwnerModules(owner, source)
        self._dispatcher = Dispatcher(limits.max_queue_secs, limits.worker_async_calls, self._grow)
        self._inspector = Inspector(self._modules, self._fork_inspector, self.worker_kill)
        self._homes: dict[WorkerProcess, Runner] = {}
        self._shrinking: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def accept(self, job: Job) -> None:
        """Takes one call; it is answered whatever happens."""
        if self._crew.closing.is_set():
            job.finish(Outcome.UNAVAILABLE, "the platform is shutting down")
        elif self._dispatcher.refusal is not None and not self._crew.runners:
            job.finish(Outcome.UNAVAILABLE, self._dispatcher.refusal, retry_after=5)
        elif job.call.kind is Kind.INSPECT:
            self._inspector.accept(job)
        else:
            self.prepare(job.call.revision)
            self._dispatcher.accept(job)
            if not self._homes and len(self._dispatcher) and job.call.revision <= self._dispatcher.revision:
                self._grow()

    def prepare(self, revision: int) -> None:
        """There may be a newer module set: replaces workers, at best before the first call that needs it."""
        if revision > self._modules.revision:
            self._crew.own(self._refresh(revision))

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
        return len(self._crew.runners)

    @property
    def missing(self) -> int:
        """Runners that are wanted and not there yet."""
        return max(0, self._crew.wanted - self.runners)

    @property
    def tally(self) -> Tally:
        """What has happened here."""
        return self._crew.tally

    @property
    def quiet(self) -> bool:
        """No accepted call is unanswered."""
        return self._dispatcher.quiet.is_set() and self._inspector.quiet

    def refuse_waiting(self, reason: str) -> None:
        """Answers every waiting call as not run."""
        self._dispatcher.refuse_waiting(reason)
        self._inspector.refuse_waiting(reason)

    def renew(self) -> None:
        """Replaces every worker as soon as its calls are answered: its packages or variables have changed."""
        for worker in list(self._homes):
            worker.retire()
        self._inspector.renew()

    def variables_changed(self) -> None:
        """The owner's own variables are others now: its workers are replaced."""
        if self._own is not None:
            self._crew.own(self._reload(self._own))

    async def _reload(self, own: OwnVariables) -> None:
        while not self._crew.closing.is_set():
            try:
                await own.load()
            except (StoreUnavailable, LaunchFailed) as error:
                log.warning("pool %s: its variables have changed and cannot be read now: %s", self.name, error)
                await asyncio.sleep(_RETRY_SECS)
            else:
                self.renew()
                return

    def _begin(self, runner: Runner) -> bytes:
        """The frame that completes what a worker of this runner is given."""
        own, variables = self._own, self._environment.variables()
        return frames.encode(
            frames.Begin(
                variables if own is None else variables | own.everywhere,
                self._crew.limits.max_result,
                self._environment.packages(),
                {} if own is None else own.by_module,
                runner.limits.imports,
            )
        )

    # Workers (runner.runner.Owner and runner.worker_process.Supervisor).

    def worker_ready(self, runner: Runner, connection: Connection, purpose: str) -> WorkerProcess:
        """See Owner."""
        if purpose == _INSPECTION:
            worker, bundles = self._inspector.attach(connection, self._crew.limits.runner.max_log)
        else:
            worker = WorkerProcess(self, connection, self._modules.revision, self._crew.limits.runner.max_log)
            bundles = self._modules.encoded
            self._homes[worker] = runner
            if (decided_at := self._crew.decided_at.pop(runner, None)) is not None:
                self.tally.binds.observe(time.monotonic() - decided_at)
        connection.send(bundles + self._begin(runner))
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
            self.tally.killed(cause)
            log.warning("pool %s: worker lost: %s", self.name, cause)
        home = self._homes.pop(worker)
        self._loop.call_soon(self._keep_warm, home)

    def worker_kill(self, worker: WorkerProcess) -> None:
        """See Supervisor."""
        for runner in self._crew.runners:
            runner.kill(worker)

    def _fork_inspector(self) -> bool:
        for runner in self._crew.runners:
            if runner.usable:
                runner.fork(_INSPECTION)
                return True
        return False

    def _floor(self, runner: Runner) -> int:
        """Workers that are kept. Of a tenant's runner that nobody calls, none: what its zygote forks in a moment is
        not worth the memory of a worker for each of many tenants."""
        forgotten = self._is_tenants and runner.idle_secs >= self._crew.limits.worker_idle_secs
        return 0 if forgotten else self._crew.limits.warm_workers

    def _keep_warm(self, runner: Runner) -> None:
        if runner.usable:
            for _ in range(self._floor(runner) - runner.size):
                runner.fork(_CALLS)
            self._expect_idle(self._crew.limits.worker_idle_secs)

    def _grow(self) -> None:
        """Forks one more worker, where there is room and none is on its way already; else starts a runner."""
        usable = self._crew.usable()
        room = [runner for runner in usable if runner.size < runner.limits.workers]
        if any(runner.forking for runner in usable):
            return
        if room:
            min(room, key=lambda runner: runner.size).fork(_CALLS)
            self.tally.cold_starts += 1
            self._expect_idle(self._crew.limits.worker_idle_secs)
        else:
            self._crew.widen()

    def _expect_idle(self, seconds: float) -> None:
        """Looks for idle workers that long from now, if there can be any that are not to be kept."""
        kept = 0 if self._is_tenants else self._crew.limits.warm_workers
        if self._shrinking is None and any(runner.size > kept for runner in self._crew.runners):
            self._shrinking = self._loop.call_later(seconds, self._shrink)

    def _shrink(self) -> None:
        """Ends workers that were idle for long, down to those that are kept."""
        self._shrinking = None
        now = time.monotonic()
        for worker in list(self._dispatcher.idle):
            home = self._homes[worker]
            if home.size > self._floor(home) and now - worker.idle_since >= self._crew.limits.worker_idle_secs:
                worker.retire()
        self._expect_idle(self._crew.limits.worker_idle_secs / 2)

    # Runners (runner.crew.Boss).

    async def start(self) -> None:
        """Starts the runners wanted. Raises LaunchFailed or ControlMissing when one cannot be started, and
        StoreUnavailable."""
        await self._refresh(0)
        if self._own is not None:
            await self._own.load()
        await self._crew.start()

    def runner_ready(self, runner: Runner) -> None:
        """See Boss."""
        self._dispatcher.refusal = None
        self._keep_warm(runner)
        self._inspector.advance()

    def no_runner(self, reason: str) -> None:
        """See Boss."""
        self._dispatcher.refusal = reason

    def runner_over(self, runner: Runner, reason: str) -> None:
        """See Owner."""
        self._crew.over(runner, reason)

    def consumed(self, seconds: float) -> None:
        """See Owner."""
        if self._consumed is not None:
            self._consumed(seconds)

    async def scale(self, size: int) -> None:
        """See Crew."""
        await self._crew.scale(size)

    def has(self, runner: str) -> bool:
        """Whether this is one of its runners."""
        return self._crew.has(runner)

    async def drain(self, runner: str) -> None:
        """See Crew."""
        await self._crew.drain(runner)

    def refuse_new(self) -> None:
        """Takes no more calls; runners end as soon as those that were accepted need them no longer."""
        self._crew.closing.set()
        if not len(self._dispatcher):
            self._crew.drain_all("no further calls")

    async def close(self, seconds: float | None) -> None:
        """Refuses new calls, lets those accepted finish, for so long if not None, then ends every runner."""
        self.refuse_new()
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
        await self._crew.end()

    def status(self) -> PoolStatus:
        """The pool now, for operators."""
        return PoolStatus(
            name=self.name,
            kind=self._kind,
            size=0 if self._crew.closing.is_set() else self._crew.wanted,
            runners=tuple(runner.status() for runner in self._crew.runners),
            queue=len(self._dispatcher),
            cold_starts=self.tally.cold_starts,
            kills=dict(self.tally.kills),
        )
