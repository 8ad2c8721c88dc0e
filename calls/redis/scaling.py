"""Pools seen and scaled from a gateway: statuses come with the hosts' signs of life, orders go to their lists."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from functools import partial
from typing import Final

from calls.pools import PoolControl, PoolStatus, PoolsUnavailable, UnknownPool
from calls.redis.hosts import Hosts
from calls.redis.keys import GATEWAY, HOST
from calls.redis.link import Link
from calls.redis.reading import is_name
from calls.redis.wire import HostBeat, Refusal, Scaled, ScaleOrder, encode

_ORDER_SECS: Final = 60.0
"""Seconds a host gets to start runners."""
_MAX_ORDERS: Final = 64
"""Orders under way at once, on either side."""
_ADMIN_POOL: Final = "admin"


class RedisPools:
    """The pools of all hosts. See calls.pools.PoolControl."""

    def __init__(self, hosts: Hosts, link: Link) -> None:
        self._hosts = hosts
        self._link = link
        self._orders: dict[str, tuple[str, asyncio.Future[Scaled]]] = {}

    def pools(self) -> list[PoolStatus]:
        """See PoolControl. At most a quarter of a second old."""
        names = {status.name for beat in self._hosts.known for status in beat.pools}
        return [self._status(name) for name in sorted(names, key=lambda name: (name != _ADMIN_POOL, name))]

    def _status(self, name: str) -> PoolStatus:
        return _merge([status for beat in self._hosts.known for status in beat.pools if status.name == name])

    async def scale(self, pool: str, size: int) -> PoolStatus:
        """See PoolControl. The size is shared equally by the hosts that have this pool; a pool that is nowhere
        yet is the business of the host that its owner's calls would go to."""
        if not is_name(pool):
            raise UnknownPool(pool)
        known = self._hosts.known
        having = [beat for beat in known if any(status.name == pool for status in beat.pools)]
        if not having:
            first = set(self._hosts.ranked(pool)[:1])
            having = [beat for beat in known if beat.name in first]
        if not having:
            raise PoolsUnavailable(self._link.problem or "no runner host is there")
        if 0 < size < len(having):
            raise ValueError(f"size must be at least {len(having)}: this pool is on {len(having)} hosts")
        share, rest = divmod(size, len(having))
        orders = [self._order(beat, pool, share + (number < rest)) for number, beat in enumerate(having)]
        answers = await asyncio.gather(*orders)
        for answer in answers:
            if answer.refusal is Refusal.UNKNOWN_POOL:
                raise UnknownPool(pool)
            if answer.refusal is Refusal.BAD_SIZE:
                raise ValueError(answer.problem)
            if answer.status is None:
                raise PoolsUnavailable(answer.problem)
        return _merge([answer.status for answer in answers if answer.status is not None])

    async def _order(self, beat: HostBeat, pool: str, size: int) -> Scaled:
        order = secrets.token_hex(16)
        if len(self._orders) >= _MAX_ORDERS:
            return _failed(order, f"{_MAX_ORDERS} orders are under way")
        answer: asyncio.Future[Scaled] = asyncio.get_running_loop().create_future()
        self._orders[order] = (beat.incarnation, answer)
        message = ScaleOrder(gateway=self._link.incarnation, order=order, pool=pool, size=size)
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

    def answered(self, scaled: Scaled) -> None:
        """A host's answer; ignored when nobody waits for it."""
        _, answer = self._orders.get(scaled.order, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(scaled)

    def lose(self, host: str | None, why: str) -> None:
        """This incarnation, or every host, answers no more orders."""
        for order, (holder, _) in list(self._orders.items()):
            if host is None or holder == host:
                self.answered(_failed(order, why))


class Orders:
    """The host's end: carries out orders, and answers each."""

    def __init__(self, pools: PoolControl, link: Link) -> None:
        self._pools = pools
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, order: ScaleOrder) -> None:
        """Carries out one order."""
        if len(self._tasks) >= _MAX_ORDERS:
            self._answer(order, _failed(order.order, f"{_MAX_ORDERS} orders are under way"))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(order), name=f"scale pool {order.pool}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: ScaleOrder) -> None:
        try:
            status = await self._pools.scale(order.pool, order.size)
        except UnknownPool:
            scaled = Scaled(order=order.order, status=None, refusal=Refusal.UNKNOWN_POOL)
        except ValueError as error:
            scaled = Scaled(order=order.order, status=None, refusal=Refusal.BAD_SIZE, problem=str(error))
        except PoolsUnavailable as error:
            scaled = _failed(order.order, str(error))
        else:
            scaled = Scaled(order=order.order, status=status)
        self._answer(order, scaled)

    def _answer(self, order: ScaleOrder, scaled: Scaled) -> None:
        self._link.push(GATEWAY.inbox + order.gateway, encode(scaled))

    async def close(self) -> None:
        """Gives up orders under way."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)


def _failed(order: str, why: str) -> Scaled:
    return Scaled(order=order, status=None, refusal=Refusal.BUSY, problem=why)


def _merge(parts: list[PoolStatus]) -> PoolStatus:
    """The pools of one name on several hosts as one."""
    kills: Counter[str] = Counter()
    for part in parts:
        kills.update(part.kills)
    return PoolStatus(
        name=parts[0].name,
        size=sum(part.size for part in parts),
        runners=tuple(runner for part in parts for runner in part.runners),
        queue=sum(part.queue for part in parts),
        cold_starts=sum(part.cold_starts for part in parts),
        kills=dict(kills),
    )
