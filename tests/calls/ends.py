"""Both ends of a broker as tests use them: calls nobody runs for real, and hosts that do what they are told."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from calls.broker import Answer, Broker
from calls.call import Call, Kind, Outcome, Reply, new_call_id
from calls.pools import ADMIN, PoolStatus, RunnerStatus, Tally, UnknownPool, UnknownRunner
from calls.redis.host import HostBounds
from calls.redis.reading import CallBounds


def owner(number: int) -> str:
    """The UUID of one of many owners."""
    return f"00000000-0000-4000-8000-{number:012d}"


def call(of: str = owner(0), **changes: Any) -> Call:
    """A call that every kind of broker carries."""
    usual: dict[str, Any] = {
        "id": new_call_id(),
        "kind": Kind.INVOKE,
        "owner": of,
        "revision": 1,
        "module": "m",
        "function": "f",
        "concurrent": False,
        "limit": 1,
        "concurrency": 0,
        "deadline": time.time() + 20,
        "payload": b"p",
    }
    return Call(**(usual | changes))


def submit(broker: Broker, one: Call) -> asyncio.Future[Reply]:
    """Sends a call; the future takes one answer and fails on a second."""
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    broker.submit(one, answer.set_result)
    return answer


class PatientHost:
    """A runner host that answers when it is told to."""

    def __init__(self) -> None:
        self.accepted: list[tuple[Call, Answer]] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        self.accepted.append((call, answer))
        for count, arrival in self._waiting:
            if len(self.accepted) >= count and not arrival.done():
                arrival.set_result(None)

    async def has(self, count: int) -> None:
        """Returns once so many calls were accepted."""
        if len(self.accepted) < count:
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((count, arrival))
            await arrival

    def answer(self, number: int = 0, payload: bytes = b"") -> None:
        """Answers the call that was accepted as this one."""
        one, answer = self.accepted[number]
        answer(Reply(call=one.id, outcome=Outcome.VALUE, payload=payload))


class EchoHost:
    """A runner host that answers at once, with the payload and its own name."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.owners: list[str] = []

    def accept(self, call: Call, answer: Answer) -> None:
        """See calls.broker.CallHandler."""
        self.owners.append(call.owner)
        answer(Reply(call=call.id, outcome=Outcome.VALUE, payload=call.payload, media_type=self.name))


class FixedPools:
    """Pools that only have a size, and a runner each."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.drained: list[str] = []
        """Pools and runners, in the order in which they were asked for."""
        self._mark = secrets.token_hex(4)

    def pools(self) -> list[PoolStatus]:
        """See calls.pools.HostPools."""
        return [self._status(name) for name in self.sizes]

    def _status(self, name: str) -> PoolStatus:
        runner = RunnerStatus(
            id=f"{self._mark}-{name}", state="bound", owner=None, workers=2, busy=1, calls=3, age_secs=1.0
        )
        return PoolStatus(
            name=name,
            kind=ADMIN,
            size=self.sizes[name],
            runners=(runner,),
            queue=1,
            cold_starts=2,
            kills={"time limit": 1},
        )

    def tallies(self) -> dict[str, Tally]:
        """See calls.pools.HostPools."""
        tally = Tally(cold_starts=2, kills={"time limit": 1})
        tally.starts.observe(0.2)
        return {ADMIN: tally}

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool not in self.sizes:
            raise UnknownPool(pool)
        if size > 16:
            raise ValueError("size must be between 0 and 16 (MAX_RUNNERS)")
        self.sizes[pool] = size
        return self._status(pool)

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        if pool not in self.sizes:
            raise UnknownPool(pool)
        self.drained.append(pool)
        return self._status(pool)

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See calls.pools.HostPools."""
        for name in self.sizes:
            if runner == f"{self._mark}-{name}":
                self.drained.append(runner)
                return self._status(name)
        raise UnknownRunner(runner)


def bounds(**changes: Any) -> HostBounds:
    """Bounds of a host over Redis."""
    usual: dict[str, Any] = {
        "capacity": 1000,
        "slots": 1000,
        "max_owner": 1000,
        "max_total": 2000,
        "call": CallBounds(max_secs=30, max_wait_secs=10),
    }
    return HostBounds(**(usual | changes))
