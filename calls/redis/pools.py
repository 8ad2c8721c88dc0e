"""Pools seen and changed from a gateway: statuses come with the hosts' signs of life, orders go to their lists."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Final

from calls.broker import NO_HOST
from calls.pools import (
    HostStatus,
    PoolStatus,
    PoolsUnavailable,
    UnknownHost,
    UnknownPool,
    UnknownRunner,
    by_name,
    located,
    merged,
)
from calls.redis.hosts import Hosts
from calls.redis.keys import HOST, MAX_ORDERS
from calls.redis.link import Link
from calls.redis.reading import is_name
from calls.redis.wire import Done, HostBeat, HostState, Order, OrderKind, Refusal, encode

_ORDER_SECS: Final = 60.0
"""Seconds a host gets to start runners."""


class RedisPools:
    """The pools of all hosts. See calls.pools.PoolControl."""

    def __init__(self, hosts: Hosts, link: Link) -> None:
        self._hosts = hosts
        self._link = link
        self._orders: dict[str, tuple[str, asyncio.Future[Done]]] = {}

    def pools(self) -> list[PoolStatus]:
        """See PoolControl. At most a quarter of a second old."""
        return by_name(located(status, beat.name) for beat in self._hosts.known for status in beat.pools)

    def hosts(self) -> list[HostStatus]:
        """See PoolControl. At most a quarter of a second old."""
        return [_host(beat) for beat in self._hosts.known]

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See PoolControl. The size is shared equally by the hosts that have this pool and take calls."""
        having = [beat for beat in self._known() if any(status.name == pool for status in beat.pools)]
        if not having:
            raise UnknownPool(pool)
        serving = [beat for beat in having if beat.state is HostState.SERVING] or having
        if 0 < size < len(serving):
            raise ValueError(f"size must be at least {len(serving)}: this pool is on {len(serving)} hosts")
        share, rest = divmod(size, len(serving))
        shares = [(beat, share + (number < rest)) for number, beat in enumerate(serving)]
        return await self._all([(beat, OrderKind.SCALE, pool, size) for beat, size in shares], UnknownPool(pool))

    async def drain_pool(self, pool: str) -> PoolStatus:
        """See PoolControl."""
        return await self._drain(OrderKind.DRAIN_POOL, pool, UnknownPool(pool))

    async def drain_runner(self, runner: str) -> PoolStatus:
        """See PoolControl."""
        return await self._drain(OrderKind.DRAIN_RUNNER, runner, UnknownRunner(runner))

    async def _drain(self, kind: OrderKind, target: str, unknown: Exception) -> PoolStatus:
        """Asks every host: what was made a moment ago, no sign of life has told of yet."""
        if not is_name(target):
            raise unknown
        return await self._all([(beat, kind, target, 0) for beat in self._known()], unknown)

    async def drain_host(self, host: str, *, draining: bool) -> HostStatus:
        """See PoolControl."""
        kind = OrderKind.DRAIN_HOST if draining else OrderKind.RESUME_HOST
        for beat in self._known():
            if beat.name == host:
                _check(await self._order(beat, kind, host, 0), UnknownHost(host))
                return _host(beat, draining=draining)
        raise UnknownHost(host)

    def _known(self) -> list[HostBeat]:
        """Raises PoolsUnavailable when no host is there."""
        known = self._hosts.known
        if not known:
            raise PoolsUnavailable(self._link.problem or NO_HOST)
        return known

    async def _all(self, orders: Sequence[tuple[HostBeat, OrderKind, str, int]], unknown: Exception) -> PoolStatus:
        """The pool concerned, on all hosts that still know of it. Raises `unknown` when none does, and what else
        PoolControl says."""
        answers = await asyncio.gather(*(self._order(*order) for order in orders))
        found = [
            located(answer.status, beat.name)
            for (beat, *_), answer in zip(orders, answers, strict=True)
            if answer.status is not None
        ]
        for answer in answers:
            if answer.refusal is not Refusal.UNKNOWN or not found:
                _check(answer, unknown)
        return merged(found)

    async def _order(self, beat: HostBeat, kind: OrderKind, target: str, size: int) -> Done:
        order = secrets.token_hex(16)
        if len(self._orders) >= MAX_ORDERS:
            return _failed(order, f"{MAX_ORDERS} orders are under way")
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._orders[order] = (beat.incarnation, answer)
        message = Order(gateway=self._link.incarnation, order=order, kind=kind, target=target, size=size)
        self._link.push(HOST.inbox + beat.incarnation, encode(message), partial(self._not_pushed, order))
        try:
            async with asyncio.timeout(_ORDER_SECS):
                return await answer
        except TimeoutError:
            return _failed(order, f"host {beat.name} did not answer within {_ORDER_SECS:g} s")
        finally:
            del self._orders[order]

    def _not_pushed(self, order: str, why: str) -> None:
        self.answered(_failed(order, f"Redis does not take the order: {why}"))

    def answered(self, done: Done) -> None:
        """A host's answer; ignored when nobody waits for it."""
        _, answer = self._orders.get(done.order, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(done)

    def lose(self, host: str | None, why: str) -> None:
        """This incarnation, or every host, answers no more orders."""
        for order, (holder, _) in list(self._orders.items()):
            if host is None or holder == host:
                self.answered(_failed(order, why))


def _host(beat: HostBeat, *, draining: bool | None = None) -> HostStatus:
    return HostStatus(
        name=beat.name,
        draining=beat.state is HostState.DRAINING if draining is None else draining,
        capacity=beat.capacity,
        load=beat.load,
        tallies=beat.tallies,
    )


def _failed(order: str, why: str) -> Done:
    return Done(order, refusal=Refusal.BUSY, problem=why)


def _check(answer: Done, unknown: Exception) -> None:
    """Raises what the host has refused."""
    if answer.refusal is Refusal.UNKNOWN:
        raise unknown
    if answer.refusal is Refusal.BAD_SIZE:
        raise ValueError(answer.problem)
    if answer.refusal is not None:
        raise PoolsUnavailable(answer.problem)
