"""Runs one kept call as if its sender waited for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calls.call import Outcome, new_call_id
from calls.kept import Taken
from catalogue.index import Ambiguous, Broken, NotFound, View
from gateway import answers
from gateway.answers import Answer
from gateway.limits import OverPlan, PlanLimits
from gateway.request.path import split
from gateway.running import Running, target_of, used
from gateway.runtime_settings import RuntimeSettings
from gateway.serving import Catalogue, Tenants
from gateway.usage import UsageMeter
from plans import Plan
from store.contract import Status, StoreUnavailable, Tenant

_SAYS_NOTHING: Final = {Outcome.DIED: True, Outcome.UNAVAILABLE: True, Outcome.OVER_LIMIT: False}
"""Outcomes that say nothing of the function, and whether having had one counts as an attempt."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended."""

    call: str
    """Id of the call that it was."""
    answer: Answer
    plan: Plan | None
    """The owner's; None of admins."""
    again: bool = False
    """It says nothing of the function, and another attempt is due."""
    counts: bool = True
    """Whether this was one of the attempts that a call has."""


class Execution:
    """All that a kept call has to pass on its way, once more: its tenant, its function and its plan may be others now."""

    def __init__(
        self,
        admin: str,
        catalogue: Catalogue,
        tenants: Tenants,
        running: Running,
        runtime: RuntimeSettings,
        limits: PlanLimits,
        usage: UsageMeter,
    ) -> None:
        self._admin = admin
        self._catalogue = catalogue
        self._tenants = tenants
        self._running = running
        self._runtime = runtime
        self._limits = limits
        self._usage = usage

    async def run(self, taken: Taken) -> Ended | None:
        """Makes one attempt; None when there is no such tenant any more."""
        call = taken.call.call if taken.attempt == 1 else new_call_id()
        owner, tenant = taken.call.owner, None
        try:
            if owner != self._admin:
                tenant = await self._tenants.tenant(owner)
                if tenant is None:
                    return None
                if tenant.status is not Status.ENABLED:
                    return Ended(call, answers.not_here(tenant), self._limits.plan(tenant))
            return await self._resolved(taken, call, tenant)
        except StoreUnavailable:
            return _later(call, answers.refused(503, "the store is not available"), None)

    async def _resolved(self, taken: Taken, call: str, tenant: Tenant | None) -> Ended:
        plan = self._limits.plan(tenant)
        _, segments = split(taken.call.path.encode("latin-1"))
        view = self._catalogue.view(taken.call.owner) or View(taken.call.owner, 0)
        try:
            target = target_of(view, taken.call.method, segments, self._runtime.url_parameters)
        except (NotFound, Ambiguous, Broken) as error:
            if isinstance(error, NotFound) and not self._catalogue.ready:
                return _later(call, answers.refused(503, "modules are being loaded"), plan)
            temporary = isinstance(error, Broken) and error.problem.temporary
            return Ended(call, answers.unresolved(error, call), plan, again=temporary)

        async def answer(max_secs: float, prefix: str | None) -> Answer:
            reply = await self._running.reply(call, view, target, taken.call.payload, max_secs)
            return answers.of_reply(reply, target, view.owner, prefix)

        if tenant is None:
            return _ended(call, await answer(self._running.max_secs, None), None)
        try:
            async with self._limits.place(tenant) as plan:
                found = await answer((plan and plan.seconds) or self._running.max_secs, f"/rest/services/{view.owner}/")
        except OverPlan as over:
            return _later(call, answers.refused(429, str(over)), plan)
        self._usage.count(view.owner, used(found, taken.call.size))
        return _ended(call, found, plan)


def _later(call: str, answer: Answer, plan: Plan | None) -> Ended:
    """It has not run, for reasons that pass."""
    return Ended(call, answer, plan, again=True, counts=False)


def _ended(call: str, answer: Answer, plan: Plan | None) -> Ended:
    assert answer.reply is not None
    counts = _SAYS_NOTHING.get(answer.reply.outcome)
    return Ended(call, answer, plan, again=counts is not None, counts=counts is not False)
