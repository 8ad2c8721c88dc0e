"""A resolved call on its way to a runner, and what its owner has used by it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from calls.broker import Broker, Refused, ask
from calls.call import Call, Kind, Outcome, Reply
from catalogue.index import NotFound, Target, View, resolve
from gateway.answers import Answer
from settings import Settings
from store.usage import Usage


def target_of(view: View, method: str, segments: list[str], names: Sequence[str]) -> Target:
    """The endpoint that these segments address; no more URL parameters than there are `names` for. Raises NotFound,
    Ambiguous or Broken."""
    target = resolve(view, method, segments)
    if len(target.parameters) > len(names):
        raise NotFound(
            f"{target.endpoint.api} takes at most {len(names)} URL parameters (NUM_URL_PARMS), "
            f"not {len(target.parameters)}."
        )
    return target


class Running:
    """Has the broker run calls."""

    def __init__(self, settings: Settings, broker: Broker) -> None:
        self._broker = broker
        self.max_secs = settings.MAX_FUNCTION_SECS
        """Seconds that a function may run where no plan says less."""
        self._queue_secs = settings.MAX_QUEUE_SECS

    def longest(self, target: Target, max_secs: float) -> float:
        """Seconds until a call of this is answered at the latest."""
        return self._limit(target, max_secs) + self._queue_secs

    async def reply(self, call: str, view: View, target: Target, payload: bytes, max_secs: float) -> Reply:
        """The reply to a call. `max_secs` is what its owner's plan allows."""
        endpoint, limit = target.endpoint, self._limit(target, max_secs)
        try:
            return await ask(
                self._broker,
                Call(
                    id=call,
                    kind=Kind.INVOKE,
                    owner=view.owner,
                    revision=view.revision,
                    module=target.module.name,
                    function=endpoint.function,
                    concurrent=endpoint.concurrent,
                    limit=limit,
                    concurrency=endpoint.concurrency or 0,
                    deadline=time.time() + limit + self._queue_secs,
                    payload=payload,
                ),
            )
        except Refused as refused:
            outcome = Outcome.OVER_LIMIT if refused.limited else Outcome.UNAVAILABLE
            return Reply(call=call, outcome=outcome, payload=refused.problem.encode(), retry_after=refused.retry_after)

    def _limit(self, target: Target, max_secs: float) -> float:
        return min(target.endpoint.timeout or self.max_secs, self.max_secs, max_secs)


def used(answer: Answer, size: int) -> Usage:
    """What a call used whose body had so many bytes."""
    reply = answer.reply
    if reply is None:
        return Usage(calls=1, refused=int(answer.status in (429, 503)), bytes_in=size, bytes_out=len(answer.body))
    return Usage(
        calls=1,
        errors=int(answer.status >= 500),
        refused=int(reply.outcome is Outcome.OVER_LIMIT),
        cold_starts=int(reply.bind > 0),
        run_seconds=reply.run,
        bytes_in=size,
        bytes_out=len(answer.body),
    )
