"""One runner: a sandbox, its zygote's control connection, and its workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from calls import frames
from calls.frames import CONTROL, Order
from calls.pools import RunnerStatus
from runner.connection import Connection, Peer
from runner.launcher import Launcher, LaunchFailed, Resources, RunnerSpec, Sandbox, Trust, Used
from runner.states import Lifecycle, State
from runner.worker_process import MEMORY_LIMIT, WorkerProcess, describe

log = logging.getLogger("plugbay.runner")

START_SECS: Final = 30.0
"""Seconds a runner may take from launch to its zygote's first record."""
FORK_SECS: Final = 10.0
"""Seconds a forked worker may take to connect."""
KILL_SECS: Final = 2.0
"""Seconds the zygote may take to kill a worker with its descendants; then the whole runner is destroyed."""
LAST_LOOK_SECS: Final = 1.0
"""Seconds that asking for what a runner has used may take when it ends."""
LAST_WORDS_SECS: Final = 1.0
"""Seconds a runner whose zygote is silent may take to end, so that its end can be told with its reason."""

DRAINED: Final = "drained by an operator"
"""Reason of a drain that nothing else asked for."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one runner."""

    workers: int
    """Workers at once, besides the two that may be inspecting modules."""
    max_log: int
    """Bytes of output kept per call."""
    memory_bytes: int
    """Address space of a worker; 0: no limit."""
    resources: Resources
    """What the whole runner gets."""
    imports: frames.Imports | None
    """What its owner's code may import besides its own modules; None: whatever is there."""


class Owner(Protocol):
    """The pool a runner works for."""

    def worker_ready(self, runner: Runner, connection: Connection, purpose: str) -> WorkerProcess:
        """A forked worker has proved itself: gives it its modules."""

    def worker_lost(self, runner: Runner, purpose: str, reason: str) -> None:
        """A fork did not become a worker."""

    def runner_over(self, runner: Runner, reason: str) -> None:
        """The runner takes no more calls; those it held are answered."""

    def consumed(self, seconds: float) -> None:
        """A runner has had so much more processor time, its start included."""


