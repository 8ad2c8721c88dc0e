"""What a tenant's plan allows it: calls per second, calls at once, calls that wait. Looked at before a body is read.

Each gateway lets through its share: what the plan says, divided by the gateways there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import plans
from plans import Plan
from store.contract import Role, Tenant

MAX_GATES: Final = 10_000
"""Tenants whose latest calls are remembered; of those that have none now, the ones that called last stay."""
_RETRY_SECS: Final = 1.0
"""Seconds after which a caller that found all places taken is asked to come again."""


class OverPlan(Exception):
    """A limit of the tenant's plan is reached; the message names both. `retry_after` is in seconds."""

    def __init__(self, plan: str, problem: str, retry_after: float) -> None:
        super().__init__(f"plan {plan}: {problem}")
        self.retry_after = max(1, math.ceil(retry_after))


@dataclass(slots=True)
class _Gate:
    """One tenant's calls here."""

    left: float
    """Calls that may begin at once."""
    then: float
    """When that was so."""
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class PlanLimits:
    """The limits of all tenants, in one gateway."""

    def __init__(self, known: Mapping[str, Plan], gateways: int, max_wait_secs: float) -> None:
        """`max_wait_secs`: how long a call waits for others of its tenant to end."""
        self._known = known
        self._gateways = gateways
        self._max_wait_secs = max_wait_secs
        self._gates: OrderedDict[str, _Gate] = OrderedDict()

    @contextlib.asynccontextmanager
    async def within(self, tenant: Tenant) -> AsyncIterator[Plan | None]:
        """Around one call. Waits while as many of the tenant's run as may, and gives its plan, None of an admin. Raises
        OverPlan."""
        if named := self.named(tenant):
            self._take_turn(self._gate(tenant.uuid), *named)
        async with self.place(tenant) as plan:
            yield plan

    @contextlib.asynccontextmanager
    async def place(self, tenant: Tenant) -> AsyncIterator[Plan | None]:
        """The same around a call that was counted when it was accepted."""
        named = self.named(tenant)
        if named is None:
            yield None
            return
        name, plan = named
        gate = self._gate(tenant.uuid)
        if plan.concurrency is None:
            yield plan
            return
        if gate.running < self._share(plan.concurrency):
            gate.running += 1
        else:
            await self._wait(gate, name, plan)
        try:
            yield plan
        finally:
            self._leave(gate)

    def named(self, tenant: Tenant) -> tuple[str, Plan] | None:
        """The tenant's plan, with its name. None: it is a further admin, which no plan bounds."""
        return None if tenant.role is Role.ADMIN else plans.of(self._known, tenant.plan)

    def plan(self, tenant: Tenant | None) -> Plan | None:
        """The plan of an owner; `tenant` is None, and so is the plan, of the installation's admin."""
        named = None if tenant is None else self.named(tenant)
        return None if named is None else named[1]

    def _gate(self, owner: str) -> _Gate:
        gate = self._gates.get(owner)
        if gate is None:
            gate = self._gates[owner] = _Gate(math.inf, time.monotonic())
            if len(self._gates) > MAX_GATES:
                idle = next((one for one, its in self._gates.items() if not its.running and one != owner), None)
                if idle is not None:
                    del self._gates[idle]
        self._gates.move_to_end(owner)
        return gate

    def _take_turn(self, gate: _Gate, name: str, plan: Plan) -> None:
        if plan.rate is None:
            return
        now = time.monotonic()
        rate = plan.rate / self._gateways
        burst = max(1.0, (plan.burst or plan.rate) / self._gateways)
        left = min(burst, gate.left + (now - gate.then) * rate)
        gate.left, gate.then = left, now
        if left < 1:
            raise OverPlan(name, f"at most {plan.rate:g} calls per second", (1 - left) / rate)
        gate.left -= 1

    async def _wait(self, gate: _Gate, name: str, plan: Plan) -> None:
        """Returns when the place of a call that has ended is this one's."""
        if plan.queue is not None and len(gate.waiting) >= self._share(plan.queue):
            told = f"at most {plan.concurrency} calls at once, and {plan.queue} that wait"
            raise OverPlan(name, told, _RETRY_SECS)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gate.waiting.append(place)
        try:
            async with asyncio.timeout(self._max_wait_secs):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.done() and not place.cancelled():  # it was given the place in the very moment
                self._leave(gate)
            elif place in gate.waiting:
                gate.waiting.remove(place)
            if isinstance(error, TimeoutError):
                told = f"at most {plan.concurrency} calls at once, and none ended for {self._max_wait_secs:g} s"
                raise OverPlan(name, told, _RETRY_SECS) from error
            raise

    def _leave(self, gate: _Gate) -> None:
        while gate.waiting:
            place = gate.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        gate.running -= 1

    def _share(self, limit: int) -> int:
        return math.ceil(limit / self._gateways)
