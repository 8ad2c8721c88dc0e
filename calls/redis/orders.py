"""The host's end of what operators want: carries out orders, and answers each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from calls.pools import HostPools, PoolStatus, PoolsUnavailable, UnknownHost, UnknownPool, UnknownRunner
from calls.redis.keys import GATEWAY, MAX_ORDERS
from calls.redis.link import Link
from calls.redis.wire import Done, Order, OrderKind, Refusal, encode


class Orders:
    """Of one host, by its name. `drain` has new calls sent elsewhere, or here again."""

    def __init__(self, name: str, pools: HostPools, drain: Callable[[bool], None], link: Link) -> None:
        self._name = name
        self._pools = pools
        self._drain = drain
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, order: Order) -> None:
        """Carries out one order."""
        if len(self._tasks) >= MAX_ORDERS:
            self._answer(order, Done(order.order, refusal=Refusal.BUSY, problem=f"{MAX_ORDERS} orders are under way"))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(order), name=f"{order.kind.name} {order.target}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: Order) -> None:
        try:
            status = await self._do(order)
        except (UnknownPool, UnknownRunner, UnknownHost):
            done = Done(order.order, refusal=Refusal.UNKNOWN)
        except ValueError as error:
            done = Done(order.order, refusal=Refusal.BAD_SIZE, problem=str(error))
        except PoolsUnavailable as error:
            done = Done(order.order, refusal=Refusal.BUSY, problem=str(error))
        else:
            done = Done(order.order, status)
        self._link.beat()  # what has changed is seen with its answer, not a tick later
        self._answer(order, done)

    async def _do(self, order: Order) -> PoolStatus | None:
        if order.kind is OrderKind.SCALE:
            return await self._pools.scale(order.target, order.size)
        if order.kind is OrderKind.DRAIN_POOL:
            return await self._pools.drain_pool(order.target)
        if order.kind is OrderKind.DRAIN_RUNNER:
            return await self._pools.drain_runner(order.target)
        if order.target != self._name:
            raise UnknownHost(order.target)
        self._drain(order.kind is OrderKind.DRAIN_HOST)
        return None

    def _answer(self, order: Order, done: Done) -> None:
        self._link.push(GATEWAY.inbox + order.gateway, encode(done))

    async def close(self) -> None:
        """Gives up orders under way."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks)
