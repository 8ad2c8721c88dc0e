"""What the data plane does with a call whose answer is to be kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from calls.kept import Full, KeptCall, KeptCalls, KeptUnavailable
from gateway import answers
from gateway.answers import Answer
from gateway.headers import NO_STORE
from gateway.kept import results
from gateway.kept.prefer import APPLIED
from plans import Plan
from settings import Settings

_RETRY: Final = (b"retry-after", b"1")


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that was let through, resolved and encoded."""

    scope: Any
    call: str
    """Its id."""
    owner: str
    plan: tuple[str, Plan] | None
    """Its owner's, with its name; None of the admin."""
    payload: bytes
    body: bytes


class Keeping:
    """Has calls be kept."""

    def __init__(self, settings: Settings, kept: KeptCalls) -> None:
        self._kept = kept
        self.on_call: list[Callable[[], None]] = []
        """Called when there is another one to be run."""
        self._most = settings.MAX_RESULTS

    def most(self, plan: Plan | None) -> int:
        """Results that an owner with this plan may have; None: the admin."""
        return self._most if plan is None or plan.results is None else min(plan.results, self._most)

    async def later(self, sent: Sent) -> Answer:
        """Accepts a call that is run when nobody waits for it any more."""
        plan = None if sent.plan is None else sent.plan[1]
        if sent.plan is not None and not self.most(plan):
            return answers.refused(403, f"plan {sent.plan[0]}: no results are kept, so no call runs asynchronously")
        id, client = results.new_id(), sent.scope["client"]
        call = KeptCall(
            id=id,
            owner=sent.owner,
            call=sent.call,
            method=sent.scope["method"],
            path=sent.scope["raw_path"].decode("latin-1"),
            client=client[0] if client else "",
            payload=sent.payload,
            size=len(sent.body),
            accepted=time.time(),
        )
        try:
            await self._kept.put(call, self.most(plan))
        except Full as error:
            return results.full(error)
        except KeptUnavailable as error:
            return results.unavailable(error)
        for tell in self.on_call:
            tell()
        where = results.PREFIX + id.encode()
        answer = answers.json(202, {"status": "ACCEPTED", "call": sent.call, "result": where.decode()})
        answer.headers += ((b"location", where), APPLIED, _RETRY, NO_STORE)
        answer.outcome = "ACCEPTED"
        return answer
