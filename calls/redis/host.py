"""The runner host's end of broker kind `redis`."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from calls.broker import CallHandler, Refused
from calls.call import Call, Outcome, Reply
from calls.pools import HostPools
from calls.redis import reading, wire
from calls.redis.gateways import Gateways
from calls.redis.keys import GATEWAY, HOST, MAX_PEERS
from calls.redis.link import Link
from calls.redis.orders import Orders
from calls.redis.turns import Turns

log = logging.getLogger("plugbay.broker")

_BATCH: Final = 64
"""Calls given to the pools before the event loop may do something else."""
_LEAVING_TICKS: Final = 2
"""Ticks for which calls may still arrive after gateways were told that none should."""
_UNHEARD: Final = b"the gateway was not heard of for too long"


@dataclass(frozen=True)
class HostBounds:
    """What one host takes upon itself."""

    capacity: int
    """Calls it runs well at once, which is the workers it can have: above its share, the next host gets them."""
    slots: int
    """Calls given to the pools at once; one owner has at most as many as are free, so at most half of them."""
    max_owner: int
    """Unanswered calls of one owner, of all gateways."""
    max_total: int
    """Unanswered calls in all."""
    call: reading.CallBounds


class _Held:
    """A call on this host, until it is answered."""

    __slots__ = ("call", "gateway")

    def __init__(self, call: Call, gateway: str) -> None:
        self.call = call
        self.gateway = gateway
        """Incarnation that waits for the answer; empty when nobody does any more."""


class RedisHost:
    """Attaches a runner host to all gateways under a name that stays the same when it is restarted, and that
    no other host has. Calls in the pools go on when Redis is lost, but nobody waits for them any more."""

    def __init__(self, url: str, name: str, handler: CallHandler, pools: HostPools, bounds: HostBounds) -> None:
        """Raises BadAddress, or ValueError for a name that cannot be one."""
        if not reading.is_name(name):
            raise ValueError(f"a host's name is up to 63 letters, digits, '.', '_' and '-', not {name!r}")
        self._name = name
        self._handler = handler
        self._pools = pools
        self._bounds = bounds
        self._state = wire.HostState.SERVING
        self._stopping = False
        self._started = 0.0
        self._turns: Turns[_Held] = Turns(bounds.slots, bounds.max_owner, bounds.max_total)
        self._held: dict[str, _Held] = {}
        self._gateways = Gateways(self._gateway_lost)
        self._pumping = False
        self._expired = 0
        self._drained_at: int | None = None
        self._quiet = asyncio.Event()
        self._link = Link(url, HOST, self)
        self._orders = Orders(name, pools, self._hold_off, self._link)
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Connects and takes calls. A Redis that is away is waited for in the background. Raises Unfit."""
        await self._link.open()

    async def drain(self, seconds: float) -> None:
        """Sends new calls elsewhere; returns when those here are answered or nobody
        waits for them any more, or after so many seconds."""
        self._state = wire.HostState.DRAINING
        self._stopping = True
        if not self._link.incarnation:
            return
        self._drained_at = self._link.ticks
        self._quiet.clear()
        self._link.beat()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            log.warning("host %s: %d calls are cut short after %g s", self._name, len(self._held), seconds)

    def _hold_off(self, draining: bool) -> None:
        """Sends new calls elsewhere until further notice, or here again; gateways hear of it with the next beat.
        Those that have not heard yet may still send some, which are run."""
        if not self._stopping:
            log.info("host %s %s", self._name, "is draining" if draining else "takes calls again")
            self._state = wire.HostState.DRAINING if draining else wire.HostState.SERVING

    async def close(self) -> None:
        """Takes the host away; what is unanswered is answered as lost."""
        self._state = wire.HostState.GONE
        await self._orders.close()
        self._link.beat()
        await self._link.close()

    # calls.redis.link.Member

    def joined(self) -> None:
        """See Member."""
        self._started = time.time()

    def left(self, why: str) -> None:  # noqa: ARG002
        """See Member."""
        self._gateways.clear()
        self._drop(self._turns.remove(lambda _: True))
        for held in self._held.values():
            held.gateway = ""
        self._quiet.set()

    def received(self, message: bytes) -> None:
        """See Member."""
        now = time.time()
        try:
            found = reading.read_by_host(message, self._bounds.call, now)
        except reading.Forged as error:
            self._link.complain(f"from a gateway: {error}")
            return
        if not self._gateways.admit(found.gateway, self._link.ticks):
            self._link.complain(f"there are more than {MAX_PEERS} gateways")
        elif isinstance(found, wire.Order):
            self._orders.take(found)
        elif found.call.id in self._held:
            self._link.complain("a call with the id of another")
        elif found.call.deadline <= now:
            self._expired += 1
        else:
            self._take(found.call, found.gateway)

    def heard(self, message: bytes) -> None:
        """See Member."""
        try:
            beat = reading.read_gateway_beat(message)
        except reading.Forged as error:
            self._link.complain(f"a gateway's sign of life: {error}")
            return
        known = beat.incarnation in self._gateways
        self._gateways.heard(beat, self._link.ticks)
        if not known and beat.incarnation in self._gateways:  # it need not wait to hear of this host
            self._link.beat()

    def sign(self) -> bytes:
        """See Member."""
        return wire.encode(
            wire.HostBeat(
                name=self._name,
                incarnation=self._link.incarnation,
                started=self._started,
                state=self._state,
                capacity=self._bounds.capacity,
                room=self._bounds.max_total,
                load=len(self._held),
                pools=tuple(self._pools.pools()),
                tallies=self._pools.tallies(),
            )
        )

    def tick(self) -> None:
        """See Member."""
        ticks, now = self._link.ticks, time.time()
        self._gateways.tick(ticks)
        late = self._turns.remove(lambda held: held.call.deadline <= now)
        self._drop(late)
        self._expired += len(late)
        if self._expired:
            log.warning("host %s: dropped %d calls, nobody waits for them any more", self._name, self._expired)
            self._expired = 0
        if self._drained_at is not None and not self._held and ticks - self._drained_at >= _LEAVING_TICKS:
            self._quiet.set()

    def _gateway_lost(self, gateway: str, why: str) -> None:
        """Its waiting calls are not run. It is told so, in case that it was only suspended."""
        log.info("host %s: gateway %s %s", self._name, gateway, why)
        dropped = self._turns.remove(lambda held: held.gateway == gateway)
        self._drop(dropped)
        for held in dropped:
            self._send(gateway, Reply(call=held.call.id, outcome=Outcome.UNAVAILABLE, payload=_UNHEARD))

    def _drop(self, dropped: list[_Held]) -> None:
        for held in dropped:
            del self._held[held.call.id]

    # From the list into the pools, and back.

    def _take(self, call: Call, gateway: str) -> None:
        held = _Held(call, gateway)
        try:
            self._turns.add(call.owner, held)
        except Refused as refused:
            outcome = Outcome.OVER_LIMIT if refused.limited else Outcome.UNAVAILABLE
            self._send(gateway, Reply(call=call.id, outcome=outcome, payload=refused.problem.encode()))
            return
        self._held[call.id] = held
        self._schedule()

    def _schedule(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        now = time.time()
        for _ in range(_BATCH):
            held = self._turns.take()
            if held is None:
                return
            if held.call.deadline > now:
                self._handler.accept(held.call, self._answered)
            else:
                self._turns.done(held.call.owner)
                self._drop([held])
                self._expired += 1
        self._schedule()

    def _answered(self, reply: Reply) -> None:
        held = self._held.pop(reply.call, None)
        if held is None:  # answered before
            return
        self._turns.done(held.call.owner)
        if self._turns.waiting:
            self._schedule()
        if held.gateway in self._gateways:
            self._send(held.gateway, reply)
        elif held.gateway:  # the answer itself may be large, and nobody may ever read it
            self._send(held.gateway, Reply(call=reply.call, outcome=Outcome.DIED, payload=_UNHEARD))

    def _send(self, gateway: str, reply: Reply) -> None:
        self._link.push(GATEWAY.inbox + gateway, wire.encode(wire.Answered(reply=reply)))
