"""Broker kind `inprocess`: gateway and runner host share one event loop, so a call is a function call."""

from __future__ import annotations

from calls.broker import ALL_DRAINING, NO_HOST, Answer, CallHandler, Refused
from calls.call import Call
from calls.pools import HostPools, HostStatus, PoolStatus, UnknownHost, located
from calls.unanswered import Unanswered


class InProcessBroker:
    """See calls.broker.Broker. See `Unanswered` for its bounds."""

    def __init__(self, max_owner: int, max_total: int, max_bytes: int) -> None:
        self._unanswered = Unanswered(max_owner, max_total, max_bytes)
        self._hosts: dict[str, CallHandler] = {}
        self._closed = False
        self.draining: set[str] = set()
        """Hosts that get no further calls."""

    @property
    def problem(self) -> str | None:
        """Why a call would be refused now; None when it would be taken."""
        if self._hosts.keys() - self.draining:
            return None
        return ALL_DRAINING if self._hosts else NO_HOST

    def submit(self, call: Call, answer: Answer) -> None:
        """See Broker."""
        if self._closed:
            raise Refused("the platform is shutting down", limited=False)
        self._unanswered.check(call)
        for host, handler in self._hosts.items():
            if host not in self.draining:
                self._unanswered.add(call, answer, host)
                handler.accept(call, self._unanswered.answer)
                return
        raise Refused(ALL_DRAINING if self._hosts else NO_HOST, limited=False)

    def attach(self, host: str, handler: CallHandler) -> None:
        """Registers a runner host."""
        self._hosts[host] = handler

    def detach(self, host: str) -> None:
        """Takes a host away; its unanswered calls are answered DIED."""
        del self._hosts[host]
        self._unanswered.lose(host, "the runner host went away")

    @property
    def unanswered(self) -> int:
        """See Broker."""
        return len(self._unanswered)

    async def close(self) -> None:
        """See Broker."""
        self._closed = True
        for host in list(self._hosts):
            self.detach(host)


class InProcessPools:
    """The pools of the one host of this process. See calls.pools.PoolControl."""

    def __init__(self, broker: InProcessBroker, name: str, pools: HostPools, capacity: int) -> None:
        """`name` as the host is attached; `capacity`: calls it runs well at once."""
        self._broker = broker
        self._name = name
        self._pools = pools
        self._capacity = capacity

    def pools(self) -> list[PoolStatus]:
        """See PoolControl."""
        return [located(pool, self._name) for pool in self._pools.pools()]

    def hosts(self) -> list[HostStatus]:
        """See PoolControl."""
        return [
            HostStatus(
                name=self._name,
                draining=self._name in self._broker.draining,
                capacity=self._capacity,
                load=self._broker.unanswered,
                tallies=self._pools.tallies(),
            )
        ]

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See PoolControl."""
        return located(await self._pools.scale(pool, size), self._name)

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See PoolControl."""
        return located(await self._pools.drain_pool(pool), self._name)

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See PoolControl."""
        return located(await self._pools.drain_runner(runner), self._name)

    async def drain_host(self, host: str, *, draining: bool) -> HostStatus:
        """See PoolControl."""
        if host != self._name:
            raise UnknownHost(host)
        if draining:
            self._broker.draining.add(host)
        else:
            self._broker.draining.discard(host)
        return self.hosts()[0]
