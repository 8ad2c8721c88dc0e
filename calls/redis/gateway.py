"""The gateway's end of broker kind `redis`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from calls.broker import Answer, Refused
from calls.call import Call, Outcome, Reply
from calls.redis import reading, wire
from calls.redis.hosts import Hosts
from calls.redis.keys import GATEWAY, HOST
from calls.redis.link import Link
from calls.redis.pools import RedisPools
from calls.unanswered import Unanswered

_GRACE_SECS: Final = 0.5
"""Seconds after a call's deadline in which its host's own word on it may still arrive."""


class RedisBroker:
    """See calls.broker.Broker. `Unanswered` bounds those of this gateway.

    While Redis does not answer, calls are refused. When the connection is lost, calls in flight are answered
    as lost at once: whether they ran cannot be known, and a reply that still arrives finds nobody.
    """

    def __init__(self, url: str, max_owner: int, max_total: int, max_bytes: int) -> None:
        """Raises BadAddress."""
        self._unanswered = Unanswered(max_owner, max_total, max_bytes)
        self._hosts = Hosts(self._unanswered.of_host, self._host_lost)
        self._link = Link(url, GATEWAY, self)
        self.pools = RedisPools(self._hosts, self._link)
        """The pools of all hosts. See calls.pools.PoolControl."""
        self._closed = False
        self.on_join: list[Callable[[], None]] = []
        """Called whenever there is a new connection."""

    async def open(self) -> None:
        """Connects. A Redis that is away is waited for in the background. Raises Unfit."""
        await self._link.open()

    async def ready(self) -> None:
        """Returns when a host is there that takes calls."""
        await self._hosts.there.wait()

    @property
    def problem(self) -> str | None:
        """Why a call would be refused now; None when it would be taken."""
        return self._link.problem or self._hosts.problem

    @property
    def run_id(self) -> str:
        """Which run of Redis the connection leads to; empty while it is away."""
        return self._link.run_id

    async def together(self, *commands: tuple[str | int | bytes, ...]) -> list[Any]:
        """See Link. For what else a gateway keeps in Redis."""
        return await self._link.together(*commands)

    def submit(self, call: Call, answer: Answer) -> None:
        """See Broker."""
        if self._closed:
            raise Refused("the platform is shutting down", limited=False)
        self._unanswered.check(call)
        problem = self._link.problem
        if problem is not None:
            raise Refused(problem, limited=False)
        host = self._hosts.choose(call.owner)
        self._unanswered.add(call, answer, host)
        message = wire.encode(wire.Invocation(gateway=self._link.incarnation, call=call))
        self._link.push(HOST.inbox + host, message, partial(self._not_pushed, call.id))

    def _not_pushed(self, call: str, why: str) -> None:
        del why  # in the log; callers need not know how Redis is set up
        full = b"Redis does not take the call"
        self._unanswered.answer(Reply(call=call, outcome=Outcome.UNAVAILABLE, payload=full))

    @property
    def unanswered(self) -> int:
        """See Broker."""
        return len(self._unanswered)

    async def close(self) -> None:
        """See Broker."""
        self._closed = True
        self._unanswered.lose(None, "the platform is shutting down")
        self._link.beat()
        await self._link.close()

    def _host_lost(self, incarnation: str, why: str) -> None:
        self._unanswered.lose(incarnation, why)
        self.pools.lose(incarnation, why)

    # calls.redis.link.Member

    def joined(self) -> None:
        """See Member."""
        for told in self.on_join:
            told()

    def left(self, why: str) -> None:
        """See Member."""
        self._hosts.clear()
        self._unanswered.lose(None, why)
        self.pools.lose(None, why)

    def received(self, message: bytes) -> None:
        """See Member."""
        try:
            found = reading.read_by_gateway(message)
        except reading.Forged as error:
            self._link.complain(f"from a host: {error}")
            broken = b"the runner host's answer is malformed"
            self._unanswered.answer(Reply(call=error.call, outcome=Outcome.DIED, payload=broken))
            return
        if isinstance(found, wire.Answered):
            self._unanswered.answer(found.reply)
        else:
            self.pools.answered(found)

    def heard(self, message: bytes) -> None:
        """See Member."""
        try:
            disbelief = self._hosts.heard(reading.read_host_beat(message), self._link.ticks)
        except reading.Forged as error:
            disbelief = f"a host's sign of life: {error}"
        if disbelief is not None:
            self._link.complain(disbelief)

    def sign(self) -> bytes:
        """See Member."""
        return wire.encode(wire.GatewayBeat(incarnation=self._link.incarnation, leaving=self._closed))

    def tick(self) -> None:
        """See Member."""
        self._hosts.tick(self._link.ticks)
        self._unanswered.expire(time.time() - _GRACE_SECS)