class Runner:
    """Begins with `start`. Ends with `drain`, `destroy` or by itself: always in `Owner.runner_over`, once."""

    def __init__(self, owner: Owner, launcher: Launcher, folder: Path, trust: Trust, limits: Limits) -> None:
        self.id = secrets.token_hex(8)
        self.life = Lifecycle(self.id)
        self.limits = limits
        self.workers: dict[bytes, WorkerProcess] = {}
        self._owner = owner
        self._launcher = launcher
        self._folder = folder / self.id
        self._trust = trust
        self._nonce = secrets.token_bytes(16)
        self._forks: dict[bytes, str] = {}
        self._timers: dict[bytes, asyncio.TimerHandle] = {}
        self._connections = 0
        self._silent = False
        self._turned_away = False
        self._control: Connection | None = None
        self._sandbox: Sandbox | None = None
        self._server: asyncio.Server | None = None
        self._started = time.monotonic()
        self._past_calls = 0
        self._cpu_seconds = 0.0
        self._reported = asyncio.Event()
        self._over = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._destroyer: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Takes new workers and calls."""
        return self.life.state is State.BOUND and not self._silent

    @property
    def ready(self) -> bool:
        """Can be given to an owner."""
        return self.life.state is State.PREWARMED and not self._silent

    @property
    def size(self) -> int:
        """Workers there and on their way."""
        return sum(not worker.over for worker in self.workers.values()) + len(self._forks)

    @property
    def forking(self) -> bool:
        """At least one worker is on its way."""
        return bool(self._forks)

    @property
    def busy(self) -> bool:
        """At least one worker holds a call."""
        return any(worker.busy for worker in self.workers.values())

    @property
    def calls(self) -> int:
        """Calls answered since it started."""
        return self._past_calls + sum(worker.calls for worker in self.workers.values())

    @property
    def idle_secs(self) -> float:
        """Seconds since it last held a call, or since its last worker came; 0 while it holds one."""
        if self.busy:
            return 0.0
        return time.monotonic() - max((worker.idle_since for worker in self.workers.values()), default=self._started)

    def status(self) -> RunnerStatus:
        """The runner now, for operators."""
        return RunnerStatus(
            id=self.id,
            state=self.life.state,
            owner=self.life.owner,
            workers=len(self.workers),
            busy=sum(worker.busy for worker in self.workers.values()),
            calls=self.calls,
            age_secs=round(time.monotonic() - self._started, 3),
        )

    # Beginning and end.

    async def start(self) -> None:
        """Launches the runner; nobody owns it yet. Raises LaunchFailed or ControlMissing, and nothing is left."""
        try:
            self._folder.mkdir(mode=0o700, parents=True)
            address = self._folder / "host.sock"
            self._server = await asyncio.get_running_loop().create_unix_server(
                lambda: Connection(self, self.limits.max_log), str(address)
            )
            self._sandbox = await self._launcher.start(
                RunnerSpec(
                    id=self.id,
                    trust=self._trust,
                    socket=address,
                    nonce=self._nonce,
                    max_log=self.limits.max_log,
                    memory_bytes=self.limits.memory_bytes,
                    resources=self.limits.resources,
                )
            )
            if self.life.over:  # destroyed meanwhile, before there was anything to destroy
                await self._sandbox.destroy(self.life.reason)
                raise LaunchFailed(self.life.reason)
            self._watcher = asyncio.create_task(self._watch(self._sandbox), name=f"watch runner {self.id}")
            async with asyncio.timeout(START_SECS):
                await self._reported.wait()
        except TimeoutError:
            await self._abandon("it did not report in time")
            raise LaunchFailed(f"a runner did not report within {START_SECS:g} s") from None
        except OSError as error:  # no more open files, or no room on the disk
            await self._abandon(str(error))
            raise LaunchFailed(f"a runner could not be started: {error}") from error
        except BaseException as error:
            await self._abandon(str(error) or type(error).__name__)
            raise
        if self.life.over:
            raise LaunchFailed(self.life.reason)
        self.life.move(State.PREWARMED, "its zygote has reported")

    async def bind(self, owner: str, pool: Owner, limits: Limits) -> None:
        """Gives the runner to its owner's pool for the rest of its life, once it has what its limits say.
        Raises LaunchFailed when it cannot have that: it is ended then, and was nobody's."""
        if limits.resources != self.limits.resources:
            await self._resize(limits.resources)
        if self.life.over:
            raise LaunchFailed(self.life.reason)
        self.limits = limits
        self._owner = pool
        self.life.bind(owner)

    async def _resize(self, resources: Resources) -> None:
        assert self._sandbox is not None
        try:
            await self._sandbox.resize(resources)
        except LaunchFailed as error:
            self._end(State.FAILED, str(error))
            await self.gone()
            raise

    async def look(self) -> Used | None:
        """What it takes of the machine now; None where that is not known. Its owner is told of the processor time
        since the last look."""
        used = None if self._sandbox is None else await self._sandbox.used()
        if used is not None and used.cpu_seconds > self._cpu_seconds:
            more, self._cpu_seconds = used.cpu_seconds - self._cpu_seconds, used.cpu_seconds
            self._owner.consumed(more)
        return used

    async def _last_look(self) -> None:
        """Before it is gone with what it counted. Nothing may keep it from its end for long."""
        try:
            async with asyncio.timeout(LAST_LOOK_SECS):
                await self.look()
        except TimeoutError:
            log.warning("runner %s: what it used at last is not known", self.id)

    async def _abandon(self, reason: str) -> None:
        self._end(State.FAILED, reason)
        await self.gone()

    async def _watch(self, sandbox: Sandbox) -> None:
        self._end(State.FAILED, f"the runner ended: {await sandbox.wait()}")

    def drain(self, reason: str) -> None:
        """Finishes the calls it holds, takes no more, then ends."""
        if self.life.state in (State.DRAINING, State.STOPPED, State.FAILED):
            return
        self.life.move(State.DRAINING, reason)
        for worker in list(self.workers.values()):
            worker.retire()
        self._stop_if_drained()

    def _stop_if_drained(self) -> None:
        if self.life.state is State.DRAINING and not self.workers and not self._forks:
            self._end(State.STOPPED, "drained")

    def destroy(self, reason: str) -> None:
        """Ends it at once; the calls it holds are answered as died."""
        self._end(State.FAILED, reason)

    def _end(self, state: State, reason: str) -> None:
        if self.life.over:
            return
        self.life.move(state, reason)
        self._reported.set()
        for timer in self._timers.values():
            timer.cancel()
        for worker in list(self.workers.values()):
            worker.died(reason, "runner ended")
        for purpose in self._forks.values():
            self._owner.worker_lost(self, purpose, reason)
        self._forks.clear()
        self.workers.clear()
        self._destroyer = asyncio.create_task(self._remove(reason), name=f"remove runner {self.id}")
        self._over.set()
        self._owner.runner_over(self, reason)

    async def _remove(self, reason: str) -> None:
        if self._server is not None:
            self._server.close()
        if self._control is not None:
            self._control.abort()
        if self._sandbox is not None:
            if self._trust is Trust.TENANT and self.life.owner is not None:
                await self._last_look()
            await self._sandbox.destroy(reason)
        if self._watcher is not None:
            await self._watcher
        # Made by this host and writable by nobody else: a runner sees it read-only, if at all.
        shutil.rmtree(self._folder, ignore_errors=True)

    async def gone(self) -> None:
        """Completes when the runner has ended and nothing of it is left."""
        await self._over.wait()
        assert self._destroyer is not None
        await asyncio.shield(self._destroyer)

    # Workers.

    def fork(self, purpose: str) -> None:
        """Orders one more worker; the owner gets it by `worker_ready`, or hears of `worker_lost`."""
        nonce = secrets.token_bytes(16)
        self._forks[nonce] = purpose
        self._order(Order.FORK, nonce, FORK_SECS, "a forked worker did not connect in time")

    def kill(self, worker: WorkerProcess) -> None:
        """Orders a worker's end; a zygote that does not obey ends with its runner."""
        for nonce, known in self.workers.items():
            if known is worker and nonce not in self._timers:
                self._order(Order.KILL, nonce, KILL_SECS, "the zygote did not kill a worker in time")

    def _order(self, order: Order, nonce: bytes, seconds: float, overdue: str) -> None:
        if self._control is not None:
            self._control.send(CONTROL.pack(order, nonce, 0, 0))
            self._timers[nonce] = asyncio.get_running_loop().call_later(seconds, self._end, State.FAILED, overdue)

    def _settle(self, nonce: bytes) -> None:
        if timer := self._timers.pop(nonce, None):
            timer.cancel()

    def received(self, body: bytes) -> None:
        """A record from the zygote (see connection.Peer)."""
        order, nonce, status, _ = CONTROL.unpack_from(body)
        if order not in (Order.EXITED, Order.STARVED):
            raise frames.FrameError(f"control record {order} from a zygote")
        self._settle(nonce)
        if purpose := self._forks.pop(nonce, None):
            self._owner.worker_lost(self, purpose, MEMORY_LIMIT if order == Order.STARVED else describe(status))
        elif worker := self.workers.pop(nonce, None):
            self._past_calls += worker.calls
            worker.exited(status, body[CONTROL.size :], starved=order == Order.STARVED)
        self._stop_if_drained()

    def lost(self) -> None:
        """The control connection closed (see connection.Peer). Of what its zygote ended, `_watch` is about to tell."""
        self._silent = True
        if not self.life.over:
            asyncio.get_running_loop().call_later(
                LAST_WORDS_SECS, self._end, State.FAILED, "the zygote closed its connection"
            )

    # What connects to its socket (see connection.Greeter).

    def admits(self, uid: int) -> bool:
        """See connection.Greeter."""
        if not self._launcher.admits(self.id, uid):
            if not self._turned_away:
                log.warning("runner %s: a process of user %d, which is not its own, was turned away", self.id, uid)
            self._turned_away = True
            return False
        within = self._connections < self.limits.workers + 3
        self._connections += within
        return within

    def closed(self) -> None:
        """See connection.Greeter."""
        self._connections -= 1

    def zygote_connected(self, connection: Connection, nonce: bytes) -> Peer:
        """See connection.Greeter."""
        if self._control is not None or not secrets.compare_digest(nonce, self._nonce):
            raise frames.FrameError("a second or unknown control connection")
        self._control = connection
        self._reported.set()
        return self

    def worker_connected(self, connection: Connection, nonce: bytes) -> Peer:
        """See connection.Greeter."""
        purpose = self._forks.pop(nonce, None)
        if purpose is None:
            raise frames.FrameError("a worker with an unknown nonce")
        self._settle(nonce)
        worker = self.workers[nonce] = self._owner.worker_ready(self, connection, purpose)
        return worker

    def violated(self, what: str) -> None:
        """See connection.Greeter."""
        self._end(State.FAILED, f"protocol violation: {what}")
